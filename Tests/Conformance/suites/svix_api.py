#!/usr/bin/env python3
"""The Svix-shaped API: what its endpoints are sent, what lasts over a restart; and the API as the official Python
client drives it: a conformance suite that lies beside the tree (`../shared/svix-api/suite.py`) is run against a
gateway, and each of its cases is counted. What is not to be had here is skipped by name."""

import base64
import hashlib
import hmac
import json
import os
import socket
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
import sharedsuite
from receiver import Receiver
from report import Report, Skip, arguments, wait_until
from serverutil import SHARED, Gateway, open_source, request

SUITE = os.path.join(SHARED, "svix-api", "suite.py")
GROUPS = ("application", "endpoint", "event-type", "message", "attempt", "auth", "sdk", "limits", "delivery")
# What this surface does not do, or does in its own way, and why; docs/http-api.md says the same.
APART = {
    "attempt.long-responses-are-cut": "4 KiB of an answer are kept",
    "attempt.attempted-destinations": "an endpoint that was removed is in no list",
    "delivery.disabled-endpoint": "what came while an endpoint was disabled is sent when it is enabled",
    "delivery.retry-after-is-heeded": "an endpoint that asks for a longer wait than the schedule's gets it",
}
SECONDS_MAX = 240


def run(report, gateway):
    options = ["--app-token-ok", *(word for group in GROUPS for word in ("--group", group))]
    sharedsuite.run(report, gateway, SUITE, options, APART, SECONDS_MAX, "the conformance suite")


class Application:
    """The tenant `acme` of a gateway, as the application that it is."""

    def __init__(self, gateway, receiver):
        self.gateway, self.receiver = gateway, receiver
        self.id = next(one["id"] for one in self.call("GET", "/app")["data"] if one["name"] == "acme")

    def call(self, method, path, body=None, headers=None, wanted=(200, 201, 204)):
        data = None if body is None else json.dumps(body)
        status, _, text = request(self.gateway.admin_port, "/api/v1" + path, data, headers, method)
        assert status in wanted, f"{method} {path}: {status} {text[:300]}"
        return json.loads(text) if text else None

    def endpoint(self, place, **more):
        body = {"url": f"{self.receiver.url}/{place}", **more}
        return f"/app/{self.id}/endpoint/{self.call('POST', f'/app/{self.id}/endpoint', body)['id']}"

    def sent(self, place, count=1):
        """What has come there, once there is so much; a new event is sent to all endpoints first."""
        status, _, _ = self.gateway.post("/in/acme/events", json.dumps({"at": time.time()}))
        assert status == 202, status

        def there():
            return [one for one in self.receiver.snapshot() if one.path.split("?")[0].endswith("/" + place)]

        return wait_until(lambda: len(there()) >= count and there(), 15, f"{count} deliveries to {place}")[-1]


def signed(delivery, secret):
    """The entry that the secret gives."""
    text = f"{delivery.headers['svix-id']}.{delivery.headers['svix-timestamp']}.".encode() + delivery.body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


def secret(byte):
    return "whsec_" + base64.b64encode(bytes([byte] * 24)).decode()


