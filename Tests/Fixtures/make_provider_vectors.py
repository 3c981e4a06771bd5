#!/usr/bin/env python3
"""Makes provider_vectors.json: signed requests and what must become of them, for the providers that vectors.json does
not have. Independent of the gateway's code: the standard library's hmac, and PyPI's cryptography for the public keys.
usage: make_provider_vectors.py > provider_vectors.json"""

import base64
import hashlib
import hmac
import json

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

NOW = 1_760_000_000
BODY = b'{"id":"evt_1","type":"order.paid","event":"paid","data":{"note":"Zo\xc3\xab"}}'
SECRET = "a-text-secret"
OTHER = "another-secret"
OUT = []


def mac(key, message, name="sha256"):
    return hmac.new(key, message, name).digest()


def b64(data):
    return base64.b64encode(data).decode()


def add(name, provider, secrets, headers, body, expect, kind="verify", now=NOW, **more):
    """`secrets`: texts, or (text, type) pairs."""
    vector = {
        "id": f"{provider}/{name}",
        "provider": provider,
        "scheme": more.pop("scheme", provider),
        "kind": kind,
        "secrets": [{"value": s} if isinstance(s, str) else {"value": s[0], "type": s[1]} for s in secrets],
        "method": more.pop("method", "POST"),
        "url": more.pop("url", f"https://gateway.example/in/{provider}"),
        "headers": headers,
        "body": b64(body),
        "now": now,
        "expect": expect,
        "origin": "own",
    }
    vector.update(more)
    OUT.append(vector)


def cases(provider, sign, secret=SECRET, other=OTHER, body=BODY, mismatch="signature_mismatch", covers_body=True):
    """sign(secret, body) -> headers, the signature last."""
    headers = sign(secret, body)
    add("valid", provider, [secret], headers, body, "accept")
    add("names-in-capitals", provider, [secret], [[n.upper(), v] for n, v in headers], body, "accept")
    add("second-secret", provider, [other, secret], headers, body, "accept")
    add("unknown-secret", provider, [other], headers, body, f"reject:{mismatch}")
    add("no-headers", provider, [secret], [], body, "reject:missing_header")
    add(
        "signature-empty",
        provider,
        [secret],
        headers[:-1] + [[headers[-1][0], ""]],
        body,
        "reject:malformed_header",
        alt_expect=["reject:missing_header"],
    )
    add("signature-twice", provider, [secret], headers + [headers[-1]], body, "reject:duplicate_header")
    if covers_body:
        add("body-longer", provider, [secret], headers, body + b" ", f"reject:{mismatch}")
        add("body-cut", provider, [secret], headers, body[:-1], f"reject:{mismatch}")


def plain(header, prefix="", encode=bytes.hex, algorithm="sha256", key=str.encode):
    return lambda secret, body: [[header, prefix + encode(mac(key(secret), body, algorithm))]]


def bodies():
    for provider, sign in {
        "gitea": plain("X-Gitea-Signature"),
        "gogs": plain("X-Gogs-Signature"),
        "bitbucket-server": plain("X-Hub-Signature", "sha256="),
        "jira": plain("X-Hub-Signature", "sha256="),
        "intercom": plain("X-Hub-Signature", "sha1=", algorithm="sha1"),
        "launchdarkly": plain("X-LD-Signature"),
        "typeform": plain("Typeform-Signature", "sha256=", b64),
        "dropbox": plain("X-Dropbox-Signature"),
        "meta": plain("X-Hub-Signature-256", "sha256="),
        "x": plain("x-twitter-webhooks-signature", "sha256=", b64),
        "docusign": plain("X-DocuSign-Signature-1", "", b64),
        "pagerduty": plain("X-PagerDuty-Signature", "v1="),
    }.items():
        cases(provider, sign)
    cases("msteams", plain("Authorization", "HMAC ", b64, key=base64.b64decode), b64(b"k" * 32), b64(b"l" * 32))
    hexadecimal = plain("HmacSignature", "", b64, key=bytes.fromhex)
    cases("adyen-payload", hexadecimal, "ab" * 32, "cd" * 32)
    signatures = [
        ["X-DocuSign-Signature-1", b64(mac(b"old", BODY))],
        ["X-DocuSign-Signature-2", b64(mac(b"new", BODY))],
    ]
    add("second-header", "docusign", ["new"], signatures, BODY, "accept")
    add("no-header-of-ours", "docusign", ["third"], signatures, BODY, "reject:signature_mismatch")
    both = "v1=" + "0" * 64 + ",v1=" + mac(SECRET.encode(), BODY).hex()
    add("second-in-list", "pagerduty", [SECRET], [["X-PagerDuty-Signature", both]], BODY, "accept")


