#!/usr/bin/env python3
"""Publishing from outside: an event put into the log by the API reaches the tenant's endpoints by the ordinary way,
once for each id, with its body byte by byte; over a restart, a kill and many callers at once."""

import concurrent.futures
import http.client
import json
import os
import re
import socket
import tempfile
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
from receiver import Receiver
from report import Report, arguments, one_line, wait_until
from serverutil import Gateway, endpoint, open_source, platform_key, request, sluice

EVENTS = "/api/v1/events"
# Spaces, an order of keys, numbers and escapes that a JSON library would change.
PAYLOAD = '{ "z":1.0e+2, "a" : [1,2 ,3],"n":123456789012345678901234567890.50, "t":"\\u00e4\\/ü" }'


class Bench:
    def __init__(self, receiver):
        sources = [open_source("in"), open_source("acme-in", tenant="acme")]
        url = receiver.url
        endpoints = [
            endpoint("all", url + "/all"),
            endpoint("eu", url + "/eu", channels=["eu", "us"]),
            endpoint("only-published", url + "/published", sources=["@publish"]),
            endpoint("only-in", url + "/in", sources=["in"]),
            endpoint("paid", url + "/paid", types=["invoice.*"]),
            endpoint("acme", url + "/acme", tenant="acme"),
        ]
        self.gateway = Gateway(sources, endpoints)
        self.receiver = receiver

    def call(self, method, path, body=None, headers=None, token=None):
        fields = {"X-Sluice-Request": "1", "Content-Type": "application/json", **(headers or {})}
        if token:
            fields["Authorization"] = f"Bearer {token}"
        data = body.encode() if isinstance(body, str) else body
        status, answered, text = request(self.gateway.admin_port, path, data, fields, method)
        return status, answered, text.decode()

    def publish(self, wanted=202, query="", headers=None, token=None, raw=None, **members):
        body = raw if raw is not None else json.dumps(members)
        status, answered, text = self.call("POST", EVENTS + query, body, headers, token)
        assert status == wanted, f"{status} {one_line(text)}"
        return json.loads(text)

    def got(self, path, count, seconds=15):
        """The deliveries at a path of the receiver, once there are so many."""

        def found():
            return [one for one in self.receiver.snapshot() if one.path == "/hooks/" + path]

        wait_until(lambda: len(found()) >= count, seconds, f"{count} deliveries at {path}, there are {len(found())}")
        return found()


def once(report, bench):
    with report.case("a published event is delivered as it was written, and shown"):
        raw = f'{{"tags":["vip"],"type":"invoice.paid","payload":{PAYLOAD},"event_id":"inv-1"}}'
        made = bench.publish(raw=raw)
        assert made["status"] == "accepted" and made["id"].startswith("evt_"), made
        for path in ("all", "published", "paid"):
            (got,) = bench.got(path, 1)
            assert got.body.decode() == PAYLOAD and got.id == made["id"], got.body
            assert got.headers["content-type"] == "application/json", got.headers
            assert got.headers["sluice-event-type"] == "invoice.paid" and got.headers["sluice-source"] == "@publish"
            assert not [name for name in got.headers if name in ("sluice-tags", "sluice-event-id")], got.headers
        shown = json.loads(bench.call("GET", f"{EVENTS}/{made['id']}?reveal=true")[2])
        assert shown["body"] == PAYLOAD and shown["event"]["provider_id"] == "inv-1", shown
        assert ["Sluice-Tags", "vip"] in shown["headers"], shown["headers"]
        for query in ("provider_id=inv-1", "source=@publish", "type=invoice.*"):
            listed = json.loads(bench.call("GET", f"{EVENTS}?{query}")[2])["items"]
            assert [one["id"] for one in listed] == [made["id"]], query
    with report.case("the same id again is a duplicate of the first, over a restart too"):
        first = bench.publish(type="t", payload=1, event_id="once")
        for restart in (False, True):
            if restart:
                assert bench.gateway.stop() == 0
                bench.gateway.start()
            again = bench.publish(type="t", payload=2, event_id="once")
            assert again == {"status": "duplicate", "id": first["id"]}, again
        other = bench.publish(type="t", payload=2, event_id="once", headers={"X-Tenant-Id": "acme"})
        assert other["status"] == "accepted" and bench.got("acme", 1)[0].body == b"2"
    with report.case("an Idempotency-Key does the same for a call, of one caller"):
        key = {"Idempotency-Key": "7f-1"}
        first = bench.publish(type="t", payload={"k": 1}, headers=key)
        assert bench.publish(type="t", payload={"k": 1}, headers=key) == {"status": "duplicate", "id": first["id"]}
        made = bench.call("POST", "/api/v1/keys", '{"tenant_id":"default","role":"publisher"}')
        token = json.loads(made[2])["token"]
        assert bench.publish(type="t", payload={"k": 1}, headers=key, token=token)["status"] == "accepted"
        refused = bench.call("GET", EVENTS, token=token)
        assert refused[0] == 403, refused


