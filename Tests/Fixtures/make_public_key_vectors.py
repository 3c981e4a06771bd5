#!/usr/bin/env python3
"""Makes public_key_vectors.json: requests signed with public keys, or by rules that are code, and what must become of
them. Independent of the gateway: PyPI's cryptography and the standard library. The keys are made from fixed seeds and
guard nothing. usage: make_public_key_vectors.py > public_key_vectors.json"""

import base64
import datetime
import hashlib
import hmac
import json
import zlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

NOW = 1_760_000_000
BODY = '{"id":"evt_1","type":"order.paid","note":"Zoë \\" }"}'.encode()
OUT = []


def b64(data):
    return base64.b64encode(data).decode()


def b64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def mac(key, message):
    return hmac.new(key, message, "sha256").digest()


def prime(seed, bits=1024):
    """The first prime after a number of so many bits that a hash makes of the seed, fit for the exponent 65537."""
    digest = b"".join(hashlib.sha256(f"{seed}/{i}".encode()).digest() for i in range(bits // 256))
    candidate = int.from_bytes(digest, "big") | 1 | 3 << bits - 2
    bases = (2, 3, 5, 7, 11, 13)
    while candidate % 65537 == 1 or any(pow(base, candidate - 1, candidate) != 1 for base in bases):
        candidate += 2
    return candidate


def rsa_key(seed, bits=2048):
    p, q, e = prime(seed + "/p", bits // 2), prime(seed + "/q", bits // 2), 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(e, p * q)
    return rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public).private_key()


def certificate(name, key, issuer=None, issuer_key=None, authority=False, years=(2020, 2040), alternative=None):
    def subject(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = (
        x509.CertificateBuilder()
        .subject_name(subject(name))
        .issuer_name(subject(issuer or name))
        .public_key(key.public_key())
        .serial_number(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1 or 1)
        .not_valid_before(datetime.datetime(years[0], 1, 1))
        .not_valid_after(datetime.datetime(years[1], 1, 1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if alternative:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(alternative)]), critical=False)
    signed = builder.sign(issuer_key or key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def spki(key):
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.DER, form)


def raw(key):
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def add(name, scheme, secrets, headers, body, expect, url=None, method="POST", now=NOW, **more):
    OUT.append(
        {
            "id": f"{scheme}/{name}",
            "provider": scheme,
            "scheme": scheme,
            "kind": "verify",
            "secrets": [{"value": s} for s in secrets],
            "method": method,
            "url": url or f"https://gateway.example/in/{scheme}",
            "headers": headers,
            "body": b64(body),
            "now": now,
            "expect": expect,
            "origin": "own",
            **more,
        }
    )


ED = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"sluice test ed25519").digest())
ED_OTHER = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"sluice other ed25519").digest())
P256 = ec.derive_private_key(int.from_bytes(hashlib.sha256(b"sluice test p256").digest(), "big") >> 1, ec.SECP256R1())
RSA = rsa_key("sluice test rsa")
RSA_OTHER = rsa_key("sluice other rsa")
ECDSA = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


def discord():
    def headers(key, body, time):
        signature = key.sign(str(time).encode() + body).hex()
        return [["X-Signature-Timestamp", str(time)], ["X-Signature-Ed25519", signature]]

    public = raw(ED).hex()
    good = headers(ED, BODY, NOW)
    add("valid", "discord", [public], good, BODY, "accept")
    add("second-key", "discord", [raw(ED_OTHER).hex(), public], good, BODY, "accept")
    add("key-as-base64", "discord", [b64(raw(ED))], good, BODY, "accept")
    add("other-key", "discord", [raw(ED_OTHER).hex()], good, BODY, "reject:signature_mismatch")
    add("body-changed", "discord", [public], good, BODY + b" ", "reject:signature_mismatch")
    add("stale", "discord", [public], headers(ED, BODY, NOW - 301), BODY, "reject:stale_timestamp")
    add("future", "discord", [public], headers(ED, BODY, NOW + 301), BODY, "reject:future_timestamp")
    add("no-signature", "discord", [public], good[:1], BODY, "reject:missing_header")
    add("twice", "discord", [public], good + good[1:], BODY, "reject:duplicate_header")


