#!/usr/bin/env python3
"""What an endpoint sees: retries, disabling, slowing down, isolation, dead letters, replay; and addresses that
are refused.

The receiver is a Python server of our own; retry delays are configured in tenths of seconds."""

import glob
import http.server
import json
import os
import tempfile
import threading
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
from receiver import Receiver, Reset
from report import Report, arguments, one_line, stays_true, wait_until
from serverutil import Gateway, StartFailed, endpoint, free_port, github_headers, github_source, sluice

FAST = {"delays": ["200ms", "300ms", "300ms"], "jitter": 0}
TIMEOUTS = {"connect": "500ms", "head": "700ms", "total": "1s"}


def send(gateway, count=1, event="push", source="github"):
    names = []
    for number in range(count):
        body = json.dumps({"zen": event, "n": number, "at": time.time_ns()}).encode()
        status, _, answer = gateway.post(f"/in/{source}", body, github_headers(body, event=event))
        assert status in (200, 202), f"{status} {answer[:200]}"
        names.append(json.loads(answer)["id"])
    return names


def attempts_of(receiver, name):
    return [d for d in receiver.snapshot() if d.id == name]


def endpoint_states(gateway):
    return {e["name"]: e["state"] for e in gateway.api("/api/endpoints")["endpoints"]}


def one_endpoint(receiver, **more):
    return [endpoint("first", receiver.url, retry=FAST, timeouts=TIMEOUTS, **more)]


def retried_after(report, what, failure):
    """The first two attempts fail in this way, the third is answered 204."""
    with report.case(f"retried after {what}"):
        with Receiver(lambda d, number: failure() if number <= 2 else 204) as receiver:
            with Gateway([github_source()], one_endpoint(receiver)) as gateway:
                name = send(gateway)[0]
                wait_until(lambda: receiver.count() >= 3, 15, lambda: f"{receiver.count()} attempts")
                stays_true(lambda: receiver.count() == 3, 1, lambda: f"{receiver.count()} attempts")
                got = attempts_of(receiver, name)
                assert (
                    len(got) == 3 and receiver.count() == 3
                ), f"{receiver.count()} attempts, {len(got)} of them with its id"
                assert len({d.body for d in got}) == 1, "the body changed between attempts"
                assert got[1].at - got[0].at >= 0.15 and got[2].at - got[1].at >= 0.25, "no wait before a retry"


def time_out():
    time.sleep(2.5)  # past every time-out of the endpoint
    return 204


def reset():
    raise Reset


def permanent(report, status):
    with report.case(f"{status} is permanent: one attempt, then a dead letter"):
        with Receiver(lambda d, number: status) as receiver:
            with Gateway([github_source()], one_endpoint(receiver)) as gateway:
                name = send(gateway)[0]
                wait_until(lambda: receiver.count() >= 1, 10, "a delivery")
                stays_true(lambda: receiver.count() == 1, 1.2, lambda: f"{receiver.count()} attempts")
                dead = gateway.api("/api/deliveries?state=dead")["deliveries"]
                assert [(d["event"], d["status"]) for d in dead] == [(name, status)], dead


def stages(report):
    with report.case("each stage of an event's way is in the histograms"):
        with Receiver() as receiver:
            with Gateway([github_source()], one_endpoint(receiver)) as gateway:
                send(gateway, 3)
                wait_until(lambda: receiver.count() >= 3, 10, "the deliveries")

                def counts():
                    stages = ("verify", "commit", "queue_wait", "connect", "first_byte", "done")
                    return {s: gateway.metric_sum("sluice_stage_seconds_count", stage=s) for s in stages}

                wait_until(lambda: counts()["done"] >= 3, 5, lambda: f"stages: {counts()}")
                seen = counts()
                assert seen["commit"] == seen["queue_wait"] == seen["first_byte"] == seen["done"] == 3, seen
                assert 1 <= seen["verify"] <= 3 and 1 <= seen["connect"] <= 3, seen


