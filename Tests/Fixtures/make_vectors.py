#!/usr/bin/env python3
"""Makes vectors.json: signed requests and what must become of them, for the oldest providers of the catalogue
(make_provider_vectors.py has the others). Independent of the gateway's code: the standard library's hmac alone.
usage: make_vectors.py > vectors.json"""

import base64
import hashlib
import hmac
import json

NOW = 1_760_000_000
BODY = b'{"id":"evt_1","type":"order.paid","data":{"note":"Zo\xc3\xab \\" }"}}'
OUT = []


def mac(key, message, name="sha256"):
    return hmac.new(key, message, name).digest()


def b64(data):
    return base64.b64encode(data).decode()


def add(name, provider, secrets, headers, body, expect, alt=(), kind="verify", now=NOW, scheme=None, **more):
    vector = {
        "id": f"{provider}/{name}",
        "provider": provider,
        "scheme": scheme or provider,
        "kind": kind,
        "secrets": [{"value": s} for s in secrets],
        "method": "POST",
        "url": f"https://gateway.example/in/{provider}",
        "headers": headers,
        "body": b64(body),
        "now": now,
        "expect": expect,
        "origin": "own",
    }
    if alt:
        vector["alt_expect"] = list(alt)
    vector.update(more)
    OUT.append(vector)


# Each profile: sign(secret, body, time) -> headers with the signature last, and how a signature may be damaged.
def plain(header, prefix, encode, algorithm="sha256", key=lambda s: s.encode(), extra=()):
    def sign(secret, body, time):
        return [list(h) for h in extra] + [[header, prefix + encode(mac(key(secret), body, algorithm))]]

    return sign


def version_zero(signature, timestamp):
    def sign(secret, body, time):
        text = f"v0:{time}:".encode() + body
        return [[timestamp, str(time)], [signature, "v0=" + mac(secret.encode(), text).hex()]]

    return sign


def standard(brand):
    def sign(secret, body, time):
        text = f"msg_2mk.{time}.".encode() + body
        key = base64.b64decode(secret.removeprefix("whsec_") + "=" * (-len(secret.removeprefix("whsec_")) % 4))
        signature = "v1," + b64(mac(key, text))
        return [[f"{brand}-id", "msg_2mk"], [f"{brand}-timestamp", str(time)], [f"{brand}-signature", signature]]

    return sign


def stripe(secret, body, time):
    return [["Stripe-Signature", f"t={time},v1={mac(secret.encode(), f'{time}.'.encode() + body).hex()}"]]


HEX = bytes.hex
WHSEC = ["whsec_" + b64(hashlib.sha256(s).digest()) for s in (b"one", b"two")]
TEXT = ["a-text-secret", "another-secret"]
PROFILES = {
    "standard-webhooks": (standard("webhook"), WHSEC, True, True),
    "svix": (standard("svix"), WHSEC, True, True),
    "gitlab": (standard("webhook"), WHSEC, True, True),
    "github": (
        plain("X-Hub-Signature-256", "sha256=", HEX, extra=[("X-GitHub-Delivery", "d-1")]),
        TEXT,
        False,
        False,
    ),
    "github-sha1": (plain("X-Hub-Signature", "sha1=", HEX, "sha1"), TEXT, False, False),
    "stripe": (stripe, ["whsec_not_decoded", "whsec_other"], True, False),
    "slack": (version_zero("X-Slack-Signature", "X-Slack-Request-Timestamp"), TEXT, True, True),
    "zoom": (version_zero("x-zm-signature", "x-zm-request-timestamp"), TEXT, True, True),
    "shopify": (plain("X-Shopify-Hmac-Sha256", "", b64), TEXT, False, False),
    "fireflies": (plain("X-Hub-Signature", "sha256=", HEX), TEXT, False, False),
    "otter": (plain("x-otter-signature", "", HEX), TEXT, False, False),
}


def changed(headers, value):
    return headers[:-1] + [[headers[-1][0], value]]


