#!/usr/bin/env python3
"""Publishing from outside: an event put into the log by the API reaches the tenant's endpoints by the ordinary way,
once for each id, with its body byte by byte; over a restart, a kill and many callers at once."""

import concurrent.futures
import http.client
import json
import os
import re
import socket
import ssl
import tempfile
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
from receiver import Receiver
from report import Report, Skip, arguments, one_line, wait_until
from serverutil import Gateway, endpoint, free_port, open_source, platform_key, request, sluice

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

    def delivered(self, path, *ids):
        """The deliveries of these events at a path, once each is there: whatever came of others meanwhile."""
        found = lambda: [one for one in self.got(path, 0) if one.id in ids]  # noqa: E731
        wait_until(lambda: {one.id for one in found()} == set(ids), 15, lambda: f"{ids} at {path}, there are {found()}")
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
        body = b"a;b\r\n1;2\x00\xff"
        made = bench.publish(raw=body, query="?type=csv&channels=eu", headers={"Content-Type": "text/csv"})
        (got,) = bench.delivered("all", made["id"])
        assert got.body == body and got.headers["content-type"] == "text/csv", got.headers
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
        before, ids = len(bench.got("in", 0)), {}
        for name, list_ in (("eu", ["x", "eu"]), ("asia", ["asia"]), ("none", [])):
            ids[name] = bench.publish(type="c", payload=name, channels=list_)["id"]
        # What a provider's request says of channels is the provider's.
        bench.gateway.post("/in/in", "{}", {"Sluice-Channels": "eu"})
        bench.delivered("all", *ids.values())
        (provider,) = bench.got("in", before + 1)[before:]
        bench.delivered("eu", ids["eu"])
        bench.delivered("published", *ids.values())
        time.sleep(0.3)
        eu = [one.id for one in bench.got("eu", 0) if one.id in (*ids.values(), provider.id)]
        assert eu == [ids["eu"]] and provider.id not in [one.id for one in bench.got("published", 0)], (eu, ids)
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


def answered_until_killed(gateway, port, path, fields, body_of, callers, seconds):
    """The ids that callers were told before the gateway died under them; it is started again."""

    def caller(number):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        kept = []
        try:
            for index in range(100000):
                connection.request("POST", path, json.dumps(body_of(f"{number}-{index}")), fields)
                answer = connection.getresponse()
                text = answer.read()
                assert answer.status == 202, text
                kept.append(json.loads(text)["id"])
        except (OSError, http.client.HTTPException):
            return kept

    with concurrent.futures.ThreadPoolExecutor(callers) as pool:
        called = [pool.submit(caller, number) for number in range(callers)]
        time.sleep(seconds)
        gateway.kill()
        answered = [one for done in called for one in done.result()]
    gateway.start()
    assert len(answered) > 50 and len(set(answered)) == len(answered), len(answered)
    return answered


def many(report, bench):
    with report.case("many callers at once, each event once; what was answered outlives a kill") as notes:
        gateway = bench.gateway
        token = platform_key(gateway.admin_port)
        fields = {"X-Sluice-Request": "1", "Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        answered = answered_until_killed(
            gateway, gateway.admin_port, EVENTS, fields, lambda text: {"type": "load", "payload": text}, 32, 3)
        wanted = set(answered)
        came = lambda: {one.id for one in bench.got("all", 0)}  # noqa: E731
        wait_until(lambda: wanted <= came(), 60, "every answered event at its endpoint")
        notes.append(f"{len(answered)} events")


