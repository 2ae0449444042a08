#!/usr/bin/env python3
"""Verifies an audit trail without any code of Portcullis: a second reading of the formats.

    verify.py ROOT_KEY EVIDENCE_DIR [KEPT_CHECKPOINT...]
        every log below the directory: statements, checkpoint, entries, hash tiles, and that it
        reaches and contains each checkpoint that was kept apart
    verify.py ROOT_KEY EVIDENCE_DIR --message VALUE TLOG_PROOF
        one record with its proof; the directory has its log's statements

ROOT_KEY is the audit root's verifier key or a file with it. Exit 0 and one line if all holds,
exit 1 and one line if anything does not.

Formats: https://c2sp.org/signed-note, /tlog-checkpoint, /tlog-proof, /tlog-tiles; RFC 9162 2.1.
Needs Python 3.9 and the package `cryptography`.
"""

import base64
import hashlib
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Bad(Exception):
    """What does not hold."""


def need(holds, why):
    if not holds:
        raise Bad(why)


def unbase64(text, length=None):
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raise Bad(f"not base64: {text[:60]}") from None
    need(base64.b64encode(raw).decode() == text, f"base64 with spare bits: {text[:60]}")
    need(length in (None, len(raw)), f"not {length} bytes: {text[:60]}")
    return raw


def number(text):
    need(text.isascii() and text.isdigit() and str(int(text)) == text, f"not a number: {text[:60]}")
    return int(text)


# Signed notes ------------------------------------------------------------------------------


def parse_key(text):
    """name+hex(id)+base64(0x01 || public key) -> (name, id, public key)"""
    parts = text.split("+", 2)
    need(len(parts) == 3, "not a verifier key: expected name+id+key")
    name, key_id, key = parts[0], parts[1], unbase64(parts[2], 33)
    need(key[0] == 1, f"not an Ed25519 note key: {name}")
    expected = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    need(expected.hex() == key_id, f"key id does not match: {name}")
    return name, expected, key[1:]


def open_note(note, key, what):
    """The note's text, if there is a signature by the key and all of them hold."""
    name, key_id, public = key
    text, blank, signatures = note.rpartition("\n\n")
    need(blank and signatures.endswith("\n"), f"{what}: not a signed note")
    text += "\n"
    signed = False
    for line in signatures[:-1].split("\n"):
        parts = line.split(" ")
        need(len(parts) == 3 and parts[0] == "\u2014", f"{what}: malformed signature line")
        raw = unbase64(parts[2])
        if parts[1] != name or raw[:4] != key_id:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(raw[4:], text.encode())
        except InvalidSignature:
            raise Bad(f"{what}: wrong signature by {name}") from None
        signed = True
    need(signed, f"{what}: no signature by {name}")
    return text


def fields(text, head, names, what):
    lines = text.split("\n")
    need(lines[0] == head and len(lines) == len(names) + 2, f"{what}: not a {head}")
    values = []
    for line, name in zip(lines[1:], names):
        field, space, value = line.partition(" ")
        need(field == name and space and value, f"{what}: expected {name}")
        values.append(value)
    return values


def trusted_key(root, directory, origin):
    """The log's key, through the issuer's certificate and the epoch's statement."""
    certificate = open_note(read_text(directory / "issuer.note"), root, f"{origin}/issuer.note")
    prefix, issuer, issuer_from, issuer_to = fields(
        certificate, "portcullis-issuer-key/v1", ["prefix", "key", "not-before", "not-after"],
        f"{origin}/issuer.note")
    need(origin.startswith(prefix + "/"), f"{origin}: the issuer is of {prefix}")
    statement = open_note(
        read_text(directory / "epoch.note"), parse_key(issuer), f"{origin}/epoch.note")
    named, epoch, epoch_from, epoch_to = fields(
        statement, "portcullis-epoch-key/v1", ["origin", "key", "not-before", "not-after"],
        f"{origin}/epoch.note")
    key = parse_key(epoch)
    need(named == origin and key[0] == origin, f"{origin}: the statement is of {named}")
    inside = number(issuer_from) <= number(epoch_from) < number(epoch_to) <= number(issuer_to)
    need(inside, f"{origin}: the key is valid when its issuer is not")
    return key


def open_checkpoint(note, key, what):
    lines = open_note(note, key, what).split("\n")
    need(len(lines) == 4 and lines[3] == "", f"{what}: not a checkpoint")
    need(lines[0] == key[0], f"{what}: a checkpoint of {lines[0]}")
    return number(lines[1]), unbase64(lines[2], 32)


# The tree ----------------------------------------------------------------------------------


