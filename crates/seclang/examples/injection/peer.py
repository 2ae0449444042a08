"""libinjection as its authors wrote it, in C, by way of libmodsecurity: each line that comes is a
value in base64; each line that goes is the fingerprint of SQL, or `-`, and `xss`, or `-`."""

import base64
import sys

import libmodsecurity

RULES = """
SecRuleEngine DetectionOnly
SecRequestBodyAccess On
SecAuditEngine Off
SecRule REQUEST_BODY "@detectSQLi" "id:1,phase:2,pass,log,t:none,capture,msg:'%{TX.0}'"
SecRule REQUEST_BODY "@detectXSS" "id:2,phase:2,pass,log,t:none"
"""


def ask(engine, rules, value):
    transaction = libmodsecurity.Transaction(engine, rules)
    transaction.process_uri("/", "POST", "1.1")
    transaction.process_request_headers()
    transaction.append_request_body(value)
    transaction.process_request_body()
    found = {message.rule_id: message.message for message in transaction.get_rule_messages()}
    return found.get(1, "-"), "xss" if 2 in found else "-"


def main():
    engine = libmodsecurity.ModSecurity()
    engine.set_log_callback(lambda line: None)
    rules = libmodsecurity.RulesSet()
    if rules.load(RULES) != 2:
        sys.exit(rules.get_parser_error())
    for line in sys.stdin:
        print(*ask(engine, rules, base64.b64decode(line)))
    # it would be called when Python is no longer there
    engine.set_log_callback(None)


main()