def window(provider, sign, secret, tolerance, future, body=lambda now: BODY):
    for age, expect in [
        (tolerance, "accept"),
        (tolerance + 1, "reject:stale_timestamp"),
        (-tolerance, "accept"),
        (-tolerance - 1, "reject:future_timestamp" if future else "accept"),
    ]:
        add(f"age-{age}", provider, [secret], sign(secret, body(NOW), NOW), body(NOW), expect, now=NOW + age)


def timed():
    def paddle(secret, body, now=NOW):
        return [["Paddle-Signature", f"ts={now};h1=" + mac(secret.encode(), f"{now}:".encode() + body).hex()]]

    def calendly(secret, body, now=NOW):
        return [
            ["Calendly-Webhook-Signature", f"t={now},v1=" + mac(secret.encode(), f"{now}.".encode() + body).hex()]
        ]

    def openai(secret, body, now=NOW):
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signature = "v1," + b64(mac(key, f"msg_1.{now}.".encode() + body))
        return [["webhook-id", "msg_1"], ["webhook-timestamp", str(now)], ["webhook-signature", signature]]

    cases("paddle", paddle)
    window("paddle", paddle, SECRET, 5, False)
    cases("calendly", calendly)
    window("calendly", calendly, SECRET, 180, False)
    keys = ["whsec_" + b64(text * 32) for text in (b"a", b"b")]
    cases("openai", openai, *keys)
    window("openai", openai, keys[0], 300, True)

    def linear_body(now):
        return json.dumps({"action": "create", "type": "Issue", "webhookTimestamp": now * 1000}).encode()

    def linear(secret, body, now=NOW):
        return [["Linear-Signature", mac(secret.encode(), body).hex()]]

    cases("linear", linear, body=linear_body(NOW))
    window("linear", linear, SECRET, 60, True, linear_body)
    without = json.dumps({"action": "create"}).encode()
    add("no-time", "linear", [SECRET], linear(SECRET, without), without, "reject:missing_header")


def mailgun(secret, now=NOW, token="t" * 50, **changes):
    signed = {
        "timestamp": str(now),
        "token": token,
        "signature": mac(secret.encode(), f"{now}{token}".encode()).hex(),
    }
    return json.dumps({"signature": {**signed, **changes}, "event-data": {"id": "e1", "event": "opened"}}).encode()


def values():
    add("valid", "mailgun", [SECRET], [], mailgun(SECRET), "accept")
    add("unknown-secret", "mailgun", [OTHER], [], mailgun(SECRET), "reject:signature_mismatch")
    add(
        "token-changed",
        "mailgun",
        [SECRET],
        [],
        mailgun(SECRET, token="u" * 50, signature="0" * 64),
        "reject:signature_mismatch",
    )
    add("old", "mailgun", [SECRET], [], mailgun(SECRET), "reject:stale_timestamp", now=NOW + 301)
    add("no-signature", "mailgun", [SECRET], [], b'{"event-data":{}}', "reject:missing_header")

    def adyen(key, **changes):
        item = {
            "pspReference": "P1",
            "merchantAccountCode": "Shop",
            "merchantReference": "order-1",
            "amount": {"value": 4200, "currency": "EUR"},
            "eventCode": "AUTHORISATION",
            "success": "true",
        }
        signed = "P1::Shop:order-1:4200:EUR:AUTHORISATION:true"
        item["additionalData"] = {"hmacSignature": b64(mac(bytes.fromhex(key), signed.encode()))}
        item.update(changes)
        return json.dumps({"live": "false", "notificationItems": [{"NotificationRequestItem": item}]}).encode()

    key = "ab" * 32
    for name, body, expect in [
        ("valid", adyen(key), "accept"),
        ("success-changed", adyen(key, success="false"), "reject:signature_mismatch"),
        ("unsigned-value-changed", adyen(key, reason="x"), "accept"),
        ("no-signature", adyen(key, additionalData={}), "reject:missing_header"),
    ]:
        add(name, "adyen", [(key, "hex")], [], body, expect, scheme="adyen-item")


