#!/usr/bin/env python3
"""The policies of an endpoint's lane, from outside: what they make of its deliveries, what the API shows of them, what
is kept over a restart, and what is refused.

The receiver is a Python server of our own; times are tenths of seconds where they can be."""

import json
import socket
import tempfile
import threading
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
from receiver import Receiver
from report import Report, arguments, stays_true, wait_until
from serverutil import Gateway, endpoint, free_port, open_source, request

QUICK = {"delays": ["300ms"] * 40, "jitter": 0}


def send(gateway, count, start=1):
    for number in range(start, start + count):
        status, _, answer = gateway.post("/in/test", json.dumps({"n": number, "at": time.time_ns()}).encode())
        assert status in (200, 202), f"{status} {answer[:200]}"


def call(gateway, method, path, body=None):
    """(status, the answer's JSON)."""
    headers = {"Content-Type": "application/json", "X-Sluice-Request": "1"}
    text = None if body is None else json.dumps(body)
    status, _, answer = request(gateway.admin_port, path, text, headers, method)
    return status, json.loads(answer or "null")


def done(gateway, method, path, body=None):
    status, answer = call(gateway, method, path, body)
    assert status in (200, 201, 202), f"{method} {path}: {status} {answer}"
    return answer


def numbers(receiver):
    return [json.loads(d.body)["n"] for d in receiver.snapshot()]


def status_of(gateway, name="first"):
    return gateway.api(f"/api/v1/endpoints/{name}")["status"]


def event_count(gateway, policy, event):
    return gateway.metric_sum("sluice_delivery_policy_events_total", policy=policy, event=event)


class Refusing:
    """A listener that takes each connection and cuts it at once, and counts them."""

    def __init__(self):
        self.count, self.open = 0, True
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(512)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while self.open:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.count += 1
            connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.open = False
        # A thread that accepts holds the socket: a shutdown wakes it.
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def breaker(report):
    settings = {"failures": 5, "cooldown": "1s", "probes": 3}
    with report.case("a thousand events wait for a dead endpoint at the cost of its probes") as notes:
        with Refusing() as dead, Receiver() as other:
            ends = [
                endpoint("first", f"http://127.0.0.1:{dead.port}/", retry=QUICK, breaker=settings),
                endpoint("other", other.url),
            ]
            with Gateway([open_source()], ends) as gateway:
                send(gateway, 1000)
                wait_until(lambda: other.count() == 1000, 30, lambda: f"{other.count()} at the other endpoint")
                wait_until(lambda: status_of(gateway).get("reason") == "breaker_open", 10, "the breaker is closed")
                before, began = dead.count, time.monotonic()
                # Of the sixteen that may be out, those that were when it opened have come back by now.
                assert before <= 40, f"{before} connections"
                time.sleep(4)
                probes, seconds = dead.count - before, time.monotonic() - began
                assert 2 <= probes <= seconds / 1.0 + 2, f"{probes} connections in {seconds:.1f} s"
                shown = status_of(gateway)
                assert shown["state"] in ("paused", "failing"), shown
                assert shown["waiting"] + shown["lag_events"] >= 1000 and shown["dead"] == 0, shown
                notes.append(f"{probes} connections in {seconds:.0f} s")
    with report.case("probes close it, and everything follows in order") as notes:
        broken = threading.Event()
        broken.set()
        with Receiver(lambda d, number: 503 if broken.is_set() else 204) as receiver:
            ends = [endpoint("first", receiver.url, retry=QUICK, breaker=settings, ordered=True)]
            with Gateway([open_source()], ends) as gateway:
                send(gateway, 60)
                wait_until(lambda: event_count(gateway, "breaker", "opened") >= 1, 20, "it does not open")
                assert gateway.metric_sum("sluice_endpoint_breakers") == 1
                broken.clear()
                wanted = list(range(1, 61))
                wait_until(lambda: numbers(receiver)[-60:] == wanted, 20, lambda: f"{numbers(receiver)}")
                assert set(numbers(receiver)[:-60]) == {1}, numbers(receiver)
                wait_until(lambda: status_of(gateway)["state"] == "active", 5, lambda: f"{status_of(gateway)}")
                wait_until(lambda: event_count(gateway, "breaker", "closed") == 1, 5, "it does not close")
                wait_until(lambda: gateway.metric_sum("sluice_endpoint_breakers") == 0, 5, "it counts as open")
    with report.case("an open breaker outlives a restart; enable closes it, retry-now tries at once"):
        with Receiver(lambda d, number: 500) as receiver, tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
            long = {**settings, "cooldown": "1h"}
            ends = [endpoint("first", receiver.url, retry=QUICK, breaker=long, concurrency=1)]
            with Gateway([open_source()], ends, folder=folder) as gateway:
                send(gateway, 20)
                wait_until(lambda: status_of(gateway).get("reason") == "breaker_open", 10, "the breaker is closed")
                assert receiver.count() == 5, receiver.count()
            with Gateway([open_source()], ends, folder=folder) as gateway:
                stays_true(lambda: receiver.count() == 5, 1, "it sends")
                shown = status_of(gateway)
                assert shown["reason"] == "breaker_open" and shown["until"] > shown["since"], shown
                done(gateway, "POST", "/api/v1/endpoints/first/retry-now")
                wait_until(lambda: receiver.count() == 6, 5, lambda: f"{receiver.count()} requests")
                stays_true(lambda: receiver.count() == 6, 0.7, "more than a probe")
                receiver.script = lambda d, number: 204
                done(gateway, "POST", "/api/v1/endpoints/first/enable")
                wait_until(lambda: receiver.count() == 26, 10, lambda: f"{receiver.count()} requests")
                wait_until(lambda: status_of(gateway)["state"] == "active", 5, lambda: f"{status_of(gateway)}")