def deliveries(report, application):
    with report.case("a delivery is signed under Svix's names, with the endpoint's own fields"):
        one = application.endpoint("one", secret=secret(1), headers={"X-Own": "ä b"})
        application.call("PATCH", one + "/headers", {"headers": {"x-more": "2"}})
        came = application.sent("one")
        assert came.headers["svix-signature"] == signed(came, secret(1)), came.headers
        assert came.headers["x-more"] == "2" and "x-own" in came.headers and "webhook-id" not in came.headers
        assert abs(int(came.headers["svix-timestamp"]) - time.time()) < 60
    with report.case("a secret that was rotated out signs until its end, and no longer"):
        rotated = application.call("POST", one + "/secret/rotate", {"key": secret(2), "gracePeriodSeconds": 3})
        ends = time.time() + 3
        assert rotated == {"key": secret(2)}, rotated
        came = application.sent("one", 2)
        if int(came.headers["svix-timestamp"]) < ends - 1:
            both = f"{signed(came, secret(2))} {signed(came, secret(1))}"
            assert came.headers["svix-signature"] == both, came.headers
        time.sleep(max(0, ends - time.time()) + 1)
        came = application.sent("one", 3)
        assert came.headers["svix-signature"] == signed(came, secret(2)), came.headers
    with report.case("credentials of a URL are sent, unless a field says otherwise"):
        url = application.receiver.url.replace("http://", "http://user:p%40ss@")
        made = application.call("POST", f"/app/{application.id}/endpoint", {"url": url + "/two"})
        assert made["url"] == url + "/two", made
        basic = "Basic " + base64.b64encode(b"user:p@ss").decode()
        assert application.sent("two").headers["authorization"] == basic
        path = f"/app/{application.id}/endpoint/{made['id']}/headers"
        application.call("PUT", path, {"headers": {"authorization": "Token own"}})
        assert application.sent("two", 2).headers["authorization"] == "Token own"
        assert application.call("GET", path) == {"headers": {}, "sensitive": ["authorization"]}


def credentials(report, application):
    with report.case("credentials of a URL: seen by administrators, in no file of answers, gone with the URL"):
        plain = application.receiver.url + "/cred"
        url = plain.replace("http://", "http://user:geheim7@")
        application.call("POST", "/app", {"name": "kept-7"}, {"idempotency-key": "kept-7"})
        for _ in range(2):
            order = (f"/app/{application.id}/endpoint", {"url": url}, {"idempotency-key": "cred"})
            made = application.call("POST", *order)
            assert made["url"] == url, made
        path = os.path.join(application.gateway.data, "idempotency.jsonl")

        def kept():
            with open(path, "rb") as file:
                return file.read()

        wait_until(lambda: os.path.exists(path) and b"kept-7" in kept(), 15, "an answer in the file")
        assert b"geheim7" not in kept()
        one = f"/app/{application.id}/endpoint/{made['id']}"
        own = {"X-Sluice-Request": "1"}
        viewer = application.call("POST", "/keys", {"tenant_id": "*", "role": "viewer"}, own)["token"]
        signed_in = {"Authorization": f"Bearer {viewer}"}
        masked = plain.replace("http://", "http://***@")
        shown = application.call("GET", one, None, signed_in)
        assert shown["url"] == masked, shown
        assert "authorization" in application.sent("cred").headers
        attempts = f"/app/{application.id}/attempt/endpoint/{made['id']}"
        message = {"eventType": "a.b", "payload": {}}
        application.call("POST", f"/app/{application.id}/msg", message, wanted=(202,))
        listed = wait_until(lambda: application.call("GET", attempts, None, signed_in)["data"], 15, "an attempt")
        assert all(attempt["url"] == masked for attempt in listed), listed
        there = application.call("GET", "/endpoints?tenant=acme")["items"]
        known = next(one["id"] for one in there if one["url"] == plain)
        application.call("PATCH", f"/endpoints/{known}", {"url": plain + "2"}, own)
        assert application.call("GET", one)["url"] == plain + "2"
        assert "authorization" not in application.sent("cred2").headers


def key_pair(report, application):
    with report.case("a key pair of Ed25519 signs, and the public half is shown"):
        try:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        except ImportError:
            raise Skip("cryptography is not installed") from None
        key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        half = key.public_key().public_bytes_raw()
        pair = "whsk_" + base64.b64encode(bytes(range(32)) + half).decode()
        three = application.endpoint("three", secret=secret(3))
        application.call("POST", three + "/secret/rotate", {"key": pair})
        shown = application.call("GET", three + "/secret")
        assert shown == {"key": "whpk_" + base64.b64encode(half).decode()}, shown
        came = application.sent("three")
        text = f"{came.headers['svix-id']}.{came.headers['svix-timestamp']}.".encode() + came.body
        new, old = came.headers["svix-signature"].split(" ")
        assert new.startswith("v1a,") and old == signed(came, secret(3)), came.headers
        key.public_key().verify(base64.b64decode(new[4:]), text)
        application.call("POST", three + "/secret/rotate", {"key": pair})
        said = application.call("POST", three + "/secret/rotate", {"key": pair}, wanted=(400,))
        assert said["code"] == "limit_reached", said
        application.call("POST", three + "/secret/rotate", {"key": pair, "gracePeriodSeconds": 0})


