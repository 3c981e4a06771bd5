"""The providers' own Python libraries as signers and as verifiers, one class a provider. A library that is not
installed is skipped by name.

`sign(body, url)` makes the headers (and, where the signature is in the body, another body); `verify(body, headers,
url)` says whether the library takes a request; `secret` is what the source is configured with and `signing_secret`
what `sluice send` signs with.
"""

import base64
import datetime
import hashlib
import hmac
import importlib
import json
import time
import uuid
from urllib.parse import parse_qsl, urlencode, urlsplit

from report import Skip

KEY = base64.b64encode(bytes(range(7, 39))).decode()
HEX_KEY = bytes(range(50, 82)).hex()


def library(name, package=None):
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Skip(f"PyPI's {package or name} is not installed") from None


class Library:
    secret = "a-secret-of-the-tests"
    content_type = "application/json"

    @property
    def signing_secret(self):
        return self.secret

    def body(self, number):
        event = {"id": f"evt_{uuid.uuid4().hex}", "type": "invoice.paid", "n": number, "text": "héllo ☃"}
        return json.dumps(event).encode()


class Stripe(Library):
    secret = "whsec_stripe_test_secret"

    def sign(self, body, url):
        now = int(time.time())
        signature = library("stripe").WebhookSignature._compute_signature(f"{now}.{body.decode()}", self.secret)
        return {"Stripe-Signature": f"t={now},v1={signature},v0=00"}, body

    def verify(self, body, headers, url):
        signature = headers["stripe-signature"]
        return library("stripe").WebhookSignature.verify_header(body.decode(), signature, self.secret, 300)


class Slack(Library):
    def verifier(self):
        return library("slack_sdk.signature", "slack_sdk").SignatureVerifier(self.secret)

    def sign(self, body, url):
        now = str(int(time.time()))
        signature = self.verifier().generate_signature(timestamp=now, body=body.decode())
        return {"X-Slack-Request-Timestamp": now, "X-Slack-Signature": signature}, body

    def verify(self, body, headers, url):
        return self.verifier().is_valid_request(body.decode(), headers)


class Standard(Library):
    secret = "whsec_" + KEY
    module, brand = "standardwebhooks.webhooks", "webhook"

    def webhook(self):
        return library(self.module, self.module.split(".")[0]).Webhook(self.secret)

    def sign(self, body, url):
        now, name = datetime.datetime.now(datetime.timezone.utc), "msg_" + uuid.uuid4().hex
        signature = self.webhook().sign(msg_id=name, timestamp=now, data=body.decode())
        values = {"id": name, "timestamp": str(int(now.timestamp())), "signature": signature}
        return {f"{self.brand}-{key}": value for key, value in values.items()}, body

    def verify(self, body, headers, url):
        self.webhook().verify(body, headers)
        return True


class Svix(Standard):
    module, brand = "svix.webhooks", "svix"


class Twilio(Library):
    content_type = "application/x-www-form-urlencoded"

    def validator(self):
        return library("twilio.request_validator", "twilio").RequestValidator(self.secret)

    def body(self, number):
        fields = [("MessageSid", uuid.uuid4().hex), ("Body", f"héllo ☃ & {number}"), ("To", "+1555"), ("Empty", "")]
        return urlencode(fields).encode()

    @staticmethod
    def parameters(body):
        return dict(parse_qsl(body.decode(), keep_blank_values=True))

    def sign(self, body, url):
        return {"X-Twilio-Signature": self.validator().compute_signature(url, self.parameters(body))}, body

    def verify(self, body, headers, url):
        return self.validator().validate(url, self.parameters(body), headers["x-twilio-signature"])


class Discord(Library):
    seed = bytes(range(32))

    def key(self):
        return library("nacl.signing", "discord-interactions").SigningKey(self.seed)

    @property
    def secret(self):
        return bytes(self.key().verify_key).hex()

    @property
    def signing_secret(self):
        return self.seed.hex()

    def sign(self, body, url):
        now = str(int(time.time()))
        signature = self.key().sign(now.encode() + body).signature.hex()
        return {"X-Signature-Timestamp": now, "X-Signature-Ed25519": signature}, body

    def verify(self, body, headers, url):
        verify_key = library("discord_interactions", "discord-interactions").verify_key
        return verify_key(body, headers["x-signature-ed25519"], headers["x-signature-timestamp"], self.secret)


class JiraConnect(Library):
    secret = "a-shared-secret-of-an-installed-app"

    @staticmethod
    def query_hash(url):
        # No query here, so the canonical request ends in an empty one.
        return hashlib.sha256(f"POST&{urlsplit(url).path}&".encode()).hexdigest()

    def sign(self, body, url):
        now = int(time.time())
        claims = {"iss": "tests", "iat": now, "exp": now + 180, "qsh": self.query_hash(url)}
        return {"Authorization": "JWT " + library("jwt", "PyJWT").encode(claims, self.secret, algorithm="HS256")}, body

    def verify(self, body, headers, url):
        token = headers["authorization"].removeprefix("JWT ")
        claims = library("jwt", "PyJWT").decode(token, self.secret, algorithms=["HS256"])
        return claims["qsh"] == self.query_hash(url)


class Paddle(Library):
    secret = "pdl_ntfset_test"

    def sign(self, body, url):
        signature = library("paddle_billing.Notifications.PaddleSignature", "paddle-python-sdk").PaddleSignature
        now = int(time.time())
        digest = signature.calculate_hmac(self.secret, f"{now}:".encode() + body).hexdigest()
        return {"Paddle-Signature": f"ts={now};h1={digest}"}, body

    def verify(self, body, headers, url):
        notifications = library("paddle_billing.Notifications", "paddle-python-sdk")

        class Request:
            pass

        request = Request()
        request.body, request.headers = body, {"Paddle-Signature": headers["paddle-signature"]}
        return notifications.Verifier().verify(request, notifications.Secret(self.secret))