class IngestBench:
    """A gateway that takes publications on its ingest port too, and the application `shop` of it."""

    def __init__(self, receiver, gateway):
        self.receiver, self.gateway = receiver, gateway
        self.key = platform_key(gateway.admin_port)
        made = self.api("POST", "/api/v1/app", {"name": "shop", "uid": "shop"})
        self.id = made["id"]
        self.api("POST", f"/api/v1/app/{self.id}/endpoint", {"url": receiver.url + "/shop"})
        self.path = f"/api/v1/app/{self.id}/msg"

    def api(self, method, path, body=None):
        data = None if body is None else json.dumps(body)
        fields = {"X-Sluice-Request": "1", "Content-Type": "application/json"}
        status, _, text = request(self.gateway.admin_port, path, data, fields, method)
        assert status in (200, 201, 202), f"{method} {path}: {status} {one_line(text.decode())}"
        return json.loads(text)

    def make_key(self, role, tenant_id="*"):
        return self.api("POST", "/api/v1/keys", {"role": role, "tenant_id": tenant_id})

    def call(self, port, path, body, headers=None, token=None, method="POST"):
        """Status, fields and JSON of a call at that port."""
        fields = {"X-Sluice-Request": "1", "Content-Type": "application/json", "X-Request-Id": "same"}
        fields.update(headers or {})
        if token != "":
            fields.setdefault("Authorization", f"Bearer {token or self.key}")
        text = body if isinstance(body, (str, bytes)) else json.dumps(body)
        data = text.encode() if isinstance(text, str) else text
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request(method, path, data, fields)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, json.loads(text)
        finally:
            connection.close()

    def publish(self, body, wanted=202, path=None, **more):
        status, _, said = self.call(self.gateway.port, path or self.path, body, **more)
        assert status == wanted, f"{status} {one_line(json.dumps(said))}"
        return said

    def at_shop(self, ids, seconds=20):
        """The deliveries there, by id, once all of `ids` have come."""

        def found():
            there = [one for one in self.receiver.snapshot() if one.path.endswith("/shop")]
            return {one.headers["svix-id"]: one for one in there}

        wait_until(lambda: set(ids) <= set(found()), seconds, "every published message at its endpoint")
        return found()

    def head(self, length, more=""):
        return (
            f"POST {self.path} HTTP/1.1\r\nHost: h\r\nAuthorization: bearer {self.key}\r\n"
            f"Content-Type: application/json\r\n{more}{length}\r\n\r\n"
        ).encode()


def ingest_same(report, bench):
    ports = {"api": bench.gateway.admin_port, "ingest": bench.gateway.port}
    with report.case("a message is the same by both ports: answer, record, delivery"):
        said, shown = {}, {}
        for name, port in ports.items():
            raw = f'{{"eventType":"order.paid","payload":{PAYLOAD},"eventId":"{name}-1","channels":["eu","us"]}}'
            status, fields, said[name] = bench.call(port, bench.path, raw)
            assert status == 202 and fields["content-type"] == "application/json", (status, fields, said[name])
            assert fields["cache-control"] == "no-store" and fields["x-request-id"] == "same", fields
            assert fields.get("sluice-durability") == ("fsync" if name == "ingest" else None), fields
            shown[name] = bench.api("GET", f"{bench.path}/{said[name]['id']}")
        came = bench.at_shop([one["id"] for one in said.values()])
        for name, one in said.items():
            assert one["eventId"] == f"{name}-1" and shown[name] == one, (one, shown[name])
            assert came[one["id"]].body.decode() == PAYLOAD
        assert list(said["api"]) == list(said["ingest"])
        changing = ("svix-timestamp", "svix-signature", "svix-id", "webhook-timestamp", "webhook-signature",
                    "webhook-id")
        first, second = (
            {k: v for k, v in came[one["id"]].headers.items() if k not in changing} for one in said.values())
        assert first == second, (first, second)
        for name, one in said.items():
            found = bench.api("GET", f"{EVENTS}?provider_id={name}-1")["items"]
            full = bench.api("GET", f"{EVENTS}/{found[0]['id']}?reveal=true")
            shown[name] = json.dumps([full["headers"], full["target"], full["body"]]).replace(f"{name}-1", "?")
        assert shown["api"] == shown["ingest"], shown
    with report.case("an event of the gateway's own form goes there as well"):
        made = bench.publish(
            {"type": "t", "payload": [1], "event_id": "own-1", "tags": ["vip"]}, path=EVENTS,
            headers={"X-Tenant-Id": "shop"})
        assert made["status"] == "accepted" and made["id"].startswith("evt_"), made
        again = bench.publish(
            {"type": "t", "payload": 2, "event_id": "own-1"}, path=EVENTS, headers={"X-Tenant-Id": "shop"})
        assert again == {"id": made["id"], "status": "duplicate"}, again
        bench.publish("a;b", path=EVENTS + "?type=csv", headers={"Content-Type": "text/csv"})
    with report.case("Svix's own client publishes there, only with another server_url"):
        try:
            from svix.api import MessageIn, Svix, SvixOptions
        except ImportError:
            raise Skip("the package svix is not installed") from None
        client = Svix(bench.key, SvixOptions(server_url=f"http://127.0.0.1:{ports['ingest']}"))
        made = [
            client.message.create(bench.id, MessageIn(event_type="sdk.made", payload={"n": n}, event_id=f"sdk-{n}"))
            for n in range(20)
        ]
        # It asks for answers without content.
        assert all(one.id.startswith("msg_") and one.event_id == f"sdk-{n}" for n, one in enumerate(made)), made
        bench.at_shop([one.id for one in made])
        client.message.create("shop", MessageIn(event_type="sdk.made", payload={"by": "uid"}))
        try:
            client.message.create(bench.id, MessageIn(event_type="sdk.made", payload={}, event_id="sdk-1"))
            raise AssertionError("a second message with one event id was taken")
        except Exception as error:
            assert getattr(error, "status_code", 0) == 409 and error.code == "conflict", repr(error)