def redirect(report):
    with report.case("302 is a failure and is not followed"):
        with Receiver() as other, Receiver() as receiver:
            receiver.script = lambda d, number: (302, {"Location": other.url}) if number == 1 else 204
            with Gateway([github_source()], one_endpoint(receiver)) as gateway:
                send(gateway)
                wait_until(lambda: receiver.count() >= 1, 10, "a delivery")
                wait_until(lambda: receiver.count() >= 2, 10, "the retry")
                stays_true(lambda: other.count() == 0, 0.5, "followed")


def gone(report):
    with report.case("410 disables the endpoint"):
        with Receiver(lambda d, number: 410) as receiver, Receiver() as other:
            both = one_endpoint(receiver) + [endpoint("other", other.url)]
            with Gateway([github_source()], both) as gateway:
                send(gateway)
                wait_until(lambda: receiver.count() >= 1 and other.count() >= 1, 10, "the first delivery")
                wait_until(lambda: endpoint_states(gateway)["first"] == "disabled", 10, "the endpoint is not disabled")
                send(gateway, 5)
                wait_until(lambda: other.count() >= 6, 10, "the other endpoint's deliveries")
                stays_true(lambda: receiver.count() == 1, 1, "a further attempt at a gone endpoint")
                states = endpoint_states(gateway)
                assert states == {"first": "disabled", "other": "active"}, states


def throttled(report):
    with report.case("429 with Retry-After slows the endpoint, not only the message"):
        with Receiver(lambda d, number: (429, {"Retry-After": "2"}) if number == 1 else 204) as receiver:
            with Gateway([github_source()], one_endpoint(receiver, concurrency=1)) as gateway:
                first = send(gateway)[0]
                wait_until(lambda: receiver.count() >= 1, 10, "a delivery")
                wait_until(lambda: endpoint_states(gateway)["first"] != "active", 5, "the endpoint is not slowed")
                send(gateway, 5)
                stays_true(lambda: receiver.count() == 1, 1, "an attempt within the time it asked to be left alone")
                wait_until(lambda: receiver.count() >= 7, 15, lambda: f"{receiver.count()} of 7 attempts")
                assert receiver.snapshot()[1].at - receiver.snapshot()[0].at >= 1.8
                assert len(attempts_of(receiver, first)) == 2


def isolation(report):
    with report.case("a slow endpoint does not delay another") as notes:

        def slowly(delivery, number):
            time.sleep(1.5)  # what a slow endpoint is
            return 204

        with Receiver(slowly) as slow, Receiver() as quick:
            both = [endpoint("slow", slow.url, concurrency=2), endpoint("quick", quick.url)]
            with Gateway([github_source()], both) as gateway:
                started = time.monotonic()
                names = send(gateway, 100)
                sent = time.monotonic()
                wait_until(lambda: quick.count() >= 100, 10, lambda: f"{quick.count()} of 100 at the quick endpoint")
                notes.append(f"sent in {sent - started:.1f} s, all there {time.monotonic() - sent:.2f} s later")
                assert slow.active_max <= 2, f"{slow.active_max} at once at an endpoint with concurrency 2"
                assert {d.id for d in quick.snapshot()} == set(names)
                gateway.expect_clean = False  # 98 slow deliveries are still owed


def few_connections(report):
    with report.case("more endpoints than there may be connections, and pools of them: each has its event"):
        with Receiver() as receiver:
            wanted = [endpoint(f"e{number}", f"{receiver.url}{number}") for number in range(80)]
            with Gateway([github_source()], wanted, delivery={"connections": 16}) as gateway:
                for count in (1, 2):
                    send(gateway)
                    wait_until(
                        lambda: receiver.count() >= count * len(wanted), 15,
                        lambda: f"{receiver.count()} of {count * len(wanted)} deliveries")
                stays_true(lambda: receiver.count() == 2 * len(wanted), 0.3, "one was sent again")