class Square(Library):
    def sign(self, body, url):
        # The library has a verifier alone; it must take what this makes.
        digest = hmac.new(self.secret.encode(), url.encode() + body, hashlib.sha256).digest()
        headers = {"x-square-hmacsha256-signature": base64.b64encode(digest).decode()}
        assert self.verify(body, headers, url), "the library refuses what the test signs"
        return headers, body

    def verify(self, body, headers, url):
        return library("square.utils.webhooks_helper", "squareup").verify_signature(
            request_body=body.decode(),
            signature_header=headers["x-square-hmacsha256-signature"],
            signature_key=self.secret,
            notification_url=url,
        )


class HubSpot(Library):
    def signature(self):
        return library("hubspot.utils.signature", "hubspot-api-client").Signature

    def sign(self, body, url):
        now = str(int(time.time() * 1000))
        value = self.signature().get_signature(self.secret, body.decode(), "v3", url, "POST", now)
        return {"X-HubSpot-Request-Timestamp": now, "X-HubSpot-Signature-v3": value}, body

    def verify(self, body, headers, url):
        return self.signature().is_valid(
            headers["x-hubspot-signature-v3"],
            self.secret,
            body.decode(),
            url,
            "POST",
            "v3",
            headers["x-hubspot-request-timestamp"],
        )


class HubSpotLegacy(HubSpot):
    def sign(self, body, url):
        value = self.signature().get_signature(self.secret, body.decode(), "v2", url, "POST")
        return {"X-HubSpot-Signature-Version": "v2", "X-HubSpot-Signature": value}, body

    def verify(self, body, headers, url):
        value = headers["x-hubspot-signature"]
        return self.signature().is_valid(value, self.secret, body.decode(), url, "POST", "v2")


class SendGrid(Library):
    number = 0x5EED5EED5EED

    def key(self):
        return library("cryptography.hazmat.primitives.asymmetric.ec", "cryptography").derive_private_key(
            self.number, library("cryptography.hazmat.primitives.asymmetric.ec").SECP256R1()
        )

    @property
    def secret(self):
        forms = library("cryptography.hazmat.primitives.serialization", "cryptography")
        spki = self.key().public_key().public_bytes(forms.Encoding.DER, forms.PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(spki).decode()

    @property
    def signing_secret(self):
        forms = library("cryptography.hazmat.primitives.serialization", "cryptography")
        form = forms.PrivateFormat.PKCS8
        return self.key().private_bytes(forms.Encoding.PEM, form, forms.NoEncryption()).decode()

    def body(self, number):
        return json.dumps([{"event": "delivered", "sg_event_id": uuid.uuid4().hex, "n": number}]).encode() + b"\r\n"

    def sign(self, body, url):
        ec = library("cryptography.hazmat.primitives.asymmetric.ec", "cryptography")
        hashes = library("cryptography.hazmat.primitives.hashes", "cryptography")
        now = str(int(time.time()))
        value = base64.b64encode(self.key().sign(now.encode() + body, ec.ECDSA(hashes.SHA256()))).decode()
        name = "X-Twilio-Email-Event-Webhook"
        return {name + "-Timestamp": now, name + "-Signature": value}, body

    def verify(self, body, headers, url):
        verifier = library("sendgrid.helpers.eventwebhook", "sendgrid").EventWebhook(self.secret)
        name = "x-twilio-email-event-webhook"
        return verifier.verify_signature(body.decode(), headers[name + "-signature"], headers[name + "-timestamp"])


class Adyen(Library):
    secret = HEX_KEY

    def body(self, number):
        item = {
            "pspReference": uuid.uuid4().hex,
            "originalReference": "",
            "merchantAccountCode": "Shop",
            "merchantReference": f"order:{number}",
            "amount": {"value": 4200 + number, "currency": "EUR"},
            "eventCode": "AUTHORISATION",
            "success": "true",
        }
        value = library("Adyen.util", "Adyen").generate_notification_sig(item, self.secret).decode()
        item["additionalData"] = {"hmacSignature": value}
        return json.dumps({"live": "false", "notificationItems": [{"NotificationRequestItem": item}]}).encode()

    def sign(self, body, url):
        return {}, body

    def verify(self, body, headers, url):
        return library("Adyen.util", "Adyen").is_valid_hmac_notification(json.loads(body), self.secret)


class AdyenPayload(Library):
    secret = HEX_KEY

    def sign(self, body, url):
        return {"HmacSignature": library("Adyen.util", "Adyen").generate_payload_sig(body, self.secret).decode()}, body

    def verify(self, body, headers, url):
        return library("Adyen.util", "Adyen").is_valid_hmac_payload(headers["hmacsignature"], self.secret, body)


LIBRARIES = {
    "stripe": Stripe(),
    "slack": Slack(),
    "standard-webhooks": Standard(),
    "openai": Standard(),
    "svix": Svix(),
    "twilio": Twilio(),
    "discord": Discord(),
    "jira-connect": JiraConnect(),
    "paddle": Paddle(),
    "square": Square(),
    "hubspot": HubSpot(),
    "hubspot-legacy": HubSpotLegacy(),
    "sendgrid": SendGrid(),
    "adyen": Adyen(),
    "adyen-payload": AdyenPayload(),
}