def ingest_refusals(report, bench):
    ports = (bench.gateway.admin_port, bench.gateway.port)
    good = {"eventType": "t", "payload": {}}
    with report.case("what the control API refuses is refused there in the same words") as notes:
        viewer, publisher = (bench.make_key(role)["token"] for role in ("viewer", "publisher"))
        foreign = bench.make_key("publisher", bench.api("GET", "/api/v1/tenants/shop")["tenant_id"])["token"]
        calls = [
            (401, bench.path, good, {"token": ""}),
            (401, bench.path, good, {"headers": {"Authorization": "Basic x"}}),
            (403, bench.path, good, {"token": viewer}),
            (403, bench.path, good, {"token": foreign}),
            (404, "/api/v1/app/nobody/msg", good, {"token": publisher}),
            (400, bench.path, good, {"headers": {"Idempotency-Key": "a b"}}),
            (400, bench.path + "?with_content=perhaps", good, {}),
            (422, bench.path, "{", {}),
            (422, bench.path, "[]", {}),
            (422, bench.path, {"payload": {}}, {}),
            (422, bench.path, {"eventType": "a b", "payload": {}}, {}),
            (422, bench.path, {"eventType": "t", "payload": [1]}, {}),
            (422, bench.path, {"eventType": "t", "payload": {}, "channels": []}, {}),
            (422, bench.path, {"eventType": "t", "payload": {}, "channels": list("abcdef")}, {}),
            (422, bench.path, {"eventType": "t", "payload": {}, "eventId": "msg_1"}, {}),
            (413, bench.path, {"eventType": "t", "payload": {"x": "x" * (1 << 20)}}, {}),
            (401, EVENTS, good, {"token": ""}),
            (403, EVENTS, {"type": "t", "payload": 1}, {"token": viewer}),
            (403, EVENTS, {"type": "t", "payload": 1}, {"headers": {"X-Sluice-Request": "0"}}),
            (404, EVENTS, {"type": "t", "payload": 1}, {"headers": {"X-Tenant-Id": "nobody"}}),
            (400, EVENTS, "{", {}),
            (400, EVENTS + "?types=t", "{}", {}),
            (422, EVENTS, {"type": "t"}, {}),
            (422, EVENTS, {"type": "t", "payload": 1, "tags": ["a b"]}, {}),
        ]
        before = len(bench.api("GET", EVENTS + "?limit=1000")["items"])
        for wanted, path, body, more in calls:
            said = [bench.call(port, path, body, **more) for port in ports]
            assert [one[0] for one in said] == [wanted] * 2, (path, body if len(str(body)) < 200 else "", said)
            assert said[0][2] == said[1][2], said
            for field in ("content-type", "www-authenticate"):
                assert said[0][1].get(field) == said[1][1].get(field), (field, said)
        assert before == len(bench.api("GET", EVENTS + "?limit=1000")["items"])
        notes.append(f"{len(calls)} calls")
    with report.case("what only the control API does is refused by name"):
        asked = {**good, "application": {"name": "new", "uid": "new"}}
        said = bench.publish(asked, 422, path="/api/v1/app/new/msg")
        assert "control API" in said["detail"][0]["msg"], said
        assert bench.call(ports[1], f"/api/v1/app/{bench.id}/endpoint", {"url": "http://x"})[0] == 404
        assert bench.call(ports[1], f"/api/v1/app/{bench.id}/endpoint", {"url": "http://x"}, token="")[0] == 401
        status, fields, said = bench.call(ports[1], bench.path, "", method="GET")
        assert status == 405 and fields["allow"] == "POST" and said["code"] == "method_not_allowed", said
    with report.case("a key that is revoked opens nothing from then on; whoever guesses is slowed"):
        made = bench.make_key("publisher")
        bench.publish(good, token=made["token"])
        status = request(ports[0], f"/api/v1/keys/{made['key_id']}", None, {"X-Sluice-Request": "1"}, "DELETE")[0]
        assert status == 204, status
        bench.publish(good, 401, token=made["token"])
        tries = [bench.call(ports[1], bench.path, good, token="sk_wrong")[0] for _ in range(30)]
        assert set(tries) == {401, 429}, tries
        bench.publish(good)