def retries(report):
    with report.case("an exponential backoff has its number of attempts"):
        with Receiver(lambda d, number: 500) as receiver:
            retry = {"backoff": {"first": "50ms", "factor": 2, "max": "200ms", "attempts": 4}}
            with Gateway([open_source()], [endpoint("first", receiver.url, retry=retry)]) as gateway:
                send(gateway, 3)
                wait_until(lambda: status_of(gateway)["dead"] == 3, 20, lambda: f"{status_of(gateway)}")
                assert receiver.count() == 12, receiver.count()
    with report.case("a budget holds retries back and gives up none") as notes:
        with Receiver(lambda d, number: 500) as receiver:
            retry = {"delays": ["100ms"] * 60, "jitter": 0, "budget": 0.1}
            with Gateway([open_source()], [endpoint("first", receiver.url, retry=retry)]) as gateway:
                send(gateway, 200)
                time.sleep(3)
                count = receiver.count()
                # A tenth of 200, the reserve of ten, and what the seconds bring.
                assert 215 <= count <= 235, f"{count} requests for 200 events"
                shown = status_of(gateway)
                assert shown["dead"] == 0 and shown["waiting"] == 200, shown
                assert event_count(gateway, "retry_budget", "held") > 0
                notes.append(f"{count} requests for 200 events")
    with report.case("a new event does not wait behind four hundred retries that are due"):
        slow = threading.Event()

        def script(delivery, number):
            if not slow.is_set():
                return 500
            time.sleep(0.02)
            return 204

        with Receiver(script) as receiver:
            retry = {"delays": ["1s"] * 60, "jitter": 0}
            with Gateway([open_source()], [endpoint("first", receiver.url, retry=retry, concurrency=64)]) as gateway:
                send(gateway, 400)
                wait_until(lambda: receiver.count() >= 400, 30, lambda: f"{receiver.count()} came")
                slow.set()
                # One at a time all of them take eight seconds.
                gateway.endpoints = [endpoint("first", receiver.url, retry=retry, concurrency=1)]
                gateway.write_configuration()
                gateway.reload()
                wait_until(lambda: status_of(gateway)["waiting"] < 390, 20, "no retry goes")
                send(gateway, 1, start=6000)
                wait_until(lambda: 6000 in numbers(receiver), 20, "the new event waits behind the retries")
                assert status_of(gateway)["waiting"] > 100, status_of(gateway)