def raw_bodies(report, bench):
    with report.case("with the type in the query any body goes as it is"):
        before = len(bench.got("all", 1))
        body = b"a;b\r\n1;2\x00\xff"
        made = bench.publish(raw=body, query="?type=csv&channels=eu", headers={"Content-Type": "text/csv"})
        got = bench.got("all", before + 1)[-1]
        assert got.body == body and got.headers["content-type"] == "text/csv" and got.id == made["id"], got.headers
    with report.case("what is too large or wrong is refused whole"):
        count = len(json.loads(bench.call("GET", EVENTS + "?limit=1000")[2])["items"])
        large = json.dumps("x" * ((1 << 20) + 1))
        for wanted, raw in (
            (413, f'{{"type":"t","payload":{large}}}'),
            (413, f'{{"type":"t","payload":{json.dumps("x" * (3 << 20))}}}'),
            (400, '{"type":"t","payload":{}'),
            (400, '{"type":"t","payload":' + "[" * 100 + "]" * 100 + "}"),
            (400, '{"type":"t","payload":' + "7" * 2000 + "}"),
            (422, '{"type":"t"}'),
            (422, '{"type":"t","payload":{},"channels":["a b"]}'),
        ):
            began = time.monotonic()
            bench.publish(wanted=wanted, raw=raw)
            assert time.monotonic() - began < 2
        assert count == len(json.loads(bench.call("GET", EVENTS + "?limit=1000")[2])["items"])


def channels(report, bench):
    with report.case("an endpoint with channels gets what shares one, and nothing else"):
        before = {path: len(bench.got(path, 0)) for path in ("all", "eu", "published", "in")}
        ids = {}
        for name, list_ in (("eu", ["x", "eu"]), ("asia", ["asia"]), ("none", [])):
            ids[name] = bench.publish(type="c", payload=name, channels=list_)["id"]
        # What a provider's request says of channels is the provider's.
        bench.gateway.post("/in/in", "{}", {"Sluice-Channels": "eu"})
        all_ = bench.got("all", before["all"] + 4)
        assert {one.id for one in all_} >= set(ids.values())
        bench.got("in", before["in"] + 1)
        eu = bench.got("eu", before["eu"] + 1)
        time.sleep(0.3)
        assert [one.id for one in bench.got("eu", 0)[before["eu"] :]] == [ids["eu"]], [one.body for one in eu]
        assert len(bench.got("published", 0)) == before["published"] + 3
    with report.case("an endpoint is given events of its channels that it missed"):
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))
        hook = {"name": "late", "url": bench.receiver.url + "/late", "channels": ["asia", "eu"]}
        assert bench.call("POST", "/api/v1/endpoints", json.dumps(hook))[0] == 201
        order = {"endpoint": "late", "states": ["missing"], "from": since, "dry_run": True}
        counted = json.loads(bench.call("POST", "/api/v1/replays", json.dumps(order))[2])
        wanted = [one for one in bench.got("eu", 0)] and counted["matched"]
        assert wanted >= 2, counted
        order["dry_run"] = False
        bench.call("POST", "/api/v1/replays", json.dumps(order))
        late = bench.got("late", counted["matched"])
        assert all(one.headers["sluice-source"] == "@publish" for one in late) and len(late) == counted["matched"]