def ingest_bytes(report, bench):
    def body(name):
        return json.dumps({"eventType": "raw", "payload": {"name": name}, "eventId": name}).encode()

    def answers(connection, count):
        file = connection.makefile("rb")
        for _ in range(count):
            status = int(file.readline().split()[1])
            length = 0
            while (line := file.readline().strip().lower()) not in (b"",):
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            yield status, json.loads(file.read(length))

    def connect():
        return socket.create_connection(("127.0.0.1", bench.gateway.port), 20)

    with report.case("calls in a pipeline, in chunks and byte by byte are answered in their order"):
        names = [f"line-{n}" for n in range(100)]
        with connect() as connection:
            line = b"".join(bench.head(f"Content-Length: {len(body(name))}") + body(name) for name in names)
            connection.sendall(line)
            said = list(answers(connection, len(names)))
            assert [one["eventId"] for status, one in said if status == 202] == names, said[:3]
            chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body("chunks")[:7], body("chunks")[7:]))
            connection.sendall(bench.head("Transfer-Encoding: chunked") + chunked + b"0\r\n\r\n")
            ((status, one),) = answers(connection, 1)
            assert status == 202 and one["payload"] == {"name": "chunks"}, one
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in bench.head(f"Content-Length: {len(body('bytes'))}") + body("bytes"):
                connection.sendall(bytes([byte]))
            ((status, one),) = answers(connection, 1)
            assert status == 202 and one["eventId"] == "bytes", one
    with report.case("a large payload comes back whole, also in a pipeline; without content it does not"):
        large = json.dumps({"eventType": "l", "payload": {"x": "y" * 900_000}}).encode()
        with connect() as connection:
            small = bench.head(f"Content-Length: {len(body('s'))}", "Expect: 100-continue\r\n")
            connection.sendall((bench.head(f"Content-Length: {len(large)}") + large) * 3)
            said = list(answers(connection, 3))
            assert [(status, len(one["payload"]["x"])) for status, one in said] == [(202, 900_000)] * 3
            connection.sendall(small)
            assert connection.recv(100).startswith(b"HTTP/1.1 100 "), "no interim answer"
            connection.sendall(body("s"))
            ((status, one),) = answers(connection, 1)
            assert status == 202 and one["eventId"] == "s"
        assert bench.publish(large, path=bench.path + "?with_content=false")["payload"] == {}