def standard():
    def headers(signatures, time=NOW):
        return [
            ["webhook-id", "msg_1"],
            ["webhook-timestamp", str(time)],
            ["webhook-signature", " ".join(signatures)],
        ]

    def message(time=NOW):
        return f"msg_1.{time}.".encode() + BODY

    public = "whpk_" + b64(raw(ED))
    good = "v1a," + b64(ED.sign(message()))
    other = "v1a," + b64(ED_OTHER.sign(message()))
    secret = hashlib.sha256(b"sluice test secret").digest()
    symmetric = "v1," + b64(mac(secret, message()))
    held = "whsec_" + b64(secret)
    add("v1a", "standard-webhooks", [public], headers([good]), BODY, "accept")
    add("v1a-second", "standard-webhooks", [public], headers([other, good]), BODY, "accept")
    add("v1-and-v1a", "standard-webhooks", [public], headers([symmetric, good]), BODY, "accept")
    add("both-held-v1-sent", "standard-webhooks", [public, held], headers([symmetric]), BODY, "accept")
    add("both-held-v1a-sent", "standard-webhooks", [held, public], headers([good]), BODY, "accept")
    add("other-key", "standard-webhooks", [public], headers([other]), BODY, "reject:signature_mismatch")
    add(
        "v1-alone-for-a-public-key",
        "standard-webhooks",
        [public],
        headers([symmetric]),
        BODY,
        "reject:signature_mismatch",
    )
    forged = "v1," + b64(mac(raw(ED), message()))
    add("public-key-as-secret", "standard-webhooks", [public], headers([forged]), BODY, "reject:signature_mismatch")
    stale = "v1a," + b64(ED.sign(message(NOW - 301)))
    add("stale", "standard-webhooks", [public], headers([stale], NOW - 301), BODY, "reject:stale_timestamp")