def classes(report):
    with report.case("failures go by their class: a preset, and a rule above it"):
        answers = {1: 401, 2: 422, 3: 429, 4: 500}
        with Receiver(lambda d, number: answers[json.loads(d.body)["n"]]) as receiver:
            quick = {"first": "20ms", "factor": 2, "max": "100ms"}
            errors = {"preset": "contract", "server": {"retries": 2, "backoff": quick},
                      "limit": {"retries": 1, "backoff": quick}, "validation": {"retries": 1, "backoff": quick}}
            with Gateway([open_source()], [endpoint("first", receiver.url, errors=errors)]) as gateway:
                send(gateway, 4)
                wait_until(lambda: status_of(gateway)["dead"] == 4, 30, lambda: f"{status_of(gateway)}")
                got = numbers(receiver)
                assert [got.count(n) for n in (1, 2, 3, 4)] == [1, 2, 2, 3], got
                dead = wait_until(
                    lambda: len(found := gateway.api("/api/v1/deliveries?state=dead")["items"]) == 4 and found, 10,
                    "all four in the listing")
                reasons = sorted(d["reason"] for d in dead)
                assert reasons == ["permanent_answer"] + ["retries_exhausted"] * 3, reasons
                wanted = {"authentication": 1, "validation": 2, "limit": 2, "server": 3, "network": 0}

                def counts():
                    return {name: gateway.metric_sum("sluice_delivery_failures_total", **{"class": name})
                            for name in wanted}

                wait_until(lambda: counts() == wanted, 10, lambda: f"{counts()}")


def rate(report):
    with report.case("a rate is held") as notes:
        with Receiver() as receiver:
            ends = [endpoint("first", receiver.url, rate={"per_second": 50, "burst": 10})]
            with Gateway([open_source()], ends) as gateway:
                send(gateway, 400)
                wait_until(lambda: receiver.count() >= 250, 20, lambda: f"{receiver.count()} requests")
                times = [d.at for d in receiver.snapshot()][:250]
                # What is behind the burst, by the receiver's clock, which a busy machine delays.
                speed = (len(times) - 11) / (times[-1] - times[10])
                assert 45 <= speed <= 55, f"{speed:.1f} a second"
                notes.append(f"{speed:.1f} a second")


def times(report):
    with report.case("what is older than its deadline dies as `expired`, and a replay is not held to it"):
        with Receiver(lambda d, number: 500) as receiver:
            ends = [endpoint("first", receiver.url, retry={"delays": ["700ms"] * 5, "jitter": 0}, deadline="1s")]
            with Gateway([open_source()], ends) as gateway:
                send(gateway, 2)
                wait_until(lambda: status_of(gateway)["dead"] == 2, 10, lambda: f"{status_of(gateway)}")
                assert receiver.count() == 4, receiver.count()
                expired = "/api/v1/deliveries?state=dead&reason=expired"
                dead = wait_until(
                    lambda: len(found := gateway.api(expired)["items"]) == 2 and found, 10, "both in the listing")
                assert all(d["attempts"] == 2 for d in dead), dead
                receiver.script = lambda d, number: 204
                done(gateway, "POST", "/api/v1/replays", {"event": dead[0]["event"], "dry_run": False})
                wait_until(lambda: status_of(gateway)["dead"] == 1, 10, lambda: f"{status_of(gateway)}")
    with report.case("a delayed delivery waits, also over a restart"):
        with Receiver() as receiver, tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
            ends = [endpoint("first", receiver.url, delay="3s")]
            with Gateway([open_source()], ends, folder=folder) as gateway:
                began = time.monotonic()
                send(gateway, 3)
                wait_until(lambda: status_of(gateway)["pending"] == 3, 2, lambda: f"{status_of(gateway)}")
            with Gateway([open_source()], ends, folder=folder) as gateway:
                wait_until(lambda: receiver.count() == 3, 10, lambda: f"{receiver.count()} requests")
                assert min(d.at for d in receiver.snapshot()) - began >= 2.9, "too early"
                assert sorted(numbers(receiver)) == [1, 2, 3]


def shadow(report):
    with report.case("a shadow gets its share, each once, and leaves nothing behind") as notes:
        with Receiver(lambda d, number: 500) as receiver, Receiver() as other:
            ends = [
                endpoint("first", receiver.url, retry=QUICK, shadow={"share": 0.25}), endpoint("other", other.url),
            ]
            with Gateway([open_source()], ends) as gateway:
                send(gateway, 400)
                wait_until(lambda: other.count() == 400, 20, lambda: f"{other.count()} at the other endpoint")
                stays_true(lambda: len(set(numbers(receiver))) == receiver.count(), 1.5, "an event came twice")
                assert 60 <= receiver.count() <= 140, receiver.count()
                shown = status_of(gateway)
                assert shown["dead"] == 0 and shown["pending"] == 0, shown
                wait_until(
                    lambda: event_count(gateway, "shadow", "failed") == receiver.count(), 5, "not all are counted")
                notes.append(f"{receiver.count()} of 400")


