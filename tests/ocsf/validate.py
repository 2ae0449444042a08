#!/usr/bin/env python3
"""Validates audit events, one JSON object a line, against OCSF. Works without a network.

    pip install -r tests/ocsf/requirements.txt
    python3 tests/ocsf/validate.py EVENTS...        ('-' is standard input)

The last line is `ocsf: events=N invalid=M`; exits 1 if an event is invalid or there is none.
Beside the schema it checks what the schema cannot say: `type_uid = class_uid * 100 + activity_id`,
and that each id agrees with its caption, at any depth.
"""

import json
import sys

from jsonschema_rs import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

SHOWN_MAX = 20


class Classes:
    """The validators of one OCSF version, by class and profiles."""

    def __init__(self, version):
        self.raw = get_ocsf_schema(version)
        self.schema = OcsfJsonSchemaEmbedded(self.raw)
        self.validators = {}

    def definition(self, class_uid):
        return self.raw["classes"][self.schema.lookup_class_name_from_uid(class_uid)]

    def validator(self, class_uid, profiles):
        key = (class_uid, tuple(sorted(profiles)))
        if key not in self.validators:
            name = self.schema.lookup_class_name_from_uid(class_uid)
            self.validators[key] = Draft202012Validator(self.schema.get_class_schema(name, list(profiles)))
        return self.validators[key]


VERSIONS = {}


def classes(version):
    if version not in VERSIONS:
        VERSIONS[version] = Classes(version)
    return VERSIONS[version]


def captions(raw, definition, event, path):
    """Yields each id of `event` whose caption is not the one the schema has for it."""
    for key, value in event.items():
        attribute = definition["attributes"].get(key)
        if attribute is None or key == "unmapped":
            continue
        if attribute.get("object_type"):
            below = raw["objects"][attribute["object_type"]]
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict):
                    yield from captions(raw, below, item, f"{path}{key}.")
        sibling, enum = attribute.get("sibling"), attribute.get("enum")
        if sibling in event and enum and not isinstance(value, list):
            known = enum.get(str(value))
            # 99 is `Other`: its caption is the source's own word
            if known and value != 99 and event[sibling] != known["caption"]:
                yield f"{path}{sibling} is {event[sibling]!r}, but {path}{key} {value} is {known['caption']!r}"


def problems(line):
    """Yields what is wrong with one line."""
    try:
        event = json.loads(line)
        known = classes(event["metadata"]["version"])
        profiles = event["metadata"].get("profiles", [])
        validator = known.validator(event["class_uid"], profiles)
        definition = known.definition(event["class_uid"])
    except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
        yield f"no OCSF event: {error!r}"
        return
    for error in validator.iter_errors(event):
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.instance_path)
        yield f"${place}: {error.message[:300]}"
    if event.get("type_uid") != event["class_uid"] * 100 + event.get("activity_id", -1):
        yield f"type_uid {event.get('type_uid')} is not class_uid * 100 + activity_id"
    yield from captions(known.raw, definition, event, "")


def main(paths):
    events = invalid = 0
    for path in paths:
        with sys.stdin.buffer if path == "-" else open(path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                events += 1
                found = list(problems(line))
                if found:
                    invalid += 1
                    if invalid <= SHOWN_MAX:
                        for problem in found:
                            print(f"{path}:{number}: {problem}")
    print(f"ocsf: events={events} invalid={invalid}")
    return 1 if invalid or not events else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
