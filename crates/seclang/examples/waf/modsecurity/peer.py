"""What a request costs in libmodsecurity, and which rules match. The rule file is the argument; each
line that comes is a request in JSON, each line that goes is the answer."""

import base64
import json
import sys
import time

import libmodsecurity


def once(engine, rules, request, body):
    transaction = libmodsecurity.Transaction(engine, rules)
    transaction.process_connection("127.0.0.1", 40000, "127.0.0.1", 80)
    # of the protocol it wants the version
    version = request["Protocol"].removeprefix("HTTP/")
    transaction.process_uri(request["Target"], request["Method"], version)
    for name, value in request["Headers"]:
        transaction.add_request_header(name, value)
    transaction.process_request_headers()
    transaction.append_request_body(body)
    transaction.process_request_body()
    transaction.process_logging()
    return transaction


def main():
    engine = libmodsecurity.ModSecurity()
    engine.set_log_callback(lambda line: None)
    rules = libmodsecurity.RulesSet()
    begin = time.process_time()
    if rules.load_from_uri(sys.argv[1]) < 0:
        sys.exit(rules.get_parser_error())
    loaded = time.process_time() - begin
    print(json.dumps({"load_ms": round(loaded * 1000)}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        body = base64.b64decode(request["Body"])
        begin = time.process_time()
        for _ in range(request["Times"]):
            transaction = once(engine, rules, request, body)
        spent = time.process_time() - begin
        ids = [message.rule_id for message in transaction.get_rule_messages()]
        print(json.dumps({"cpu_us": round(spent * 1e6), "ids": ids}), flush=True)
    # it would be called when Python is no longer there
    engine.set_log_callback(None)


main()