def command_line(report, bench):
    with report.case("`sluice publish` says what became of it"), tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "body.json")
        with open(path, "w") as file:
            file.write('{"from": "a file"}\n')
        admin = f"127.0.0.1:{bench.gateway.admin_port}"
        words = ["publish", "--type", "cli", "--body", path, "--event-id", "cli-1", "--admin", admin]
        first = json.loads(sluice(*words, "--channel", "eu", "--json", check=0).stdout)
        assert first["status"] == "accepted", first
        assert sluice(*words, check=0).stdout.split() == ["duplicate", first["id"]]
        assert any(one.body == b'{"from": "a file"}\n' for one in bench.got("all", 1))
        piped = sluice("publish", "--type", "cli", "--tenant", "acme", "--admin", admin, stdin="{}", check=0)
        assert piped.stdout.startswith("accepted")
        refused = sluice("publish", "--type", "a b", "--admin", admin, stdin="{}", check=2)
        assert "--type" in refused.stderr, refused.stderr
        unknown = sluice("publish", "--type", "t", "--tenant", "nobody", "--admin", admin, stdin="{}", check=1)
        assert "tenant" in unknown.stderr, unknown.stderr


def pipelined(report, bench):
    with report.case("answers on one connection come in the order of their requests"):
        fields = f"Host: 127.0.0.1:{bench.gateway.admin_port}\r\nX-Sluice-Request: 1\r\n"
        fields += f"Authorization: Bearer {platform_key(bench.gateway.admin_port)}\r\n"

        def call(number):
            if number % 5 == 4:
                return f"GET /api/v1/tenants/none{number} HTTP/1.1\r\n{fields}X-Request-Id: r{number}\r\n\r\n"
            body = f'{{"type":"line","payload":{number}}}'
            head = f"POST {EVENTS} HTTP/1.1\r\n{fields}X-Request-Id: r{number}\r\nContent-Length: {len(body)}"
            return f"{head}\r\n\r\n{body}"

        with socket.create_connection(("127.0.0.1", bench.gateway.admin_port), 10) as connection:
            connection.sendall("".join(map(call, range(60))).encode())
            came = b""
            while came.lower().count(b"x-request-id:") < 60:
                some = connection.recv(65536)
                assert some, f"closed after {came[-200:]}"
                came += some
        order = re.findall(rb"(?i)x-request-id: r(\d+)", came)
        assert [int(one) for one in order] == list(range(60)), order
        statuses = re.findall(rb"HTTP/1.1 (\d+)", came)
        assert statuses == [b"404" if number % 5 == 4 else b"202" for number in range(60)], statuses


def many(report, bench):
    with report.case("many callers at once, each event once; what was answered outlives a kill") as notes:
        gateway = bench.gateway
        token = platform_key(gateway.admin_port)
        fields = {"X-Sluice-Request": "1", "Content-Type": "application/json", "Authorization": f"Bearer {token}"}

        def caller(number):
            connection = http.client.HTTPConnection("127.0.0.1", gateway.admin_port, timeout=20)
            kept = []
            try:
                for index in range(100000):
                    body = json.dumps({"type": "load", "payload": f"{number}-{index}"})
                    connection.request("POST", EVENTS, body, fields)
                    answer = connection.getresponse()
                    text = answer.read()
                    assert answer.status == 202, text
                    kept.append(json.loads(text)["id"])
            except (OSError, http.client.HTTPException):
                return kept

        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            callers = [pool.submit(caller, number) for number in range(32)]
            time.sleep(3)
            gateway.kill()
            answered = [one for done in callers for one in done.result()]
        gateway.start()
        assert len(answered) > 50 and len(set(answered)) == len(answered), len(answered)
        wanted = set(answered)
        came = lambda: {one.id for one in bench.got("all", 0)}  # noqa: E731
        wait_until(lambda: wanted <= came(), 60, "every answered event at its endpoint")
        notes.append(f"{len(answered)} events")


def main():
    arguments(__doc__)
    report = Report("publishing")
    with Receiver() as receiver:
        bench = Bench(receiver)
        with bench.gateway:
            for group in (once, raw_bodies, channels, command_line, pipelined, many):
                group(report, bench)
    report.finish()


if __name__ == "__main__":
    main()