def ingest_strangers(report, bench):
    with report.case("strangers that are turned away before their body are in the audit log, as one entry"):
        head = "POST /api/v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n"
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", bench.gateway.port), timeout=10) as connection:
                connection.sendall(head.encode())
                assert connection.recv(100).startswith(b"HTTP/1.1 401 "), "a stranger was asked for the body"

        def told():
            entries = bench.api("GET", "/api/v1/audit?limit=50")["items"]
            found = [one for one in entries if one["action"] == "refuse" and "before its body" in one["name"]]
            more = [int(number) for one in found for number in re.findall(r"not listed: (\d+)", one["detail"])]
            return all("reason: unauthorized" in one["detail"] for one in found) and len(found) + sum(more) >= 5

        wait_until(told, 15, "no entry of them")


def ingest_known(report, bench):
    """Plain events of a caller who was let in a moment ago, which the ingest thread takes by itself."""
    # As a worker and as the thread see it: the request id makes the call a worker's.
    def event(number, headers=None, wanted=202, **more):
        fields = {"X-Sluice-Request": "1", "Authorization": f"Bearer {key['token']}", **(headers or {})}
        body = f'{{"type":"known.made","payload":{{ "n":{number} }},"event_id":"known-{number}"}}'
        status, answered, text = request(bench.gateway.port, EVENTS, body, fields, "POST")
        assert status == wanted, f"{status} {one_line(text.decode())}"
        return json.loads(text), answered

    tenant = bench.api("GET", "/api/v1/tenants/shop")["tenant_id"]
    key = bench.make_key("publisher", tenant)
    with report.case("events of a caller who is known are kept, answered and delivered like all others"):
        said = [event(n, {"X-Request-Id": "w"} if n % 2 else None) for n in range(20)]
        assert {one["status"] for one, _ in said} == {"accepted"}
        apart = ("date", "x-request-id")
        fields = [{k: v for k, v in answered.items() if k not in apart} for _, answered in said]
        assert all(one == fields[0] for one in fields), fields
        assert sum("x-request-id" in answered for _, answered in said) < 20, "each was a worker's"
        again = [event(n, {"X-Request-Id": "w"} if n % 2 == 0 else None)[0] for n in range(20)]
        assert again == [{"id": one["id"], "status": "duplicate"} for one, _ in said], again
        came = bench.at_shop([one["id"] for one, _ in said])
        assert {came[one["id"]].body for one, _ in said} == {b'{ "n":%d }' % n for n in range(20)}
        shown = []
        for one, _ in said[2:4]:
            full = bench.api("GET", f"{EVENTS}/{one['id']}?reveal=true")
            parts = [full["headers"], full["target"], full["body"], full["event"]["type"], full["event"]["source"]]
            shown.append(re.sub(r"known-\d+|\"n\":\d+", "", json.dumps(parts).replace("\\", "")))
        assert shown[0] == shown[1], shown
    with report.case("a change of its keys counts for the next event of a caller who is known"):
        for _ in range(5):
            event(100)
        status = request(bench.gateway.admin_port, f"/api/v1/keys/{key['key_id']}", None, {"X-Sluice-Request": "1"},
                         "DELETE")[0]
        assert status == 204, status
        event(101, wanted=401)
        key = bench.make_key("publisher", tenant)
        event(102)
        key = {"token": key["token"][:-1] + ("a" if key["token"][-1] != "a" else "b")}
        event(103, wanted=401)