def routing(report):
    with report.case("type patterns and sources choose the endpoints"):
        with Receiver() as pushes, Receiver() as invoices, Receiver() as others:
            wanted = [
                endpoint("pushes", pushes.url, types=["push"]),
                endpoint("invoices", invoices.url, types=["invoice.*"]),
                endpoint("others", others.url, sources=["second"]),
            ]
            with Gateway([github_source(), github_source("second")], wanted) as gateway:
                push, paid = send(gateway)[0], send(gateway, event="invoice.paid")[0]
                second = send(gateway, event="ping", source="second")[0]
                wait_until(
                    lambda: pushes.count() and invoices.count() and others.count(), 10, "each endpoint's delivery"
                )
                wanted = [[push], [paid], [second]]
                stays_true(lambda: [[d.id for d in r.snapshot()] for r in (pushes, invoices, others)] == wanted, 0.5,
                           "an endpoint has what it does not want")


def outcomes(report):
    with report.case("outcomes: what a status means is the endpoint's to say"):
        wanted = {
            "kept": (404, {"404": "retry", "4xx": "dead"}, 3, "delivered"),
            "class": (429, {"404": "retry", "4xx": "dead"}, 1, "dead"),
            "webhooks": (404, "standard-webhooks", 3, "delivered"),
            "ops": (408, "ops-center", 1, "dead"),
            "taken": (409, {"409": "delivered"}, 1, "delivered"),
            "locked": (423, "default", 3, "delivered"),
            "misdirected": (421, "default", 3, "delivered"),
            "large": (413, "default", 1, "dead"),
        }
        with Receiver() as receiver:
            counts = {}

            def script(delivery, number):
                name = delivery.path[1:]
                counts[name] = counts.get(name, 0) + 1
                return wanted[name][0] if counts[name] < 3 else 204

            receiver.script = script
            host = receiver.url.rsplit("/", 1)[0]
            ends = [
                endpoint(name, f"{host}/{name}", retry=FAST, outcomes=said) for name, (_, said, _, _) in wanted.items()
            ]
            with Gateway([github_source()], ends) as gateway:
                send(gateway)
                total = sum(count for _, _, count, _ in wanted.values())
                wait_until(lambda: receiver.count() >= total, 15, lambda: f"{counts}")
                stays_true(lambda: receiver.count() == total, 1.2, lambda: f"{counts}")
                assert counts == {name: count for name, (_, _, count, _) in wanted.items()}, counts
                states = {d["endpoint"]["name"]: d["state"] for d in gateway.api("/api/v1/deliveries")["items"]}
                assert states == {name: state for name, (_, _, _, state) in wanted.items()}, states
    with report.case("413 with Retry-After is temporary"):
        with Receiver(lambda d, number: (413, {"Retry-After": "1"}) if number == 1 else 204) as receiver:
            with Gateway([github_source()], one_endpoint(receiver)) as gateway:
                send(gateway)
                wait_until(lambda: receiver.count() == 2, 10, lambda: f"{receiver.count()} attempts")