def urls():
    url = "https://hooks.example:8443/in/square?shop=1"

    def square(secret, body):
        return [["x-square-hmacsha256-signature", b64(mac(secret.encode(), url.encode() + body))]]

    add("valid", "square", [SECRET], square(SECRET, BODY), BODY, "accept", url=url)
    add("other-url", "square", [SECRET], square(SECRET, BODY), BODY, "reject:signature_mismatch", url=url + "2")

    def hubspot(secret, body, now=NOW * 1000, method="POST"):
        signed = (method + url).encode() + body + str(now).encode()
        return [
            ["X-HubSpot-Request-Timestamp", str(now)],
            ["X-HubSpot-Signature-v3", b64(mac(secret.encode(), signed))],
        ]

    add("valid", "hubspot", [SECRET], hubspot(SECRET, BODY), BODY, "accept", url=url)
    add(
        "other-method",
        "hubspot",
        [SECRET],
        hubspot(SECRET, BODY, method="PUT"),
        BODY,
        "reject:signature_mismatch",
        url=url,
    )
    add("stale", "hubspot", [SECRET], hubspot(SECRET, BODY), BODY, "reject:stale_timestamp", url=url, now=NOW + 301)
    add("ahead", "hubspot", [SECRET], hubspot(SECRET, BODY), BODY, "accept", url=url, now=NOW - 3000)
    v2 = hashlib.sha256((SECRET + "POST" + url).encode() + BODY).hexdigest()
    legacy = [["X-HubSpot-Signature-Version", "v2"], ["X-HubSpot-Signature", v2]]
    add("v2", "hubspot", [SECRET], legacy, BODY, "accept", url=url, scheme="hubspot-v2")
    add(
        "v2-changed",
        "hubspot",
        [SECRET],
        legacy,
        BODY + b" ",
        "reject:signature_mismatch",
        url=url,
        scheme="hubspot-v2",
    )

    form = b"To=%2B1555&Body=Hello+%E2%98%83&Body=again&Empty=&MessageSid=SM1"
    parameters = "BodyHello \u2603BodyagainEmptyMessageSidSM1To+1555"
    kind = [["Content-Type", "application/x-www-form-urlencoded"]]

    def twilio(address, text, algorithm="sha1", secret=SECRET):
        return [["X-Twilio-Signature", b64(mac(secret.encode(), (address + text).encode(), algorithm))]]

    plain_url = "https://hooks.example/in/twilio"
    for name, headers, body, expect in [
        ("form", twilio(plain_url, parameters), form, "accept"),
        ("port-added", twilio("https://hooks.example:443/in/twilio", parameters), form, "accept"),
        ("form-changed", twilio(plain_url, parameters), form + b"2", "reject:signature_mismatch"),
        ("unknown-secret", twilio(plain_url, parameters, secret=OTHER), form, "reject:signature_mismatch"),
        (
            "sha256",
            [["X-Twilio-Webhooks-Signature-Settings", "key=k,algorithm=HMAC_SHA256"]]
            + twilio(plain_url, parameters, "sha256"),
            form,
            "accept",
        ),
    ]:
        add(name, "twilio", [SECRET], kind + headers, body, expect, url=plain_url)
    hashed = plain_url + "?bodySHA256=" + hashlib.sha256(BODY).hexdigest()
    json_kind = [["Content-Type", "application/json"]]
    add("json", "twilio", [SECRET], json_kind + twilio(hashed, ""), BODY, "accept", url=hashed)
    add(
        "json-changed",
        "twilio",
        [SECRET],
        json_kind + twilio(hashed, ""),
        BODY + b" ",
        "reject:body_hash_mismatch",
        url=hashed,
    )


def public_keys():
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    def discord(body, now=NOW):
        return [
            ["X-Signature-Timestamp", str(now)],
            ["X-Signature-Ed25519", key.sign(str(now).encode() + body).hex()],
        ]

    secret = [(public.hex(), "ed25519-public-hex")]
    for name, body, headers, expect in [
        ("valid", BODY, discord(BODY), "accept"),
        ("body-changed", BODY + b" ", discord(BODY), "reject:signature_mismatch"),
        (
            "signature-short",
            BODY,
            [["X-Signature-Timestamp", str(NOW)], ["X-Signature-Ed25519", "abcd"]],
            "reject:malformed_header",
        ),
        ("no-headers", BODY, [], "reject:missing_header"),
    ]:
        add(name, "discord", secret, headers, body, expect)
    ping = b'{"id":"1","type":1}'
    add(
        "ping",
        "discord",
        secret,
        discord(ping),
        ping,
        "accept",
        kind="handshake",
        expect_response={"status": 200, "content_type": "application/json", "json": {"type": 1}},
    )
    events = b'{"version":1,"application_id":"1","type":0}'
    add(
        "ping",
        "discord-events",
        secret,
        discord(events),
        events,
        "accept",
        kind="handshake",
        expect_response={"status": 204},
    )

    curve = ec.derive_private_key(0x5EED5EED5EED, ec.SECP256R1())
    spki = curve.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    # ECDSA needs a fresh number each time: the file changes whenever it is made.
    signature = b64(curve.sign(str(NOW).encode() + BODY, ec.ECDSA(hashes.SHA256())))
    name = "X-Twilio-Email-Event-Webhook"
    headers = [[name + "-Timestamp", str(NOW)], [name + "-Signature", signature]]
    secret = [(b64(spki), "ecdsa-p256-spki-base64")]
    add("valid", "sendgrid", secret, headers, BODY, "accept")
    add("body-changed", "sendgrid", secret, headers, BODY + b" ", "reject:signature_mismatch")
    add("no-der", "sendgrid", secret, headers[:1] + [[name + "-Signature", "AAAA"]], BODY, "reject:malformed_header")