def concurrency(report):
    with report.case("a slow endpoint gets fewer at once"):
        def slow(delivery, number):
            time.sleep(0.15)
            return 204

        with Receiver(slow) as receiver:
            ends = [endpoint("first", receiver.url, concurrency={"max": 32, "min": 2, "target": "50ms"})]
            with Gateway([open_source()], ends) as gateway:
                send(gateway, 200)
                wait_until(lambda: event_count(gateway, "concurrency", "lowered") >= 4, 20, "it is not lowered")
                wait_until(lambda: status_of(gateway)["in_flight"] <= 2, 10, lambda: f"{status_of(gateway)}")
                assert receiver.count() > 30


def failed_connects():
    """Connections of this machine that were refused since it started."""
    with open("/proc/net/snmp") as file:
        names, values = [line.split() for line in file if line.startswith("Tcp:")]
    return int(values[names.index("AttemptFails")])


def refusing(report):
    count = 2000
    with report.case(f"{count} events for a port that refuses cost a few connections, and end by their time") as notes:
        settings = {"retry": {"delays": ["1s", "1s"], "jitter": 0}}
        with Gateway([open_source()], [endpoint("first", f"http://127.0.0.1:{free_port()}/", **settings)]) as gateway:
            before = failed_connects()
            send(gateway, count)
            wait_until(lambda: status_of(gateway)["dead"] == count, 40, lambda: f"{status_of(gateway)}")
            connects = failed_connects() - before
            unmade = event_count(gateway, "refusal", "not_tried")
            # Three attempts each; other suites beside this one have a few refusals of their own.
            assert connects < count / 4 and unmade > 2 * count, f"{connects} connections, {unmade} attempts not made"
            notes.append(f"{connects} connections for {3 * count} attempts")
    with report.case("an endpoint that is back gets what waits, in its own time") as notes:
        port = free_port()
        settings = {"retry": {"delays": ["1s"] * 60, "jitter": 0}}
        with Gateway([open_source()], [endpoint("first", f"http://127.0.0.1:{port}/hooks", **settings)]) as gateway:
            send(gateway, 200)
            wait_until(lambda: event_count(gateway, "refusal", "not_tried") > 0, 20, "every attempt is made")
            with Receiver(port=port) as receiver:
                wait_until(lambda: len(set(numbers(receiver))) == 200, 30, lambda: f"{receiver.count()} of 200")
                wait_until(lambda: status_of(gateway)["waiting"] == 0, 10, lambda: f"{status_of(gateway)}")


def weights(report):
    with report.case("a tenant has a weight, by the file or the API"):
        tenants = [{"name": "acme", "weight": 5}, {"name": "*", "weight": 2}]
        with Gateway([open_source(), open_source("other", tenant="acme")], tenants=tenants) as gateway:
            assert gateway.api("/api/v1/tenants/acme")["weight"] == 5
            made = done(gateway, "POST", "/api/v1/tenants", {"name": "beta"})
            assert made["weight"] == 2, made
            changed = done(gateway, "PATCH", "/api/v1/tenants/beta", {"weight": 1000})
            assert changed["weight"] == 1000, changed
            changed = done(gateway, "PATCH", "/api/v1/tenants/beta", {"weight": None})
            assert changed["weight"] == 2, changed
            for value in (0, 1001, 1.5, "much"):
                status, answer = call(gateway, "PATCH", "/api/v1/tenants/beta", {"weight": value})
                paths = [error["path"] for error in answer.get("errors", [])]
                assert status == 422 and paths == ["weight"], f"{value}: {status} {answer}"
    with report.case("one tenant's five hundred deliveries a moment do not keep another's waiting"):
        slow = threading.Event()
        with Receiver(lambda d, number: 204 if d.path.endswith("b") else (slow.wait(0.2), 204)[1]) as receiver:
            base = receiver.url.rsplit("/", 1)[0]
            ends = [endpoint(f"a{n}", f"{base}/a", tenant="much", concurrency=64) for n in range(8)]
            ends.append(endpoint("b", f"{base}/b", tenant="little"))
            sources = [open_source("test", tenant="much"), open_source("two", tenant="little", path="/in/two")]
            with Gateway(sources, ends) as gateway:
                for number in range(60):
                    gateway.post("/in/much/test", json.dumps({"n": number}).encode())
                for number in range(20):
                    began = time.monotonic()
                    gateway.post("/in/two", json.dumps({"n": 1000 + number}).encode())
                    wait_until(lambda: 1000 + number in numbers(receiver), 5, f"{number} does not come")
                    assert time.monotonic() - began < 4, "it waits for the others"