def order(report):
    def numbers(receiver, customer=None):
        bodies = [json.loads(d.body) for d in receiver.snapshot()]
        return [b["n"] for b in bodies if customer is None or b["customer"] == customer]

    def post(gateway, count, customers=("x",), start=1):
        for number in range(start, start + count):
            body = json.dumps({"n": number, "customer": customers[number % len(customers)]}).encode()
            assert gateway.post("/in/github", body, github_headers(body))[0] in (200, 202)

    def failing_at(wrong):
        """The first attempt of these numbers fails."""
        failed = set()

        def script(delivery, number):
            n = json.loads(delivery.body)["n"]
            if n in wrong and n not in failed:
                failed.add(n)
                return 503
            return 204

        return script

    with report.case("ordered: 1 2 3 4, also when 3 fails once"):
        with Receiver(failing_at({3})) as receiver:
            with Gateway([github_source()], one_endpoint(receiver, ordered=True)) as gateway:
                post(gateway, 8)
                wait_until(lambda: receiver.count() >= 9, 15, lambda: f"{numbers(receiver)}")
                assert numbers(receiver) == [1, 2, 3, 3, 4, 5, 6, 7, 8], numbers(receiver)
                assert receiver.active_max == 1
    with report.case("ordered by key: the others do not wait"):
        with Receiver(failing_at({1, 5})) as receiver:
            ends = [
                endpoint("first", receiver.url, retry={"delays": ["800ms"], "jitter": 0},
                         ordered={"key": "json:$.customer"})
            ]
            with Gateway([github_source()], ends) as gateway:
                post(gateway, 12, ("x", "y"))
                wait_until(lambda: len(numbers(receiver, "x")) == 6, 0.7, lambda: f"{numbers(receiver)}")
                assert numbers(receiver, "y") == [1], numbers(receiver, "y")
                wait_until(lambda: receiver.count() >= 14, 15, lambda: f"{numbers(receiver)}")
                assert numbers(receiver, "x") == [2, 4, 6, 8, 10, 12], numbers(receiver, "x")
                assert numbers(receiver, "y") == [1, 1, 3, 5, 5, 7, 9, 11], numbers(receiver, "y")
    with report.case("an order outlives a restart"):
        with Receiver(lambda d, number: 503) as receiver:
            ends = [
                endpoint("first", receiver.url, retry={"delays": ["1500ms"] * 20, "jitter": 0},
                         ordered={"key": "json:$.customer"})
            ]
            with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
                with Gateway([github_source()], ends, folder=folder) as gateway:
                    post(gateway, 4)
                    wait_until(lambda: receiver.count() >= 1, 10, "the first attempt")
                receiver.script = lambda d, number: 204
                before = receiver.count()
                with Gateway([github_source()], ends, folder=folder) as gateway:
                    post(gateway, 2, start=5)
                    wait_until(lambda: receiver.count() >= before + 6, 15, lambda: f"{numbers(receiver)}")
                    assert numbers(receiver)[before:] == [1, 2, 3, 4, 5, 6], numbers(receiver)
                    assert set(numbers(receiver)[:before]) == {1}, numbers(receiver)


def fields_of_the_body(report):
    with report.case("one User-Agent, and the body's own fields without forward_headers"):
        with Receiver() as receiver, Receiver() as bare:
            ends = one_endpoint(receiver) + [endpoint("bare", bare.url, forward_headers=False)]
            with Gateway([github_source()], ends) as gateway:
                body = b'{"zen":"fields"}'
                headers = {**github_headers(body), "Content-Encoding": "identity"}
                assert gateway.post("/in/github", body, headers)[0] in (200, 202)
                wait_until(lambda: receiver.count() and bare.count(), 10, "the deliveries")
                got, few = receiver.snapshot()[0].headers, bare.snapshot()[0].headers
                assert got["user-agent"].startswith("Sluice/") and "," not in got["user-agent"], got["user-agent"]
                assert got["sluice-forwarded-user-agent"] == "GitHub-Hookshot/044aadd", got
                assert few["content-type"] == "application/json" and few["content-encoding"] == "identity", few
                assert "x-github-event" not in few and "sluice-forwarded-user-agent" not in few, few
                assert few["user-agent"].startswith("Sluice/"), few


def headers_forwarded(report):
    with report.case("provider's headers go along, framing and hop-by-hop ones do not"):
        with Receiver() as receiver:
            with Gateway([github_source()], one_endpoint(receiver)) as gateway:
                body = b'{"zen":"headers"}'
                headers = {
                    **github_headers(body),
                    "Connection": "X-Secret-Hop",
                    "X-Secret-Hop": "1",
                    "Keep-Alive": "9",
                }
                assert gateway.post("/in/github", body, headers)[0] in (200, 202)
                wait_until(receiver.count, 10, "the delivery")
                got = receiver.snapshot()[0]
                assert got.headers["x-github-event"] == "push" and got.headers["content-type"] == "application/json"
                assert "x-secret-hop" not in got.headers and "keep-alive" not in got.headers, got.headers
                assert got.body == body and got.headers["host"] == f"127.0.0.1:{receiver.port}", got.headers["host"]


