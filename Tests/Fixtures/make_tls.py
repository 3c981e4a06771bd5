#!/usr/bin/env python3
"""Makes tls.json: authorities, certificates and keys for the tests of the TLS sessions, valid for a century. The keys
guard nothing. usage: make_tls.py > tls.json"""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Conformance", "support"))
from certificates import CLIENT, SERVER, make, revocations  # noqa: E402

CENTURY = 36500
OUT = {}


def add(name, one):
    OUT[name] = {"chain": one.chain_pem.decode(), "key": one.key_pem.decode()}
    return one


def leaf(name, issuer, *names, **options):
    options.setdefault("purposes", [SERVER])
    options.setdefault("ends", CENTURY)
    return add(name, make(name, issuer, names=names, **options))


root = add("root", make("Sluice test root", authority=True, ends=CENTURY))
other = add("other_root", make("Another root", authority=True, ends=CENTURY))
middle = make("Sluice test intermediate", root, authority=True, path_length=0, ends=CENTURY)
leaf("server", root, "sluice.test", "*.wild.test", "127.0.0.1")
leaf("server_rsa", root, "sluice.test", "*.wild.test", "127.0.0.1", kind="rsa2048")
leaf("second", middle, "second.test")
leaf("wild_a", root, "a.wild.test")
leaf("expired", root, "sluice.test", begins=-20, ends=-10)
leaf("not_yet", root, "sluice.test", begins=CENTURY - 1000)
leaf("other_name", root, "elsewhere.test")
leaf("unknown", other, "sluice.test")
leaf("no_purpose", root, "sluice.test", purposes=[CLIENT])
leaf("short_key", root, "sluice.test", kind="rsa1024")
leaf("not_a_ca", make("No authority", root, authority=False, ends=CENTURY), "sluice.test")
leaf("self_signed", None, "sluice.test")
revoked = leaf("revoked", root, "sluice.test")
leaf("client", root, purposes=[CLIENT])
leaf("client_named", middle, "api.client.test", "spiffe://client.test/a", "ops@client.test", purposes=[CLIENT])
add("client_workload", make("", root, names=["spiffe://client.test/a"], purposes=[CLIENT], ends=CENTURY))
leaf("client_unknown", other, purposes=[CLIENT])
leaf("client_expired", root, purposes=[CLIENT], begins=-20, ends=-10)
OUT["lists"] = {"root": revocations(root, [revoked], ends=CENTURY).decode()}
json.dump(OUT, sys.stdout, indent=1)