def sendgrid():
    def headers(body, time=NOW):
        signature = b64(P256.sign(str(time).encode() + body, ECDSA))
        prefix = "X-Twilio-Email-Event-Webhook-"
        return [[prefix + "Timestamp", str(time)], [prefix + "Signature", signature]]

    body = b'[{"event":"open"}]\r\n'
    public = b64(spki(P256))
    add("valid", "sendgrid", [public], headers(body), body, "accept")
    pem = (
        P256.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    add("key-as-pem", "sendgrid", [pem], headers(body), body, "accept")
    add("without-line-end", "sendgrid", [public], headers(body), body[:-2], "reject:signature_mismatch")
    add("no-timestamp", "sendgrid", [public], headers(body)[1:], body, "reject:missing_header")


SNS_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:orders"


def sns_message(kind="Notification", version="2", key=RSA, url=SNS_URL, drop=(), **values):
    message = {
        "Type": kind,
        "MessageId": "11111111-2222-3333-4444-555555555555",
        "TopicArn": TOPIC,
        "Message": 'Zoë\n\U0001f600 "paid"',
        "Timestamp": "2025-10-09T08:53:20.000Z",
        "SignatureVersion": version,
        "SigningCertURL": url,
    }
    if kind == "Notification":
        message["Subject"] = "order"
        names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    else:
        message["Token"] = "2336412f37"
        message["SubscribeURL"] = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=2336412f37"
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    for name in drop:
        message.pop(name, None)
    signed = "".join(f"{name}\n{message[name]}\n" for name in names if name in message).encode()
    algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()
    message["Signature"] = b64(key.sign(signed, padding.PKCS1v15(), algorithm))
    message.update(values)
    return json.dumps(message).encode()


def sns():
    pem = certificate("sns.amazonaws.com", RSA)
    scheme = "aws-sns"

    def one(name, body, expect, secrets=(pem,), headers=()):
        add(name, scheme, list(secrets), [list(h) for h in headers], body, expect)

    one("version-1", sns_message(version="1"), "accept")
    one("version-2", sns_message(), "accept")
    one("without-subject", sns_message(drop=["Subject"]), "accept")
    one("confirmation", sns_message("SubscriptionConfirmation"), "accept")
    one("unsubscribe", sns_message("UnsubscribeConfirmation", version="1"), "accept")
    one("topic-of-the-source", sns_message(), "accept", [TOPIC, pem])
    one("another-topic", sns_message(), "reject:origin_not_allowed", [TOPIC + "-2", pem])
    # The header is not signed, so nothing hangs on it.
    one("header-differs", sns_message(), "accept", headers=[("x-amz-sns-message-type", "SubscriptionConfirmation")])
    one("other-key", sns_message(key=RSA_OTHER), "reject:signature_mismatch")
    one("message-changed", sns_message(Message="paid"), "reject:signature_mismatch")
    one("version-relabelled", sns_message(SignatureVersion="1"), "reject:signature_mismatch")
    one("version-unknown", sns_message(SignatureVersion="3"), "reject:wrong_algorithm")
    one("type-unknown", sns_message(Type="Other"), "reject:malformed_header")
    twice = sns_message().replace(b'{"Type"', b'{"Message": "another", "Type"')
    one("message-twice", twice, "reject:malformed_header")
    one("no-json", b"Type=Notification", "reject:malformed_header")
    one("no-signature", sns_message(Signature=""), "reject:malformed_header")
    # Each differs from the right address in one thing.
    host, path = SNS_URL[: SNS_URL.rindex("/")], SNS_URL[SNS_URL.rindex("/") :]
    for index, url in enumerate(
        [
            "http://sns.eu-west-1.amazonaws.com" + path,
            "https://sns.eu-west-1.amazonaws.com.example.com" + path,
            "https://example.com/sns.eu-west-1.amazonaws.com" + path,
            host + ":443" + path,
            host + "@example.com" + path,
            "https://user@sns.eu-west-1.amazonaws.com" + path,
            SNS_URL + "?x=1",
            SNS_URL + "#x",
            SNS_URL.replace(".pem", ".txt"),
            host + "/.." + path,
            host + "/" + path,
            host + "/%2e" + path,
            "https://sns.a.b.amazonaws.com" + path,
            "https://s3.eu-west-1.amazonaws.com" + path,
            "https://SNS.eu-west-1.amazonaws.com" + path,
            "https://sns.eu-west-1.amazonaws.com\\.example.com" + path,
            "https://sns.eu-west-1.amazonaws.comx" + path,
            # A bucket of S3 may be called `sns`.
            "https://sns.s3-us-west-2.amazonaws.com" + path,
            "https://sns.s3.amazonaws.com" + path,
            "https://sns.s3-website-us-east-1.amazonaws.com" + path,
            "https://sns.eu-west.amazonaws.com" + path,
            "https://sns.eu-1.amazonaws.com" + path,
            "https://sns.eu-west-123.amazonaws.com" + path,
            "https://sns.eu--west-1.amazonaws.com" + path,
            "https://sns.eu-west-1a.amazonaws.com" + path,
            "https://sns.cn-north-1.amazonaws.com" + path,
            "https://sns.eu-west-1.amazonaws.com.cn" + path,
            host + "/a.pem",
            host + path.replace("0123", "012"),
            host + path.replace("abcdef", "ABCDEF"),
            host + "/x" + path,
        ]
    ):
        one(f"certificate-elsewhere-{index}", sns_message(url=url), "reject:untrusted_cert_url")
    for name, place in [("in-china", "cn-north-1.amazonaws.com.cn"), ("for-offices", "us-gov-east-1.amazonaws.com")]:
        one(f"certificate-{name}", sns_message(url=f"https://sns.{place}{path}"), "accept")


def paypal():
    url = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77"
    pem = certificate("messageverificationcerts.paypal.com", RSA)
    webhook = "1JE4291016473214C"

    def headers(body=BODY, key=RSA, algorithm="SHA256withRSA", cert=url, webhook=webhook, drop=None):
        signed = f"69cd13f0|2025-10-09T08:53:20Z|{webhook}|{zlib.crc32(body)}".encode()
        signature = b64(key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))
        pairs = [["ID", "69cd13f0"], ["TIME", "2025-10-09T08:53:20Z"], ["SIG", signature]]
        named = [["PAYPAL-TRANSMISSION-" + n, v] for n, v in pairs]
        named += [["PAYPAL-CERT-URL", cert], ["PAYPAL-AUTH-ALGO", algorithm]]
        return [pair for pair in named if pair[0] != drop]

    def one(name, headers, expect, body=BODY, secrets=(pem, webhook)):
        add(name, "paypal", list(secrets), headers, body, expect)

    one("valid", headers(), "accept")
    one("sandbox", headers(cert=url.replace("api.", "api.sandbox.")), "accept")
    one("second-webhook", headers(), "accept", secrets=["0AB", webhook, pem])
    one("empty-body", headers(body=b""), "accept", body=b"")
    one("other-webhook", headers(webhook="0AB"), "reject:signature_mismatch")
    one("body-changed", headers(), "reject:signature_mismatch", body=BODY + b" ")
    one("other-key", headers(key=RSA_OTHER), "reject:signature_mismatch")
    one("algorithm", headers(algorithm="SHA1withRSA"), "reject:wrong_algorithm")
    elsewhere = [
        ("", url.replace("paypal.com", "paypal.com.example.com")),
        ("-path", "https://api.paypal.com/v1/x/1"),
        ("-deeper", url + "/1"),
        ("-no-id", url[: url.index("360c")]),
        ("-id", url.replace("-fca2", "_fca2")),
        ("-folder", url.replace("/v1/", "/v2/")),
    ]
    for name, address in elsewhere:
        one("certificate-elsewhere" + name, headers(cert=address), "reject:untrusted_cert_url")
    one("no-certificate", headers(drop="PAYPAL-CERT-URL"), "reject:missing_header")
    one(
        "signature-no-base64", [[n, "!" if n.endswith("SIG") else v] for n, v in headers()], "reject:malformed_header"
    )
    one("time-no-time", [[n, "a|b" if n.endswith("TIME") else v] for n, v in headers()], "reject:malformed_timestamp")