def names(report, application):
    with report.case("the name of a tenant opens no application, and is taken as a uid by none"):
        for name in ("default", "acme"):
            application.call("GET", f"/app/{name}", wanted=(404,))
            application.call("GET", f"/app/{name}/endpoint", wanted=(404,))
            application.call("POST", f"/auth/dashboard-access/{name}", wanted=(404,))
            draft = {"name": "n", "uid": name}
            application.call("POST", "/app", draft, wanted=(409,))
            application.call("POST", "/app?get_if_exists=true", draft, wanted=(409,))
            application.call("POST", f"/auth/app-portal-access/{name}", {"application": draft}, wanted=(409,))
            message = {"eventType": "a.b", "payload": {}, "application": draft}
            application.call("POST", f"/app/{name}/msg", message, wanted=(409,))


def making(report, application):
    with report.case("no key of all tenants but the platform's makes an application, also not with a message"):
        draft = {"name": "n", "uid": "made-by-the-way"}
        message = {"eventType": "a.b", "payload": {}, "application": draft}
        for role in ("publisher", "admin"):
            order, own = {"tenant_id": "*", "role": role}, {"X-Sluice-Request": "1"}
            signed_in = {"Authorization": "Bearer " + application.call("POST", "/keys", order, own)["token"]}
            application.call("POST", "/app", draft, signed_in, wanted=(403,))
            application.call("DELETE", f"/app/{application.id}", None, signed_in, wanted=(403,))
            application.call("POST", f"/auth/app-portal-access/{application.id}", {}, signed_in, wanted=(403,))
            application.call("POST", "/app/made-by-the-way/msg", message, signed_in, wanted=(403,))
            there = {"eventType": "a.b", "payload": {}}
            application.call("POST", f"/app/{application.id}/msg", there, signed_in, wanted=(202,))
        application.call("GET", "/app/made-by-the-way", wanted=(404,))


def unread(report, application):
    with report.case("a stranger's body is not read where nothing takes one"):
        head = "POST /api/v1/auth/logout HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2000000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", application.gateway.admin_port), timeout=10) as connection:
            connection.sendall(head.encode())
            assert connection.recv(4096).startswith(b"HTTP/1.1 501"), "answered before the body is there"


def restart(report, application):
    with report.case("event types, endpoints and kept answers last over a restart"):
        keyed = {"idempotency-key": "once"}
        first = application.call("POST", "/app", {"name": "first"}, keyed)
        application.call("POST", "/event-type", {"name": "a.b", "description": "d", "schemas": {"1": {}}})
        before = [application.call("GET", path) for path in ("/app", "/event-type", f"/app/{application.id}/endpoint")]
        application.gateway.stop()
        application.gateway.start()
        after = [application.call("GET", path) for path in ("/app", "/event-type", f"/app/{application.id}/endpoint")]
        assert after == before
        assert application.call("POST", "/app", {"name": "second"}, keyed) == first
        assert application.call("GET", "/app") == before[0]


def id_of(prefix, value):
    """The id that a number of 160 bits is."""
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    text = ""
    for _ in range(27):
        value, digit = divmod(value, 62)
        text = digits[digit] + text
    return prefix + text


