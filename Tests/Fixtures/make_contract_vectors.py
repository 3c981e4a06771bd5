#!/usr/bin/env python3
"""Makes contract_vectors.json: requests with the contract's envelope and what must become of them. Independent of the
gateway's code: the standard library's hmac alone. The reasons are the ingest port's own (docs/http-api.md); `code` is
what the contract calls each, with its status.
usage: make_contract_vectors.py > contract_vectors.json"""

import base64
import hashlib
import hmac
import json
import sys

NOW = 1_760_000_000
SECRET, OTHER = "a-text-secret", "another-secret"
TENANT = "3f0c1f5e-9d6b-4b1a-8f5e-2a7f6f1d0c42"
REQUEST = "5b2f8e0a-7c1d-4e3f-9a6b-0c8d7e6f5a41"
BODY = (
    b'{"source":"scanner-a","category":"security","severity":"high","event_type":"image.scanned",'
    b'"payload":{"note":"Zo\xc3\xab","n":1.50}}'
)
OUT = []


def signature(secret, request, stamp, body):
    return hmac.new(secret.encode(), f"{request}.{stamp}.".encode() + body, hashlib.sha256).hexdigest()


def envelope(body=BODY, secret=SECRET, request=REQUEST, stamp=str(NOW)):
    """Names and values in the order in which clients of ours send them."""
    return {
        "X-Zen-Contract-Version": "v1alpha1",
        "X-Tenant-Id": TENANT,
        "X-Request-Id": request,
        "X-Timestamp": stamp,
        "X-Signature": signature(secret, request, stamp, body),
        "Content-Type": "application/json",
    }


def add(name, expect, code=None, headers=None, body=BODY, secrets=(SECRET,), drop=(), more=(), **changed):
    """`changed`: fields by their name with underscores; `more`: lines behind them, so that a name comes twice."""
    headers = dict(headers or envelope(body))
    for field, value in changed.items():
        headers[field.replace("_", "-")] = value
    lines = [[name, value] for name, value in headers.items() if name not in drop] + [list(one) for one in more]
    vector = {
        "id": f"contract/{name}",
        "provider": "contract",
        "scheme": "contract",
        "kind": "verify",
        "secrets": [{"value": one} for one in secrets],
        "method": "POST",
        "url": "https://gateway.example/in/contract",
        "headers": lines,
        "body": base64.b64encode(body).decode(),
        "now": NOW,
        "expect": expect if expect == "accept" else f"reject:{expect}",
        "origin": "own",
    }
    if code:
        vector["status"], vector["code"] = code
    OUT.append(vector)


MISSING, INVALID = (400, "missing_header"), (400, "invalid_header")
SIGNATURE = (401, "invalid_signature")


def the_envelope():
    add("valid", "accept")
    add("version-v0", "accept", X_Zen_Contract_Version="v0")
    add("json-with-charset", "accept", Content_Type="Application/JSON; charset=utf-8")
    add("tenant-in-capitals", "accept", X_Tenant_Id=TENANT.upper())
    add("key-that-is-the-request", "accept", X_Idempotency_Key=REQUEST.upper())
    capitals = REQUEST.upper()
    add("request-in-capitals", "accept", headers=envelope(request=capitals))
    add("request-missing", "missing_header", MISSING, drop=["X-Request-Id"])
    for name, text in {
        "no-uuid": "17", "empty": "", "version-1": "5b2f8e0a-7c1d-1e3f-9a6b-0c8d7e6f5a41",
        "other-variant": "5b2f8e0a-7c1d-4e3f-ca6b-0c8d7e6f5a41", "no-hyphens": REQUEST.replace("-", ""),
        "longer": REQUEST + "0", "in-braces": "{" + REQUEST + "}",
        "hyphen-moved": "5b2f8e0-a7c1d-4e3f-9a6b-0c8d7e6f5a41", "no-digit": REQUEST[:-1] + "g",
    }.items():
        add(f"request-{name}", "malformed_header", INVALID, headers=envelope(request=text))
    add("request-twice", "malformed_header", INVALID, more=[("X-Request-Id", REQUEST)])
    add("version-missing", "missing_header", MISSING, drop=["X-Zen-Contract-Version"])
    unsupported = (400, "unsupported_contract_version")
    for text in ("v1", "V0", "v0,v1alpha1", "v1alpha12", ""):
        add(f"version-{text or 'empty'}", "unsupported_contract_version", unsupported, X_Zen_Contract_Version=text)
    add("version-twice", "unsupported_contract_version", unsupported, more=[("X-Zen-Contract-Version", "v0")])
    add("tenant-missing", "missing_header", MISSING, drop=["X-Tenant-Id"])
    add("tenant-no-uuid", "malformed_header", INVALID, X_Tenant_Id="acme")
    add("tenant-twice", "malformed_header", INVALID, more=[("X-Tenant-Id", TENANT)])
    add("media-type-missing", "unsupported_media_type", (415, "unsupported_media_type"), drop=["Content-Type"])
    for text in ("text/plain", "application/jsonx", "application/json-seq", "application"):
        add(f"media-type-{text}", "unsupported_media_type", (415, "unsupported_media_type"), Content_Type=text)
    add("key-no-uuid", "malformed_header", INVALID, X_Idempotency_Key="again")
    add("key-another", "malformed_header", INVALID, X_Idempotency_Key="00000000-0000-4000-8000-000000000000")
    add("body-empty", "empty_body", (400, "malformed_json"), headers=envelope(b""), body=b"")