def dead_letter_and_replay(report):
    with report.case("retries run out: dead letter; replay keeps webhook-id") as notes:
        with Receiver(lambda d, number: 500 if number <= 4 else 204) as receiver:
            with Gateway([github_source()], one_endpoint(receiver)) as gateway:
                name = send(gateway)[0]
                wait_until(lambda: receiver.count() >= 4, 15, lambda: f"{receiver.count()} attempts")
                stays_true(lambda: receiver.count() == 4, 1.2, "more attempts than the three retries configured")
                dead = wait_until(lambda: gateway.api("/api/deliveries?state=dead")["deliveries"], 5, "a dead letter")
                assert [(d["event"], d["endpoint"], d["attempts"]) for d in dead] == [(name, "first", 4)], dead
                counted = gateway.api("/api/replay", {"dead": True})
                assert counted["count"] == 1 and counted["dryRun"] and receiver.count() == 4, counted
                replayed = gateway.api("/api/replay", {"event": name, "dryRun": False})
                assert replayed["count"] == 1, replayed
                wait_until(lambda: receiver.count() >= 5, 10, "the replayed delivery")
                assert {d.id for d in receiver.snapshot()} == {name}, "another webhook-id"
                wait_until(lambda: gateway.api("/api/deliveries?state=delivered")["deliveries"], 5, "its success")
                notes.append(one_line(replayed))


def events_commands(report):
    """`events list|show|replay` talk to the running gateway through its admin port."""
    with report.case("events list, show and replay on the command line"):
        with Receiver() as receiver:
            with Gateway([github_source()], one_endpoint(receiver)) as gateway:
                names = send(gateway, 3)
                wait_until(lambda: receiver.count() >= 3, 10, "the deliveries")
                where = ["--config", gateway.config_path]
                listed = sluice("events", "list", *where, "--json", check=0).stdout
                assert all(name in listed for name in names), one_line(listed)
                shorter = sluice("events", "list", *where, "--limit", "2", "--type", "push", check=0).stdout.split("\n")
                assert len([line for line in shorter if line]) == 2, shorter
                known = gateway.api(f"/api/v1/events/{names[0]}")["event"]["provider_id"]
                found = sluice("events", "find", "--provider-id", known, *where, "--json", check=0).stdout
                assert names[0] in found and names[1] not in found, one_line(found)
                sluice("events", "find", "--provider-id", known + "x", *where, check=1)
                # The log's identity in eight digits, then the sequence in thirteen: none is too large to be asked for.
                beyond = gateway.api(f"/api/events?after={names[0][:-13]}fzzzzzzzzzzzz")
                assert not beyond["events"], beyond
                shown = sluice("events", "show", names[0], *where, "--json", check=0).stdout
                assert names[0] in shown and "push" in shown, one_line(shown)
                sluice("events", "show", "evt_" + "0" * 21, *where, check=1)
                counted = sluice("events", "replay", "--source", "github", *where, check=0).stdout
                assert "3" in counted and receiver.count() == 3, one_line(counted)
                sluice("events", "replay", names[0], *where, check=0)
                sluice("events", "replay", names[1], "--yes", *where, check=0)
                wait_until(lambda: len(attempts_of(receiver, names[1])) == 2, 10, "the replayed event")