def group(report):
    with report.case("an order by the group: of sources that say it in different places, and of what is published"):
        def script(delivery, number):
            at = json.loads(delivery.body)
            return 503 if at["n"] == 1 and number < 6 else 204

        with Receiver(script) as receiver, tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
            sources = [
                open_source("body", event={"group": "json:$.account"}),
                open_source("header", event={"group": "header:X-Account"}),
            ]
            ends = [endpoint("first", receiver.url, retry=QUICK, ordered={"key": "group"})]
            with Gateway(sources, ends, folder=folder) as gateway:
                def of(n, source, group):
                    body = {"n": n, "account": group if source == "body" else "other"}
                    headers = {"X-Account": group} if source == "header" else {}
                    if source == "published":
                        order = {"type": "t", "payload": body, "group": group}
                        done(gateway, "POST", "/api/v1/events", order)
                        return
                    status, _, _ = request(gateway.port, f"/in/{source}", json.dumps(body), headers, "POST")
                    assert status == 202, status

                for n, (source, key) in enumerate(
                        [("body", "7"), ("header", "7"), ("published", "7"), ("body", "8"), ("published", "8"),
                         ("header", "9")], 1):
                    of(n, source, key)
                wait_until(lambda: set(numbers(receiver)) >= {1, 4, 5, 6}, 10, lambda: f"{numbers(receiver)}")
                gateway.expect_clean = False
                gateway.kill()
            with Gateway(sources, ends, folder=folder) as gateway:
                wait_until(lambda: {2, 3} <= set(numbers(receiver)), 20, lambda: f"{numbers(receiver)}")
                got = numbers(receiver)
                last = {n: len(got) - 1 - got[::-1].index(n) for n in got}
                assert last[1] < got.index(2) < got.index(3), got
                assert got.index(4) < got.index(5), got


def coalesce(report):
    def keyed(gateway, n, key):
        status, _, _ = gateway.post("/in/test", json.dumps({"n": n, "id": key}).encode())
        assert status in (200, 202), status

    def superseded(gateway):
        return sorted(
            d["event"] for d in gateway.api("/api/v1/deliveries?state=superseded&limit=500")["items"])

    with report.case("after an outage and kill -9 it gets the newest of each key, and the others are traced") as notes:
        broken, good = threading.Event(), []
        broken.set()

        def script(delivery, number):
            if broken.is_set():
                return 503
            good.append(json.loads(delivery.body)["n"])
            return 204

        with Receiver(script) as receiver, \
                tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
            ends = [endpoint("first", receiver.url, retry={"delays": ["2s"] * 40, "jitter": 0},
                             coalesce={"key": ["json:$.id"]}, concurrency=4)]
            with Gateway([open_source()], ends, folder=folder) as gateway:
                for n in range(1, 201):
                    keyed(gateway, n, n % 5)
                wait_until(lambda: status_of(gateway)["pending"] <= 9 and len(superseded(gateway)) >= 190, 20,
                           lambda: f"{status_of(gateway)} {len(superseded(gateway))}")
                gateway.expect_clean = False
                gateway.kill()
            tried = receiver.count()
            with Gateway([open_source()], ends, folder=folder) as gateway:
                for n in range(201, 211):
                    keyed(gateway, n, n % 5)
                time.sleep(0.5)
                broken.clear()
                done(gateway, "POST", "/api/v1/endpoints/first/retry-now")
                wait_until(lambda: status_of(gateway)["pending"] == 0, 20, lambda: f"{status_of(gateway)}")
                assert sorted(set(good) & set(range(206, 211))) == list(range(206, 211)), good
                assert not set(good) & set(range(1, 196)), good
                assert status_of(gateway)["dead"] == 0, status_of(gateway)
                gone = superseded(gateway)
                assert len(gone) >= 200, len(gone)
                trace = gateway.api(f"/api/v1/events/{gone[0]}/trace")["endpoints"][0]
                assert trace["outcome"] == "superseded" and trace["why"][0]["code"] == "superseded", trace
                # The store has them a moment later.
                path = "/api/v1/deliveries?state=delivered&limit=500"
                listed = wait_until(lambda: gateway.api(path)["items"], 10, "no delivered row")
                assert {d["state"] for d in listed} == {"delivered"} and len(listed) <= 15, listed
                assert event_count(gateway, "coalesce", "superseded") >= 5
                notes.append(f"{tried} attempts while it was down, {len(set(good))} events of 210 delivered")
    with report.case("the first of a key waits for newer ones as long as `within` says"):
        with Receiver() as receiver:
            ends = [endpoint("first", receiver.url, coalesce={"key": "group", "within": "2s"})]
            with Gateway([open_source(event={"group": "json:$.id"})], ends) as gateway:
                began = time.monotonic()
                for n in range(1, 8):
                    keyed(gateway, n, "a")
                    time.sleep(0.1)
                wait_until(lambda: receiver.count() == 1, 10, "nothing goes")
                assert numbers(receiver) == [7], numbers(receiver)
                assert receiver.snapshot()[0].at - began >= 1.9, "too early"
                keyed(gateway, 8, "b")
                wait_until(lambda: numbers(receiver) == [7, 8], 10, lambda: f"{numbers(receiver)}")