def bounds(report, application):
    with report.case("what is said of a wrong body is bounded"):
        wrong = [f"bad {number}" for number in range(1000)]
        path = f"/app/{application.id}/endpoint"
        body = {"url": "http://127.0.0.1/", "eventTypes": wrong, "filterTypes": wrong}
        said = application.call("POST", path, body, wanted=(422,))
        assert len(said["detail"]) == 100, len(said["detail"])
        said = application.call("POST", path, {**body, "headers": {"x" * 100_000: "v"}}, wanted=(422,))
        assert len(json.dumps(said)) < 100_000
        large = {"name": "large.one", "description": "d", "schemas": {"1": {"title": "t" * (300 << 10)}}}
        application.call("POST", "/event-type", large, wanted=(201, 422))
    with report.case("a payload of many members, with names twice, is shown as it came"):
        payload = "{" + ",".join(f'"{number % 9000}":{number}' for number in range(10_000)) + "}"
        path, port = f"/api/v1/app/{application.id}/msg", application.gateway.admin_port
        status, _, text = request(port, path, f'{{"eventType":"wide","payload":{payload}}}', None, "POST")
        assert status == 202, text[:300]
        status, _, text = request(port, f"{path}/{json.loads(text)['id']}", None, None, "GET")
        assert status == 200 and payload.encode() in text, text[:300]
    with report.case("a page of large payloads ends early, and the next one goes on"):
        path = f"/app/{application.call('POST', '/app', {'name': 'large'})['id']}/msg"
        ids = []
        for number in range(12):
            body = {"eventType": "large", "payload": {"number": number, "fill": "x" * 900_000}}
            ids.append(application.call("POST", path, body, wanted=(202,))["id"])
        seen, page = [], {"done": False, "iterator": ""}
        while not page["done"] and len(seen) < len(ids):
            page = application.call("GET", f"{path}?iterator={page['iterator']}")
            assert 0 < len(page["data"]) < len(ids), len(page["data"])
            seen += [one["id"] for one in page["data"]]
        assert seen == ids[::-1] and page["done"], seen
    with report.case("an iterator of the largest place there could be does no harm"):
        one = application.endpoint("largest")
        application.call("GET", f"{one}/msg?iterator=-{id_of('msg_', (2**64 - 1) << 96)}")
        attempts = one.replace("/endpoint/", "/attempt/endpoint/")
        for sign in ("", "-"):
            application.call("GET", f"{attempts}?iterator={sign}{id_of('atmpt_', (2**64 - 1) << 48)}")
            application.call("GET", f"/app/{application.id}/msg?iterator={sign}{id_of('msg_', (2**64 - 1) << 96)}")
    with report.case("header fields of an endpoint are bounded together, and credentials are"):
        one = application.endpoint("bounds")
        fields = {f"x-{number}": "v" * 4000 for number in range(5)}
        application.call("PUT", one + "/headers", {"headers": fields}, wanted=(422,))
        fields.popitem()
        application.call("PUT", one + "/headers", {"headers": fields})
        url = application.receiver.url.replace("http://", f"http://{'u' * 1100}:p@") + "/bounds"
        application.call("PATCH", one, {"url": url}, wanted=(422,))


def own(report):
    with Receiver() as receiver:
        gateway = Gateway([open_source("events", tenant="acme")], delivery={"allow": ["127.0.0.0/8"]})
        with gateway:
            application = Application(gateway, receiver)
            for group in (deliveries, credentials, key_pair, names, making, bounds, unread, restart):
                group(report, application)


def main():
    arguments(__doc__)
    report = Report("svix_api")
    own(report)
    lacks = sharedsuite.missing(SUITE, "../shared/svix-api/suite.py", "svix", "requests")
    if lacks:
        report.skip("the conformance suite", f"not here: {', '.join(lacks)}")
        return report.finish()
    with Gateway([open_source()], delivery={"allow": ["127.0.0.0/8"]}) as gateway:
        run(report, gateway)
    report.finish()


if __name__ == "__main__":
    main()