def tokens():
    for provider, header, prefix in [
        ("cloudevents", "Authorization", "Bearer "),
        ("alertmanager", "Authorization", "Bearer "),
    ]:
        cases(provider, lambda s, b: [[header, prefix + s]], mismatch="token_mismatch", covers_body=False)
    url = "https://gateway.example/in/cloudevents?access_token=" + SECRET
    add("token-in-query", "cloudevents", [SECRET], [], BODY, "accept", url=url)
    for provider in ("datadog", "falcosidekick", "trivy-operator", "kyverno-policy-reporter"):
        cases(provider, lambda s, b: [["X-Api-Key", s]], mismatch="token_mismatch", covers_body=False)
    credentials = lambda s, b: [["Authorization", "Basic " + b64(s.encode())]]
    for provider in ("servicenow", "alertmanager", "datadog"):
        name = "basic" if provider != "servicenow" else "valid"
        add(name, provider, ["user:p\u00e4ss"], credentials("user:p\u00e4ss", b""), BODY, "accept")
        add(
            name + "-wrong", provider, ["user:pass"], credentials("user:pas", b""), BODY, "reject:invalid_credentials"
        )


def challenges():
    def shake(name, provider, url, secrets, expect, headers=(), method="GET", **more):
        add(name, provider, secrets, list(headers), b"", expect, kind="handshake", method=method, url=url, **more)

    base = "https://gateway.example/in/"
    shake(
        "challenge",
        "dropbox",
        base + "dropbox?challenge=ab%26c",
        [SECRET],
        "accept",
        expect_response={"status": 200, "content_type": "text/plain", "body": "ab&c"},
    )
    shake("no-challenge", "dropbox", base + "dropbox", [SECRET], "reject:missing_challenge")
    token = b64(mac(SECRET.encode(), b"abc-123"))
    shake(
        "crc",
        "x",
        base + "x?crc_token=abc-123",
        [SECRET],
        "accept",
        expect_response={"status": 200, "json": {"response_token": "sha256=" + token}},
    )
    shake("crc-of-a-body", "x", base + "x?crc_token=%7B%22a%22%3A1%7D", [SECRET], "reject:challenge_not_opaque")
    meta = [SECRET, ("verify-me", "verify-token")]
    query = "meta?hub.mode=subscribe&hub.challenge=42&hub.verify_token="
    shake(
        "subscription",
        "meta",
        base + query + "verify-me",
        meta,
        "accept",
        expect_response={"status": 200, "body": "42"},
    )
    shake("wrong-token", "meta", base + query + "verify-you", meta, "reject:verify_token_mismatch")
    events = [(SECRET, "bearer"), ("events.example", "allowed-origin")]
    asks = [["WebHook-Request-Origin", "events.example"], ["WebHook-Request-Rate", "60"]]
    shake(
        "options",
        "cloudevents",
        base + "cloudevents",
        events,
        "accept",
        asks,
        "OPTIONS",
        expect_response={
            "status": 200,
            "headers": {"WebHook-Allowed-Origin": ["events.example", "*"], "Allow": "contains POST"},
        },
    )
    shake(
        "options-of-a-stranger",
        "cloudevents",
        base + "cloudevents",
        events,
        "reject:origin_not_allowed",
        [["WebHook-Request-Origin", "evil.example"]],
        "OPTIONS",
    )


for group in (bodies, timed, values, urls, public_keys, tokens, challenges):
    group()
print("[\n" + ",\n".join(json.dumps(v) for v in OUT) + "\n]")