def batch(report):
    def items(delivery):
        return [item["data"]["n"] for item in json.loads(delivery.body)]

    with report.case("events go in batches; one that fails goes again as it was, over kill -9") as notes:
        broken = threading.Event()
        broken.set()
        with Receiver(lambda d, number: 503 if broken.is_set() else 204) as receiver, \
                tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
            ends = [endpoint("first", receiver.url, retry={"delays": ["1s"] * 40, "jitter": 0}, ordered=True,
                             batch={"events": 10, "within": "300ms"})]
            with Gateway([open_source()], ends, folder=folder) as gateway:
                send(gateway, 25)
                wait_until(lambda: receiver.count() >= 2, 20, lambda: f"{receiver.count()} requests")
                tried = receiver.snapshot()
                assert len({tuple(items(d)) for d in tried}) == 1 and len(items(tried[0])) <= 10, tried
                assert {d.id for d in tried} == {tried[0].id} and tried[0].id.startswith("bat_"), tried
                gateway.expect_clean = False
                gateway.kill()
            before = receiver.count()
            broken.clear()
            with Gateway([open_source()], ends, folder=folder) as gateway:
                def got():
                    return [n for d in receiver.snapshot()[before:] for n in items(d)]

                wait_until(lambda: set(got()) == set(range(1, 26)), 20, lambda: f"{got()}")
                assert got() == sorted(got()), got()
                first = receiver.snapshot()[before]
                assert first.headers["sluice-batch"] == str(len(items(first))), dict(first.headers)
                assert first.headers["content-type"] == "application/json", dict(first.headers)
                wait_until(lambda: status_of(gateway)["pending"] == 0, 10, lambda: f"{status_of(gateway)}")
                listed = gateway.api("/api/v1/deliveries?state=delivered")["items"]
                assert len(listed) == 25 and all(d["status"] == 204 for d in listed), listed
                wait_until(lambda: event_count(gateway, "batch", "sent") == receiver.count() - before, 10,
                           lambda: f"{event_count(gateway, 'batch', 'sent')} of {receiver.count() - before}")
                notes.append(f"{receiver.count() - before} requests for 25 events")
    with report.case("a line for each event, and what is not JSON as base 64"):
        with Receiver() as receiver:
            ends = [endpoint("first", receiver.url, batch={"events": 3, "within": "1m", "format": "ndjson"},
                             transform=[{"remove": ["$.secret"]}])]
            with Gateway([open_source()], ends) as gateway:
                for body in (b'{"secret":1,\n"n":1}', b'{"n":2}', b'{"n":3}'):
                    assert gateway.post("/in/test", body)[0] in (200, 202)
                wait_until(lambda: receiver.count() == 1, 10, "it waits for its time")
                delivery = receiver.snapshot()[0]
                lines = [json.loads(line) for line in delivery.body.split(b"\n") if line]
                assert [line["data"] for line in lines] == [{"n": 1}, {"n": 2}, {"n": 3}], lines
                assert all(line["id"].startswith("evt_") and line["source"] == "test" for line in lines), lines