def query_hash(method, path, query):
    return hashlib.sha256(f"{method}&{path}&{query}".encode()).hexdigest()


def jira():
    secret = "connect-shared-secret-of-the-tests-0123456789"
    url = "https://gateway.example/in/jira-connect?b=2&a=x%20y&a=1&empty="
    hashed = query_hash("POST", "/in/jira-connect", "a=1,x%20y&b=2&empty=")

    def token(head=None, key=secret, **claims):
        said = {"iss": "client-1", "iat": NOW, "exp": NOW + 180, "qsh": hashed}
        said.update(claims)
        said = {name: value for name, value in said.items() if value is not None}
        parts = [json.dumps(head or {"typ": "JWT", "alg": "HS256"}).encode(), json.dumps(said).encode()]
        signed = ".".join(b64url(part) for part in parts)
        return signed + "." + b64url(mac(key.encode(), signed.encode()))

    def one(name, value, expect, url=url, method="POST", now=NOW, secrets=(secret,)):
        add(
            name,
            "jira-connect",
            list(secrets),
            [["Authorization", value]] if value else [],
            BODY,
            expect,
            url=url,
            method=method,
            now=now,
        )

    one("valid", "JWT " + token(), "accept")
    one("second-secret", "JWT " + token(), "accept", secrets=["another-secret", secret])
    one("parameter-jwt-left-out", "JWT " + token(), "accept", url=url + "&jwt=x")
    one("expiry-exact", "JWT " + token(), "accept", now=NOW + 180 + 30)
    one("expired", "JWT " + token(), "reject:stale_timestamp", now=NOW + 180 + 31)
    one("issued-later", "JWT " + token(iat=NOW + 31, exp=NOW + 99), "reject:future_timestamp")
    one("no-expiry", "JWT " + token(exp=None), "reject:malformed_timestamp")
    one("expiry-as-text", "JWT " + token(exp="later"), "reject:malformed_timestamp")
    one("no-hash", "JWT " + token(qsh=None), "reject:signature_mismatch")
    one("context-hash", "JWT " + token(qsh="context-qsh"), "reject:signature_mismatch")
    one("other-secret", "JWT " + token(key="another-secret"), "reject:signature_mismatch")
    one("other-method", "JWT " + token(), "reject:signature_mismatch", method="PUT")
    one("other-query", "JWT " + token(), "reject:signature_mismatch", url=url.replace("b=2", "b=3"))
    one("algorithm-none", "JWT " + token({"alg": "none"}), "reject:wrong_algorithm")
    one("algorithm-other", "JWT " + token({"alg": "RS256"}), "reject:wrong_algorithm")
    one("critical", "JWT " + token({"alg": "HS256", "crit": ["b64"], "b64": False}), "reject:malformed_header")
    one("two-parts", "JWT a.b", "reject:malformed_header")
    one("padded", "JWT " + token() + "=", "reject:malformed_header")
    one("bearer", "Bearer " + token(), "reject:malformed_header")
    one("no-header", None, "reject:missing_header")