def leaf_hash(value):
    return hashlib.sha256(b"\x00" + value).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_root(hashes):
    """RFC 9162 2.1.1, level by level: a node without a right sibling rises as it is."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    while len(hashes) > 1:
        pairs = [node_hash(*hashes[at:at + 2]) for at in range(0, len(hashes) - 1, 2)]
        hashes = pairs + hashes[2 * len(pairs):]
    return hashes[0]


def path_root(index, size, node, path):
    """RFC 9162 2.1.3.2"""
    need(index < size, f"leaf {index} of {size}")
    last = size - 1
    for sibling in path:
        need(last > 0, "the path is too long")
        if index & 1 or index == last:
            node = node_hash(sibling, node)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        index, last = index >> 1, last >> 1
    need(last == 0, "the path is too short")
    return node


# Files -------------------------------------------------------------------------------------


def read_text(path):
    try:
        return path.read_bytes().decode()
    except OSError:
        raise Bad(f"{path} is missing") from None
    except UnicodeDecodeError:
        raise Bad(f"{path} is not text") from None


def read_tile(directory, level, index, width):
    """A tile's bytes; a partial one that is gone may have been replaced by the full one."""
    digits = f"{index:03}"
    digits = digits.rjust(-(-len(digits) // 3) * 3, "0")
    groups = [digits[at:at + 3] for at in range(0, len(digits), 3)]
    path = "/".join(["tile", str(level)] + ["x" + group for group in groups[:-1]] + groups[-1:])
    names = [path] if width == 256 else [f"{path}.p/{width}", path]
    for name in names:
        try:
            return (directory / name).read_bytes(), name
        except OSError:
            continue
    raise Bad(f"{directory / names[0]} is missing")


def read_entries(directory, index, width):
    data, name = read_tile(directory, "entries", index, width)
    entries, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at:at + 2], "big")
        entry = data[at + 2:at + 2 + length]
        need(at + 2 <= len(data) and len(entry) == length, f"{directory / name} is cut")
        entries.append(entry)
        at += 2 + length
    partial = name.endswith(f".p/{width}")
    need(len(entries) == (width if partial else 256),
         f"{directory / name} holds {len(entries)} entries")
    return entries[:width]


def check_hash_tiles(directory, leaves):
    level, hashes = 0, leaves
    while hashes:
        full = []
        for index in range(-(-len(hashes) // 256)):
            part = hashes[256 * index:256 * index + 256]
            data, name = read_tile(directory, level, index, len(part))
            if name.endswith(f".p/{len(part)}") or len(part) == 256:
                same = data == b"".join(part)
            else:
                same = len(data) == 8192 and data.startswith(b"".join(part))
            need(same, f"{directory / name} differs from what is below it")
            if len(part) == 256:
                full.append(tree_root(part))
        level, hashes = level + 1, full


# What is asked -----------------------------------------------------------------------------


def check_log(root, evidence, directory, kept):
    origin = directory.relative_to(evidence).as_posix()
    key = trusted_key(root, directory, origin)
    size, signed = open_checkpoint(read_text(directory / "checkpoint"), key, f"{origin}/checkpoint")
    leaves = []
    for index in range(-(-size // 256)):
        entries = read_entries(directory, index, min(256, size - 256 * index))
        leaves += [leaf_hash(entry) for entry in entries]
    need(tree_root(leaves) == signed, f"{origin}: the entries do not give the signed root")
    check_hash_tiles(directory, leaves)
    for note in kept:
        kept_size, kept_root = open_checkpoint(note, key, f"{origin}: checkpoint kept apart")
        need(kept_size <= size, f"{origin}: {size} leaves; a checkpoint kept apart has {kept_size}")
        need(tree_root(leaves[:kept_size]) == kept_root,
             f"{origin}: a checkpoint kept apart is of another history")
    return size


def check_evidence(root, evidence, kept_files):
    kept = {}
    for file in kept_files:
        note = read_text(Path(file))
        kept.setdefault(note.split("\n", 1)[0], []).append(note)
    directories = sorted({
        path.parent
        for name in ("checkpoint", "epoch.note", "issuer.note")
        for path in evidence.glob(f"audit.*/*/*/*/{name}")
    })
    origins = {directory.relative_to(evidence).as_posix() for directory in directories}
    need(directories, f"no log below {evidence}")
    need(not kept.keys() - origins, f"{', '.join(sorted(kept.keys() - origins))}: the log is missing")
    leaves = 0
    for directory in directories:
        origin = directory.relative_to(evidence).as_posix()
        leaves += check_log(root, evidence, directory, kept.get(origin, []))
    return f"logs={len(directories)} leaves={leaves}"


def check_message(root, evidence, value_file, proof_file):
    value, proof = Path(value_file).read_bytes(), read_text(Path(proof_file))
    head, blank, checkpoint = proof.partition("\n\n")
    lines = head.split("\n")
    need(blank and lines[0] == "c2sp.org/tlog-proof@v1" and len(lines) > 1, "not a tlog-proof")
    need(lines[1].startswith("index "), "the proof has no index")
    index, path = number(lines[1][6:]), [unbase64(line, 32) for line in lines[2:]]
    origin = checkpoint.split("\n", 1)[0]
    parts = origin.split("/")
    need(len(parts) == 4 and not {"", ".", ".."} & set(parts), f"not an origin: {origin[:80]}")
    key = trusted_key(root, evidence / origin, origin)
    size, signed = open_checkpoint(checkpoint, key, "the proof's checkpoint")
    found = path_root(index, size, leaf_hash(value), path)
    need(found == signed, f"{origin}: the value is not leaf {index} of {size}")
    return f"origin={origin} index={index} size={size}"


def main(arguments):
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 1
    try:
        key, evidence = arguments[0], Path(arguments[1])
        if "+" not in key or Path(key).is_file():
            key = read_text(Path(key)).strip()
        root = parse_key(key)
        if arguments[2:3] == ["--message"]:
            need(len(arguments) == 5, "--message takes a value and a proof")
            print("verified:", check_message(root, evidence, *arguments[3:]))
        else:
            print("verified:", check_evidence(root, evidence, arguments[2:]))
    except (Bad, OSError) as error:
        print(f"failed: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
