#!/usr/bin/env python3
"""Requests signed by the providers' own Python libraries through the port, and deliveries verified by the
Standard Webhooks library at the receiving end. A library that is not installed is skipped by name."""

import base64
import datetime
import importlib
import json
import time
import uuid

from receiver import Receiver
from report import Report, Skip, arguments, wait_until
from serverutil import Gateway, endpoint

KEY = base64.b64encode(bytes(range(7, 39))).decode()
SECRETS = {
    "stripe": "whsec_stripe_test_secret",
    "slack": "8f742231b10e8888abcd99test",
    "standard-webhooks": "whsec_" + KEY,
    "svix": "whsec_" + KEY,
}
ENDPOINT_SECRET = "whsec_" + base64.b64encode(bytes(range(90, 122))).decode()


def library(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Skip(f"PyPI's {name} is not installed") from None


def event(number, **more):
    return json.dumps(
        {"id": f"evt_{uuid.uuid4().hex}", "type": "invoice.paid", "n": number, "text": "héllo ☃", **more}
    )


def sign_stripe(body):
    webhook = library("stripe").WebhookSignature
    now = int(time.time())
    signature = webhook._compute_signature(f"{now}.{body}", SECRETS["stripe"])
    return {"Stripe-Signature": f"t={now},v1={signature},v0=00"}


def sign_slack(body):
    signer = library("slack_sdk.signature").SignatureVerifier(SECRETS["slack"])
    now = str(int(time.time()))
    return {
        "X-Slack-Request-Timestamp": now,
        "X-Slack-Signature": signer.generate_signature(timestamp=now, body=body),
    }


def sign_standard(body):
    webhook = library("standardwebhooks.webhooks").Webhook(SECRETS["standard-webhooks"])
    now, name = datetime.datetime.now(datetime.timezone.utc), "msg_" + uuid.uuid4().hex
    signature = webhook.sign(msg_id=name, timestamp=now, data=body)
    return {"webhook-id": name, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}


def sign_svix(body):
    webhook = library("svix.webhooks").Webhook(SECRETS["svix"])
    now, name = datetime.datetime.now(datetime.timezone.utc), "msg_" + uuid.uuid4().hex
    signature = webhook.sign(msg_id=name, timestamp=now, data=body)
    return {"svix-id": name, "svix-timestamp": str(int(now.timestamp())), "svix-signature": signature}


SIGNERS = {"stripe": sign_stripe, "slack": sign_slack, "standard-webhooks": sign_standard, "svix": sign_svix}


def through_port(report, gateway, provider, sign, count=50):
    with report.case(f"{provider}: its library signs, the port accepts") as notes:
        for number in range(count):
            body = event(number)
            headers = {"Content-Type": "application/json", **sign(body)}
            status, _, answer = gateway.post(f"/in/{provider}", body.encode(), headers)
            assert 200 <= status < 300, f"{status} {answer[:200]}"
        notes.append(f"{count} requests")
    with report.case(f"{provider}: one byte changed, the port refuses"):
        body = event(0)
        headers = sign(body)
        status, _, answer = gateway.post(f"/in/{provider}", body.replace("paid", "PAID").encode(), headers)
        assert status == 401 and json.loads(answer)["reason"] == "signature_mismatch", f"{status} {answer[:200]}"


def deliveries(report, gateway, receiver):
    with report.case("standardwebhooks verifies each delivery") as notes:
        module = library("standardwebhooks.webhooks")
        verifier = module.Webhook(ENDPOINT_SECRET)
        sent = {}
        for number in range(100):
            body = event(number)
            status, _, answer = gateway.post("/in/stripe", body.encode(), sign_stripe(body))
            assert 200 <= status < 300, f"{status} {answer[:200]}"
            sent[json.loads(answer)["id"]] = body

        def arrived():
            return {d.id for d in receiver.snapshot()} >= set(sent)

        wait_until(arrived, 20, lambda: f"{receiver.count()} deliveries for {len(sent)} events")
        for delivery in receiver.snapshot():
            verifier.verify(delivery.body, delivery.headers)
            if delivery.id in sent:
                assert delivery.body == sent[delivery.id].encode(), "the body is not the one that came"
            assert abs(int(delivery.headers["webhook-timestamp"]) - time.time()) < 60
        tampered = receiver.snapshot()[0]
        try:
            verifier.verify(tampered.body + b" ", tampered.headers)
        except module.WebhookVerificationError:
            pass
        else:
            raise AssertionError("the verifier takes anything")
        notes.append(f"{len(sent)} events")
    with report.case("svix's library verifies them too"):
        verifier = library("svix.webhooks").Webhook(ENDPOINT_SECRET)
        for delivery in receiver.snapshot():
            verifier.verify(delivery.body, delivery.headers)


def main():
    arguments(__doc__)
    report = Report("clients")
    sources = [{"name": name, "provider": name, "secrets": [secret]} for name, secret in SECRETS.items()]
    with Receiver() as receiver:
        wanted = endpoint("all", receiver.url, secret=ENDPOINT_SECRET, sources=["stripe"])
        with Gateway(sources, [wanted]) as gateway:
            for provider, sign in SIGNERS.items():
                through_port(report, gateway, provider, sign)
            deliveries(report, gateway, receiver)
    report.finish()


if __name__ == "__main__":
    main()