def adyen():
    key = hashlib.sha256(b"sluice test adyen").digest()

    def item(name="TestPayment-1", value=1130, drop=(), sign=True, **more):
        said = {
            "pspReference": "7914073381342284",
            "originalReference": "",
            "merchantAccountCode": "TestMerchant",
            "merchantReference": name,
            "amount": {"currency": "EUR", "value": value},
            "eventCode": "AUTHORISATION",
            "success": "true",
        }
        amount = said["amount"]
        fields = [said[n] for n in ("pspReference", "originalReference", "merchantAccountCode", "merchantReference")]
        fields += [amount["value"], amount["currency"], said["eventCode"], said["success"]]
        if sign:
            said["additionalData"] = {"hmacSignature": b64(mac(key, ":".join(map(str, fields)).encode()))}
        for name in drop:
            said.pop(name)
        said.update(more)
        return said

    def many(*items):
        listed = [{"NotificationRequestItem": i} for i in items]
        return json.dumps({"live": "false", "notificationItems": listed}).encode()

    def one(name, body, expect, secret=key.hex()):
        add(name, "adyen-item", [secret], [], body, expect)

    one("one", many(item()), "accept")
    one("bare", json.dumps(item()).encode(), "accept")
    one("two", many(item(), item("a:b\\c/Zoë")), "accept")
    one("large-amount", many(item(value=9007199254740993)), "accept")
    one("without-original", many(item(drop=["originalReference"])), "accept")
    one("upper-case-key", many(item()), "accept", key.hex().upper())
    one("unsigned-field-changed", many(item(reason="other")), "accept")
    one("second-unsigned", many(item(), item(sign=False)), "reject:missing_header")
    one("second-changed", many(item(), item(success="false")), "reject:signature_mismatch")
    one("amount-changed", many(item(amount={"currency": "EUR", "value": 1})), "reject:signature_mismatch")
    one("no-items", many(), "reject:missing_header")
    one("no-amount", many(item(drop=["amount"])), "reject:malformed_header")
    one("name-twice", many(item()).replace(b'"success"', b'"success": "false", "success"'), "reject:malformed_header")
    one("no-json", b"{", "reject:malformed_header")
    one("other-key", many(item()), "reject:signature_mismatch", hashlib.sha256(b"other").hexdigest())


def hubspot():
    secret = "11111111-2222-3333-4444-555555555555"
    url = "https://gateway.example/in/hubspot?a=1"

    def one(name, version, message, expect, body=BODY, said=None, method="POST"):
        digest = hashlib.sha256(secret.encode() + message).hexdigest()
        headers = [["X-HubSpot-Signature", digest]]
        if said or version != "v1":
            headers.append(["X-HubSpot-Signature-Version", said or version])
        add(name, "hubspot-" + version, [secret], headers, body, expect, url=url, method=method)

    one("valid", "v1", BODY, "accept")
    one("valid", "v2", b"POST" + url.encode() + BODY, "accept")
    one("body-changed", "v1", BODY, "reject:signature_mismatch", body=BODY + b" ")
    one("method-changed", "v2", b"POST" + url.encode() + BODY, "reject:signature_mismatch", method="PUT")
    one(
        "version-2-as-1",
        "v1",
        b"POST" + url.encode() + BODY,
        "reject:signature_mismatch",
        body=b"POST" + url.encode() + BODY,
    )
    one("version-unknown", "v1", BODY, "reject:wrong_algorithm", said="v9")
    # What a lengthened message has: 0x80, zeros, the length.
    long = BODY + b"\x80" + b"\x00" * 15 + b'{"more":1}'
    one("lengthened", "v1", long, "reject:signature_mismatch", body=long)


def certificates():
    """For the trust of fetched certificates: kind `derive`, which no verifier runs."""
    root_key, middle_key = rsa_key("sluice test root"), rsa_key("sluice test middle")
    root = certificate("Sluice test root", root_key, authority=True)
    middle = certificate("Sluice test middle", middle_key, "Sluice test root", root_key, authority=True)
    name = "messageverificationcerts.paypal.com"
    leaf = certificate(name, RSA, "Sluice test middle", middle_key, alternative=name)
    past = certificate(name, RSA, "Sluice test middle", middle_key, years=(2001, 2002))
    other = certificate("example.com", RSA, "Sluice test middle", middle_key)
    public = (
        RSA.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    server = certificate("localhost", RSA, "Sluice test root", root_key, alternative="localhost")
    server_key = RSA.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return {
        "server": server,
        "serverKey": server_key,
        "root": root,
        "middle": middle,
        "leaf": leaf,
        "past": past,
        "otherName": other,
        "alone": certificate(name, RSA),
        "sns": certificate("sns.amazonaws.com", RSA),
        "rsaPublic": public,
        "rsaShort": b64(spki(rsa_key("sluice short rsa", 1024))),
        "snsMessage": b64(sns_message()),
        "ed25519Private": "whsk_" + b64(hashlib.sha256(b"sluice test ed25519").digest() + raw(ED)),
        "ed25519Public": "whpk_" + b64(raw(ED)),
        "topic": TOPIC,
    }


for make in (discord, standard, sendgrid, sns, paypal, jira, adyen, hubspot):
    make()
print(json.dumps({"vectors": OUT, "material": certificates()}, indent=1))