def ingest_tls(report, receiver):
    with report.case("the same over TLS, large answers too"), tempfile.TemporaryDirectory() as folder:
        try:
            from certificates import SERVER, make
        except ImportError:
            raise Skip("the package cryptography is not installed") from None
        certificate, key = make("tls", names=["localhost"], purposes=[SERVER]).write(folder, "tls")
        port = free_port()
        listen = [{"address": f"127.0.0.1:{port}", "tls": {"certificate": certificate, "key": key}}]
        with Gateway([open_source("in")], publish=True, listen=listen, delivery={"allow": ["127.0.0.0/8"]}) as gateway:
            bench = IngestBench(receiver, gateway)
            trusting = ssl._create_unverified_context()
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=trusting)
            fields = {"Authorization": f"Bearer {bench.key}", "X-Sluice-Request": "1"}
            for count in (1, 900, 20_000, 900_000, 5):
                body = json.dumps({"eventType": "tls", "payload": {"x": "y" * count}})
                connection.request("POST", bench.path, body, fields)
                answer = connection.getresponse()
                said = json.loads(answer.read())
                assert answer.status == 202 and len(said["payload"]["x"]) == count, (answer.status, count)
                connection.request("POST", EVENTS, '{"type":"t","payload":1}', fields)
                answer = connection.getresponse()
                assert answer.status == 202 and json.loads(answer.read())["status"] == "accepted"
            connection.close()


def ingest_again(report, bench):
    with report.case("a call that comes again with its key is answered as the first; another's event id conflicts"):
        for port in (bench.gateway.port, bench.gateway.admin_port):
            key = {"idempotency-key": f"auto_{port}"}
            first = bench.publish({"eventType": "k", "payload": {"n": 1}}, headers=key)
            for again in (bench.gateway.port, bench.gateway.admin_port):
                status, _, said = bench.call(again, bench.path, {"eventType": "k", "payload": {"n": 1}}, key)
                assert status == 202 and said == first, said
            bench.call(port, bench.path, {"eventType": "k", "payload": {}, "eventId": f"by-{port}"})
            said = bench.publish({"eventType": "k", "payload": {}, "eventId": f"by-{port}"}, 409)
            assert said["code"] == "conflict", said
            said = bench.publish({"eventType": "k", "payload": {}, "eventId": f"by-{port}"}, 409, headers=key)
    with report.case("what the ingest port answered outlives a kill, and is delivered") as notes:
        fields = {"Authorization": f"Bearer {bench.key}", "Content-Type": "application/json"}
        answered = answered_until_killed(
            bench.gateway, bench.gateway.port, bench.path, fields,
            lambda text: {"eventType": "load", "payload": {"n": text}}, 8, 1.5)
        bench.at_shop(answered, 90)
        notes.append(f"{len(answered)} messages")
    with report.case("without `publish` there is nothing at those paths"):
        bench.gateway.keys["publish"] = False
        bench.gateway.write_configuration()
        bench.gateway.reload()
        status, _, said = bench.call(bench.gateway.port, bench.path, {"eventType": "t", "payload": {}})
        assert status == 404 and said["reason"] == "not_found", said


def ingest(report, receiver):
    with Gateway([open_source("in")], publish=True, delivery={"allow": ["127.0.0.0/8"]}) as gateway:
        bench = IngestBench(receiver, gateway)
        for group in (ingest_same, ingest_known, ingest_strangers, ingest_refusals, ingest_bytes, ingest_again):
            group(report, bench)
    ingest_tls(report, receiver)


def main():
    arguments(__doc__)
    report = Report("publishing")
    with Receiver() as receiver:
        bench = Bench(receiver)
        with bench.gateway:
            for group in (once, raw_bodies, channels, command_line, pipelined, many):
                group(report, bench)
        ingest(report, receiver)
    report.finish()


if __name__ == "__main__":
    main()