def profile(provider, sign, secrets, timed, future):
    headers = sign(secrets[0], BODY, NOW)
    signature = headers[-1][1]
    digits = signature[-44:] if signature.endswith("=") else signature[-40:]
    add("valid", provider, secrets[:1], headers, BODY, "accept")
    add("header-names-in-capitals", provider, secrets[:1], [[n.upper(), v] for n, v in headers], BODY, "accept")
    add("empty-body", provider, secrets[:1], sign(secrets[0], b"", NOW), b"", "accept")
    add("binary-body", provider, secrets[:1], sign(secrets[0], bytes(range(256)), NOW), bytes(range(256)), "accept")
    add("second-secret", provider, secrets, sign(secrets[1], BODY, NOW), BODY, "accept")
    add("unknown-secret", provider, secrets[:1], sign(secrets[1], BODY, NOW), BODY, "reject:signature_mismatch")
    add("body-changed", provider, secrets[:1], headers, BODY + b" ", "reject:signature_mismatch")
    add("body-cut", provider, secrets[:1], headers, BODY[:-1], "reject:signature_mismatch")
    add("no-headers", provider, secrets[:1], [], BODY, "reject:missing_header")
    add("empty-signature", provider, secrets[:1], changed(headers, ""), BODY, "reject:malformed_header")
    add("signature-twice", provider, secrets[:1], headers + [headers[-1]], BODY, "reject:duplicate_header")

    def damaged(name, value, expect, *alt):
        add(name, provider, secrets[:1], changed(headers, value), BODY, expect, alt)

    damaged("no-signature-text", "not a signature", "reject:malformed_header")
    damaged("signature-cut", signature[:-4], "reject:signature_mismatch", "reject:malformed_header")
    damaged("signature-longer", signature + "00", "reject:signature_mismatch", "reject:malformed_header")
    if digits.endswith("="):
        other = digits[:-6] + ("A" if digits[-6] != "A" else "B") + digits[-5:]
    else:
        other = digits[:-1] + ("0" if digits[-1] != "0" else "1")
    damaged("last-digit-changed", signature.replace(digits, other), "reject:signature_mismatch")
    if not timed:
        return
    for name, now, expect in [
        ("300-s-old", NOW + 300, "accept"),
        ("301-s-old", NOW + 301, "reject:stale_timestamp"),
        ("300-s-ahead", NOW - 300, "accept"),
        ("301-s-ahead", NOW - 301, "reject:future_timestamp" if future else "accept"),
    ]:
        add(name, provider, secrets[:1], headers, BODY, expect, now=now)
    for name, time in [
        ("word", "soon"),
        ("negative", "-1"),
        ("fraction", "1760000000.5"),
        ("too-long", "1" * 17),
        ("hexadecimal", "0x68e77800"),
    ]:
        bad = [[n, v.replace(str(NOW), time)] for n, v in headers]
        add(f"timestamp-{name}", provider, secrets[:1], bad, BODY, "reject:malformed_timestamp")
    moved = [[n, v.replace(str(NOW), str(NOW + 1))] for n, v in headers]
    add("timestamp-changed", provider, secrets[:1], moved, BODY, "reject:signature_mismatch")


def lists():
    sign, secrets, _, _ = PROFILES["standard-webhooks"]
    headers = sign(secrets[0], BODY, NOW)
    good = headers[-1][1]
    wrong = "v1," + b64(bytes(32))
    for name, value, expect, alt in [
        ("wrong-then-good", f"{wrong} {good}", "accept", ()),
        ("other-version-then-good", f"v2,abc {good}", "accept", ()),
        ("malformed-then-good", f"??? {good}", "accept", ()),
        ("sixteen", " ".join([wrong] * 15 + [good]), "accept", ()),
        ("more-than-sixteen", " ".join([wrong] * 16 + [good]), "reject:malformed_header", ()),
        ("version-alone", "v1,", "reject:malformed_header", ()),
        ("version-without-comma", "v1", "reject:malformed_header", ()),
        ("spaces", "   ", "reject:malformed_header", ()),
        (
            "under-other-version",
            good.replace("v1,", "v2,"),
            "reject:signature_mismatch",
            ("reject:malformed_header",),
        ),
        ("without-padding", good.rstrip("="), "reject:malformed_header", ("reject:signature_mismatch",)),
    ]:
        add(name, "standard-webhooks", secrets[:1], changed(headers, value), BODY, expect, alt)
    both = sign(secrets[0], BODY, NOW)[-1][1] + " " + sign(secrets[1], BODY, NOW)[-1][1]
    add("two-signatures", "standard-webhooks", secrets[1:], changed(headers, both), BODY, "accept")
    bare = secrets[0].removeprefix("whsec_")
    for form in (bare, secrets[0].rstrip("="), bare.rstrip("=")):
        add(f"secret-spelled-{len(OUT)}", "standard-webhooks", [form], headers, BODY, "accept")
    add(
        "public-key-as-secret",
        "standard-webhooks",
        ["whpk_" + secrets[0][6:]],
        headers,
        BODY,
        "reject:signature_mismatch",
        ("reject:invalid_secret",),
    )
    add("secret-is-no-base-64", "standard-webhooks", ["whsec_!!"], headers, BODY, "reject:invalid_secret")
    for kind, names in (("one", secrets[:1]), ("two", secrets)):
        signatures = " ".join(sign(s, BODY, NOW)[-1][1] for s in names)
        add(
            f"sign-{kind}",
            "standard-webhooks",
            names,
            [],
            BODY,
            "accept",
            kind="sign",
            msg_id="msg_2mk",
            expect_headers=changed(headers, signatures),
        )
    add("unbranded", "svix", secrets[:1], headers, BODY, "accept")
    add("brands-mixed", "svix", secrets[:1], [["svix-id", "msg_2mk"]] + headers[1:], BODY, "reject:missing_header")

    secret = PROFILES["stripe"][1][:1]
    v1 = stripe(secret[0], BODY, NOW)[0][1].split("v1=")[1]
    for name, value, expect, alt in [
        ("old-scheme-too", f"t={NOW},v1={v1},v0={'0' * 64}", "accept", ()),
        ("wrong-then-good", f"t={NOW},v1={'0' * 64},v1={v1}", "accept", ()),
        ("not-hex-then-good", f"t={NOW},v1=zz,v1={v1}", "accept", ()),
        ("time-last", f"v1={v1},t={NOW}", "accept", ()),
        ("two-times", f"t={NOW},t={NOW},v1={v1}", "reject:malformed_header", ()),
        ("no-time", f"v1={v1}", "reject:malformed_header", ()),
        ("empty-time", f"t=,v1={v1}", "reject:malformed_header", ("reject:malformed_timestamp",)),
        ("old-scheme-alone", f"t={NOW},v0={v1}", "reject:malformed_header", ("reject:signature_mismatch",)),
        ("upper-case", f"t={NOW},v1={v1.upper()}", "accept", ()),
        ("commas", ",,", "reject:malformed_header", ()),
    ]:
        add(name, "stripe", secret, [["Stripe-Signature", value]], BODY, expect, alt)