def the_signature():
    add("second-secret", "accept", secrets=[OTHER, SECRET])
    add("secret-unknown", "signature_mismatch", SIGNATURE, secrets=[OTHER])
    add("signature-missing", "missing_header", SIGNATURE, drop=["X-Signature"])
    add("time-missing", "missing_header", SIGNATURE, drop=["X-Timestamp"])
    add("signature-twice", "duplicate_header", SIGNATURE, more=[("X-Signature", "0" * 64)])
    right = envelope()["X-Signature"]
    for name, text in {
        "empty": "", "in-capitals": right.upper(), "prefixed": "sha256=" + right,
        "no-digit": right[:-1] + "g", "base64": base64.b64encode(bytes.fromhex(right)).decode(),
    }.items():
        add(f"signature-{name}", "malformed_header", SIGNATURE, X_Signature=text)
    for name, text in {"shorter": right[:-1], "longer": right + "0"}.items():
        add(f"signature-{name}", "signature_mismatch", SIGNATURE, X_Signature=text)
    for place in (0, 31, 63):
        changed = right[:place] + ("0" if right[place] != "0" else "1") + right[place + 1 :]
        add(f"signature-digit-{place}-changed", "signature_mismatch", SIGNATURE, X_Signature=changed)
    add("body-changed", "signature_mismatch", SIGNATURE, headers=envelope(), body=BODY[:-1] + b" }")
    add("request-changed", "signature_mismatch", SIGNATURE, X_Request_Id=REQUEST[:-1] + "2")
    add("time-changed", "signature_mismatch", SIGNATURE, X_Timestamp=str(NOW - 7))
    add("parts-moved", "signature_mismatch", SIGNATURE, headers=envelope(),
        X_Timestamp=f"{NOW}", body=b"." + BODY)
    for offset in (-300, 300):
        add(f"time-{offset:+d}", "accept", headers=envelope(stamp=str(NOW + offset)))
    add("time-301-ago", "stale_timestamp", SIGNATURE, headers=envelope(stamp=str(NOW - 301)))
    add("time-301-ahead", "future_timestamp", SIGNATURE, headers=envelope(stamp=str(NOW + 301)))
    for name, text in {"word": "now", "fraction": f"{NOW}.0", "signed": f"+{NOW}", "long": "1" * 17}.items():
        add(f"time-{name}", "malformed_timestamp", SIGNATURE, headers=envelope(stamp=text))
    add("time-zero", "stale_timestamp", SIGNATURE, headers=envelope(stamp="0"))


def the_order():
    """Of two faults the first of the contract's list answers."""
    wrong = {"X_Signature": "0" * 64}
    add("order-request-before-version", "missing_header", MISSING, drop=["X-Request-Id"], X_Zen_Contract_Version="v9")
    add("order-version-before-tenant", "unsupported_contract_version", (400, "unsupported_contract_version"),
        drop=["X-Tenant-Id"], X_Zen_Contract_Version="v9")
    add("order-tenant-before-signature", "missing_header", MISSING, drop=["X-Tenant-Id"], **wrong)
    add("order-signature-before-media-type", "signature_mismatch", SIGNATURE, Content_Type="text/plain", **wrong)
    add("order-signature-before-key", "signature_mismatch", SIGNATURE, X_Idempotency_Key="again", **wrong)
    add("order-media-type-before-key", "unsupported_media_type", (415, "unsupported_media_type"),
        Content_Type="text/plain", X_Idempotency_Key="again")


def main():
    the_envelope()
    the_signature()
    the_order()
    sys.stdout.write("[\n" + ",\n".join(json.dumps(one) for one in OUT) + "\n]\n")


if __name__ == "__main__":
    main()