def kept_over_restart(report):
    with report.case("what was not delivered before a restart is delivered after it"):
        port = free_port()
        ends = [endpoint("late", f"http://127.0.0.1:{port}/hooks", retry={"delays": ["1s"] * 30, "jitter": 0})]
        import shutil

        folder = tempfile.mkdtemp(prefix="sluice-test-")
        try:
            with Gateway([github_source()], ends, folder=folder) as gateway:
                names = send(gateway, 20)
                wait_until(lambda: len(gateway.api("/api/deliveries?state=pending")["deliveries"]) == 20, 10,
                           "not all are pending")
            got, server = [], make_server(port)
            server.got = got
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            with Gateway([github_source()], ends, folder=folder):
                wait_until(lambda: set(got) >= set(names), 20, lambda: f"{len(set(got))} of 20")
            server.shutdown()
            server.server_close()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def segments_gone(report):
    """Whoever moves files of the log away loses what is in them, and nothing that comes later."""
    with report.case("after the log's files were moved away new events are delivered"):
        with Receiver() as receiver:
            with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
                with Gateway([github_source()], one_endpoint(receiver), folder=folder) as gateway:
                    send(gateway, 20)
                    wait_until(lambda: receiver.count() == 20, 10, lambda: f"{receiver.count()} of 20")
                for path in glob.glob(os.path.join(folder, "data", "log", "*.log")):
                    os.rename(path, os.path.join(folder, os.path.basename(path)))
                with Gateway([github_source()], one_endpoint(receiver), folder=folder) as gateway:
                    names = send(gateway, 10)
                    arrived = lambda: {d.id for d in receiver.snapshot()} >= set(names)  # noqa: E731
                    wait_until(arrived, 10, lambda: f"{receiver.count() - 20} of 10")
                    assert (
                        receiver.count() == 30 and len({d.id for d in receiver.snapshot()}) == 30
                    ), "an id came twice"


def make_server(port):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.server.got.append(self.headers["webhook-id"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    return http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)


def refused_at_start(report, what, url, words, allow=None):
    with report.case(f"refused at start: {what}"):
        error = Gateway([github_source()], [endpoint("bad", url)], delivery={"allow": allow or []}).refused_start(10)
        assert "exit status 2" in error, one_line(error)
        assert any(word in error.lower() for word in words), one_line(error)


def refused_addresses(report):
    for url in (
        "http://127.0.0.1:9000/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://[::ffff:127.0.0.1]/",
        "http://user:pass@8.8.8.8/",
    ):
        refused_at_start(report, url, url, ["allow", "address", "not global", "loopback", "private", "user"])
    with report.case("a name that resolves to loopback is never connected to"):
        with Receiver() as receiver:
            url = f"http://localhost:{receiver.port}/hooks"
            gateway = Gateway(
                [github_source()], [endpoint("name", url, retry=FAST)], delivery={"allow": ["203.0.113.0/24"]}
            )
            try:
                gateway.start(10)
                send(gateway)
                stays_true(lambda: receiver.count() == 0, 2, "connected to loopback through a name")
                gateway.stop()
            except StartFailed as error:
                assert "localhost" in str(error) or "127.0.0.1" in str(error) or "::1" in str(error), one_line(error)
            finally:
                gateway.discard()
            assert receiver.count() == 0 and receiver.connections == 0, "it connected"


def main():
    options = arguments(__doc__, only="")
    report = Report("delivery")
    groups = [
        lambda: retried_after(report, "500", lambda: 500),
        lambda: retried_after(report, "503", lambda: 503),
        lambda: retried_after(report, "a time-out", time_out),
        lambda: retried_after(report, "a reset", reset),
        lambda: permanent(report, 400),
        lambda: permanent(report, 404),
        lambda: stages(report),
        lambda: redirect(report),
        lambda: gone(report),
        lambda: throttled(report),
        lambda: isolation(report),
        lambda: few_connections(report),
        lambda: routing(report),
        lambda: headers_forwarded(report),
        lambda: fields_of_the_body(report),
        lambda: outcomes(report),
        lambda: order(report),
        lambda: dead_letter_and_replay(report),
        lambda: events_commands(report),
        lambda: kept_over_restart(report),
        lambda: segments_gone(report),
        lambda: refused_addresses(report),
    ]
    for number, group in enumerate(groups):
        if not options.only or options.only == str(number):
            group()
    report.finish()


if __name__ == "__main__":
    main()