def api(report):
    with report.case("the API makes, shows, changes and takes away policies"):
        port = free_port()
        with Gateway([open_source()], delivery={"allow": ["127.0.0.0/8"]}) as gateway:
            body = {
                "name": "e", "url": f"http://127.0.0.1:{port}/", "breaker": True, "retry": {"preset": "slack"},
                "rate": {"per_minute": 30}, "deadline": "1d", "concurrency": {"max": 9}, "disable_after": "5d",
            }
            made = done(gateway, "POST", "/api/v1/endpoints", body)
            assert made["breaker"]["failures"] == 5 and made["breaker"]["cooldown"] == "1m", made["breaker"]
            assert made["retry"] == {"preset": "slack"}, made["retry"]
            assert made["rate"] == {"per_minute": 30, "burst": 1} and made["concurrency"]["min"] == 1, made
            assert made["deadline"] == "1d" and made["disable_after"] == "5d", made
            changed = done(
                gateway, "PATCH", "/api/v1/endpoints/e",
                {"breaker": {"probes": 1}, "rate": None, "concurrency": 4, "retry": {"preset": None}})
            assert changed["breaker"]["probes"] == 1 and changed["breaker"]["failures"] == 5, changed
            assert "rate" not in changed and changed["concurrency"] == 4, changed
            assert len(changed["retry"]["delays"]) == 9, changed["retry"]
            plain = done(
                gateway, "PUT", "/api/v1/endpoints/e", {"name": "e", "url": f"http://127.0.0.1:{port}/"})
            assert plain["breaker"] is False and "deadline" not in plain and plain["concurrency"] == 16, plain
            audit = json.dumps(gateway.api("/api/v1/audit"))
            assert "breaker" in audit and "disable_after" in audit
    with report.case("what is wrong is refused with its place"):
        with Gateway([open_source()], delivery={"allow": ["127.0.0.0/8"]}) as gateway:
            wrong = [
                ({"breaker": {"failures": 0}}, "breaker.failures"),
                ({"breaker": {"on": ["5xx", "slow"]}}, "breaker.on[1]"),
                ({"errors": {"limit": {}}}, "errors.limit"), ({"errors": {}}, "errors"),
                ({"rate": {"burst": 2}}, "rate"),
                ({"rate": {"per_second": 1, "per_minute": 1}}, "rate"),
                ({"retry": {"preset": "svix", "delays": ["1s"]}}, "retry.delays"),
                ({"retry": {"preset": "svix", "backoff": {}}}, "retry.backoff"),
                ({"retry": {"backoff": {"first": "2s", "max": "1s"}}}, "retry.backoff.max"),
                ({"concurrency": {"max": 2, "min": 3}}, "concurrency.min"), ({"deadline": "1ms"}, "deadline"),
                ({"deadline": "5s", "delay": "5s"}, "deadline"),
                ({"shadow": {"share": 0.5}, "ordered": True}, "shadow"),
                ({"ordered": {"key": ["group", "query:a"]}}, "ordered.key[1]"),
                ({"coalesce": {"key": []}}, "coalesce.key"),
                ({"batch": {}, "ordered": {"key": ["group"]}}, "batch"),
                ({"batch": {}, "coalesce": {"key": ["group"]}}, "batch"),
                ({"coalesce": {"key": ["group"]}, "delay": "1s"}, "coalesce"),
                ({"coalesce": {"key": ["group"]}, "ordered": True}, "coalesce"),
                ({"delay": "1s", "retry": {"budget": 0.5}}, "retry.budget"), ({"disable_after": "1s"}, "disable_after"),
            ]
            for fields, path in wrong:
                body = {"name": "e", "url": "http://127.0.0.1:9/", **fields}
                status, answer = call(gateway, "POST", "/api/v1/endpoints", body)
                paths = [error["path"] for error in answer.get("errors", [])]
                assert status == 422 and paths == [path], f"{fields}: {status} {answer}"


def main():
    arguments(__doc__)
    report = Report("policies")
    parts = (
        breaker, retries, classes, rate, times, shadow, concurrency, refusing, weights, group, coalesce, batch, api)
    for part in parts:
        part(report)
    report.finish()


if __name__ == "__main__":
    main()