def tokens():
    event = [["X-Gitlab-Event", "Push Hook"]]
    for name, secrets, value, expect in [
        ("token", ["s3cret"], "s3cret", "accept"),
        ("token-second", ["new", "s3cret"], "s3cret", "accept"),
        ("token-prefix", ["s3cret"], "s3cre", "reject:token_mismatch"),
        ("token-longer", ["s3cret"], "s3crets", "reject:token_mismatch"),
        ("token-other-case", ["s3cret"], "S3CRET", "reject:token_mismatch"),
        ("token-empty", ["s3cret"], "", "reject:malformed_header"),
        ("token-of-empty-secret", [""], "", "reject:invalid_secret"),
    ]:
        add(name, "gitlab", secrets, event + [["X-Gitlab-Token", value]], BODY, expect)
    add("token-missing", "gitlab", ["s3cret"], event, BODY, "reject:missing_header")
    signing = event + [["X-Gitlab-Token", WHSEC[0]]]
    add("token-for-a-signing-source", "gitlab", WHSEC[:1], signing, BODY, "reject:missing_header")


def handshakes():
    def shake(name, provider, secret, body, expect, signed=True, **more):
        headers = PROFILES[provider][0](secret, body, NOW)
        if not signed:
            headers = changed(headers, "v0=" + "0" * 64)
        add(name, provider, [secret], headers, body, expect, kind="handshake", **more)

    secret = TEXT[0]
    challenge = b'{"token":"t","challenge":"3eZbrw1aBm2rZgRN","type":"url_verification"}'
    shake(
        "challenge",
        "slack",
        secret,
        challenge,
        "accept",
        expect_response={
            "status": 200,
            "any_of": [{"content_type": "application/json", "json": {"challenge": "3eZbrw1aBm2rZgRN"}}],
        },
    )
    shake("challenge-unsigned", "slack", secret, challenge, "reject:signature_mismatch", signed=False)
    shake("challenge-missing", "slack", secret, b'{"type":"url_verification"}', "reject:missing_challenge")
    shake(
        "challenge-empty", "slack", secret, b'{"type":"url_verification","challenge":""}', "reject:missing_challenge"
    )
    shake(
        "challenge-is-an-object",
        "slack",
        secret,
        b'{"type":"url_verification","challenge":{}}',
        "reject:malformed_challenge",
    )

    def zoom(token):
        event = {"event": "endpoint.url_validation", "payload": {"plainToken": token}, "event_ts": 1}
        return json.dumps(event).encode()

    token = "qgg8vlvZRS6UYooatFL8Aw"
    shake(
        "challenge",
        "zoom",
        secret,
        zoom(token),
        "accept",
        expect_response={
            "status": 200,
            "json": {"plainToken": token, "encryptedToken": mac(secret.encode(), token.encode()).hex()},
        },
    )
    shake("challenge-unsigned", "zoom", secret, zoom(token), "reject:signature_mismatch", signed=False)
    for name, value in [
        ("signed-string", f"v0:{NOW}:{{}}"),
        ("dots", f"msg.{NOW}.x"),
        ("brace", "{"),
        ("space", "a b"),
        ("long", "a" * 129),
    ]:
        shake(f"challenge-{name}", "zoom", secret, zoom(value), "reject:challenge_not_opaque")
    shake("challenge-is-a-number", "zoom", secret, zoom(7), "reject:malformed_challenge")
    shake(
        "challenge-missing",
        "zoom",
        secret,
        b'{"event":"endpoint.url_validation","payload":{}}',
        "reject:missing_challenge",
    )


for provider_name, settings in PROFILES.items():
    profile(provider_name, *settings)
lists()
tokens()
handshakes()
print("[\n" + ",\n".join(json.dumps(v) for v in OUT) + "\n]")
