#!/usr/bin/env python3
"""The stream of events from outside: everything once and in order, over restarts and filters; to each tenant its own;
what becomes of deliveries and endpoints; and a reader that does not read harms nobody."""

import json
import re
import tempfile
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
from eventstream import EventStream, Refused, flood
from receiver import Receiver
from report import Report, arguments, one_line, stays_true, wait_until
from serverutil import Gateway, endpoint, github_headers, github_source, open_source, platform_key, request

EVENTS = "/api/v1/events"


def call(gateway, method, path, body=None, headers=None, wanted=(200, 201, 202, 204)):
    data = None if body is None else json.dumps(body)
    status, _, text = request(gateway.admin_port, path, data, {"X-Sluice-Request": "1", **(headers or {})}, method)
    assert status in wanted, f"{method} {path}: {status} {one_line(text.decode())}"
    return json.loads(text) if text else None


def post(gateway, path, number):
    status, _, text = gateway.post(path, json.dumps({"number": number}))
    assert status == 202, status
    return json.loads(text)["id"]


def push(gateway, kind="push"):
    """An event of a type."""
    body = json.dumps({"at": time.time_ns()}).encode()
    status, _, text = gateway.post("/in/github", body, github_headers(body, event=kind))
    assert status == 202, status
    return json.loads(text)["id"]


def refused(port, query="", headers=None):
    try:
        EventStream(port, query, headers).close()
    except Refused as refusal:
        return refusal.status, json.loads(refusal.text)["code"]
    raise AssertionError(f"{query} was answered")


def order(report):
    with report.case("every event is told once, in the log's order, as the listing has it") as notes:
        with Gateway([open_source("in"), github_source()]) as gateway:
            early = post(gateway, "/in/in", 0)
            port = gateway.admin_port
            with EventStream(port) as stream, EventStream(port, f"?after={early}") as second:
                flood(gateway, "/in/in", 2000)
                push(gateway, 'odd "type" \\ <ü>')
                told = stream.wait("event", 2001)
                listed, after = [], early
                while len(listed) < 2001:
                    page = call(gateway, "GET", f"{EVENTS}?after={after}&limit=1000")
                    listed += page["items"]
                    after = page["next"]
                assert told == listed, next(pair for pair in zip(told, listed) if pair[0] != pair[1])
                assert second.wait("event", 2001) == listed
                assert [item.id for item in stream.items] == [one["id"] for one in listed]
                assert stream.last_id == listed[-1]["id"]
                stays_true(lambda: len(stream.items) == 2001, 0.5, "something was told twice")
                assert gateway.metrics()["sluice_stream_readers"] == 2
            notes.append("2 readers")


def resume(report):
    with report.case("resumed by id, over a restart: nothing is missing, nothing comes twice"):
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
            with Gateway([open_source("in")], folder=folder) as gateway:
                with EventStream(gateway.admin_port) as stream:
                    first = [post(gateway, "/in/in", number) for number in range(20)]
                    stream.wait("event", 20)
                    assert gateway.stop() == 0
                    wait_until(lambda: stream.ended, 10, "the stream goes on after the end of the gateway")
                    assert stream.is_whole and stream.of("end") == [{"reason": "draining"}], stream.of("end")
                    # Where it was when it ended.
                    place = stream.last_id
            with Gateway([open_source("in")], folder=folder) as gateway:
                log, port = first + [post(gateway, "/in/in", 100 + number) for number in range(20)], gateway.admin_port
                for query, headers, start in (
                    (f"?after={place}", None, 20),
                    ("", {"Last-Event-ID": log[9]}, 10),
                    # What a client sends when it comes back: the same URL, and the newer id.
                    (f"?after={log[0]}", {"Last-Event-ID": log[15]}, 16),
                    (f"?after={log[19]}", None, 20),
                ):
                    with EventStream(port, query, headers) as stream:
                        wanted = log[start:]
                        assert [one["id"] for one in stream.wait("event", len(wanted))] == wanted, query
                        log.append(post(gateway, "/in/in", time.time_ns()))
                        wanted = log[start:]
                        assert [one["id"] for one in stream.wait("event", len(wanted))] == wanted, query
    with report.case("resumed again and again while events come: one sequence"):
        with Gateway([open_source("in")]) as gateway:
            with EventStream(gateway.admin_port) as whole:
                place, parts = None, []
                for number in range(8):
                    headers = {"Last-Event-ID": place} if place else None
                    with EventStream(gateway.admin_port, "", headers) as stream:
                        flood(gateway, "/in/in", 300, f"r{number}")
                        wanted = 100 if number < 7 else 2400 - len(parts)
                        stream.wait("event", wanted)
                        with stream.lock:
                            items = list(stream.items)
                            place = stream.last_id
                    parts += [item.data for item in items]
                assert parts == whole.wait("event", 2400), f"{len(parts)} parts"
    with report.case("who comes back far behind catches up in order while more comes"):
        with Gateway([open_source("in")]) as gateway:
            first = post(gateway, "/in/in", -1)
            flood(gateway, "/in/in", 20000)
            with EventStream(gateway.admin_port, f"?after={first}") as stream:
                flood(gateway, "/in/in", 5000, "late")
                told = stream.wait("event", 25000, 60)
                sequences = [one["sequence"] for one in told]
                assert sequences == list(range(sequences[0], sequences[0] + 25000)), "out of order"


def outcomes(report):
    with report.case("deliveries that succeed, fail and are given up, as the listing has them; and endpoints"):
        answers = {"good": 204, "bad": 500, "gone": 404}

        def script(delivery, number):
            return answers[delivery.path.rsplit("/", 1)[1]]

        with Receiver(script) as receiver:
            hooks = [endpoint(name, f"{receiver.url}/{name}", types=[name]) for name in answers]
            with Gateway([github_source()], hooks, delivery={"allow": ["127.0.0.0/8"]}) as gateway:
                with EventStream(gateway.admin_port) as stream:
                    for name in answers:
                        push(gateway, name)
                    told = stream.wait("delivery", 3)

                    def rows():
                        return {one["event"]: one for one in call(gateway, "GET", "/api/v1/deliveries")["items"]}

                    # It is told before the store has it.
                    listed = wait_until(lambda: len(rows()) == 3 and rows(), 10, "three deliveries in the listing")
                    wanted = {"good": ("delivered", 204), "bad": ("pending", 500), "gone": ("dead", 404)}
                    for one in told:
                        assert one == listed[one["event"]], f"{one} {listed[one['event']]}"
                        assert (one["state"], one["status"]) == wanted[one["type"]], one
                    assert [one["endpoint"]["name"] for one in told if "next_attempt_at" in one] == ["bad"]
                    kinds = [(item.kind, item.data.get("event") or item.data["id"]) for item in stream.items]
                    for one in told:
                        at = kinds.index(("event", one["event"]))
                        assert at < kinds.index(("delivery", one["event"])), "told of before its event"
                    for item in stream.items:
                        assert (item.id is not None) == (item.kind == "event"), item.kind
                    call(gateway, "POST", "/api/v1/endpoints/good/pause", {"for": "1h"})
                    call(gateway, "POST", "/api/v1/endpoints/good/enable")
                    moves = [(one["was"], one["state"]) for one in stream.wait("endpoint", 2)]
                    assert moves == [("active", "paused"), ("paused", "active")], moves
                    assert stream.of("endpoint")[0]["endpoint"]["name"] == "good"
                    for _ in range(3):
                        push(gateway, "bad")
                    last = stream.wait("endpoint", 3)[2]
                    assert (last["was"], last["state"], last["reason"]) == ("active", "failing", "attempts_failed")
                    assert "500" in last["last_error"], last


def filters(report):
    with report.case("filters leave out what does not have what they ask for"):
        with Receiver() as receiver:
            hooks = [endpoint("one", f"{receiver.url}/one"), endpoint("two", f"{receiver.url}/two")]
            with Gateway([github_source(), open_source("in")], hooks) as gateway:
                port = gateway.admin_port
                sources = {one["name"]: one["id"] for one in call(gateway, "GET", "/api/v1/sources")["items"]}
                by_id = f"?source={sources['in']}"
                queries = (
                    by_id, "", "?kinds=event", "?types=push,pull.*", "?source=in", "?endpoint=two",
                    "?kinds=delivery&types=push", "?kinds=endpoint", "?kinds=endpoint,event&source=github",
                )
                streams = {query: EventStream(port, query).begun() for query in queries}
                push(gateway, "push")
                push(gateway, "pull.opened")
                push(gateway, "star")
                post(gateway, "/in/in", 1)
                call(gateway, "POST", "/api/v1/endpoints/two/disable")
                streams[""].wait("delivery", 8)
                streams[""].wait("endpoint", 1)
                wanted = {
                    by_id: (1, 2, 0),
                    "": (4, 8, 1), "?kinds=event": (4, 0, 0), "?types=push,pull.*": (2, 4, 0), "?source=in": (1, 2, 0),
                    "?endpoint=two": (0, 4, 1), "?kinds=delivery&types=push": (0, 2, 0), "?kinds=endpoint": (0, 0, 1),
                    "?kinds=endpoint,event&source=github": (3, 0, 0),
                }
                kinds = ("event", "delivery", "endpoint")
                for query, stream in streams.items():
                    for kind, count in zip(kinds, wanted[query]):
                        stream.wait(kind, count)
                time.sleep(0.3)  # what is too much would come by now
                for query, stream in streams.items():
                    counts = tuple(len(stream.of(kind)) for kind in kinds)
                    assert counts == wanted[query], f"{query}: {counts}"
                    stream.close()
                assert {one["source"] for one in streams["?source=in"].of("delivery")} == {"in"}
                assert {one["endpoint"]["name"] for one in streams["?endpoint=two"].of("delivery")} == {"two"}
    with report.case("what cannot be asked for is refused with words"):
        with Gateway([open_source("in")]) as gateway, Gateway([open_source("in")]) as other:
            port, foreign = gateway.admin_port, post(other, "/in/in", 1)
            for query, wanted in (
                ("?kinds=events", (400, "bad_parameter")), ("?kinds=,", (400, "bad_parameter")),
                ("?type=push", (400, "unknown_parameter")), ("?source=nothing", (404, "no_such_source")),
                ("?endpoint=nothing", (404, "no_such_endpoint")), (f"?after={foreign}", (404, "no_such_event")),
                ("?after=Zi54", (404, "no_such_event")),
            ):
                assert refused(port, query) == wanted, f"{query}: {refused(port, query)}"
            assert refused(port, "", {"Last-Event-ID": "nothing"}) == (404, "no_such_event")
            status, headers, text = request(port, EVENTS + "/stream", method="HEAD")
            assert (status, text) == (200, b"") and headers["content-type"] == "text/event-stream", headers
            assert request(port, EVENTS + "/stream", headers={"Authorization": "none"})[0] == 401


def tenants(report):
    with report.case("a tenant is told its own and nothing else; a platform key may choose one"):
        with Receiver() as receiver:
            sources = [open_source(f"{name}-in", tenant=name) for name in ("alpha", "beta")]
            hooks = [endpoint(f"{name}-hook", receiver.url, tenant=name) for name in ("alpha", "beta")]
            with Gateway(sources, hooks) as gateway:
                port, keys = gateway.admin_port, {}
                for name in ("alpha", "beta"):
                    tenant = call(gateway, "GET", f"/api/v1/tenants/{name}")["tenant_id"]
                    made = call(gateway, "POST", "/api/v1/keys", {"tenant_id": tenant, "role": "viewer"})
                    keys[name] = {"Authorization": f"Bearer {made['token']}"}
                first = post(gateway, "/in/beta/beta-in", 0)
                streams = {
                    "alpha": EventStream(port, "", keys["alpha"]).begun(),
                    "beta": EventStream(port, "", keys["beta"]).begun(),
                    "chosen": EventStream(port, "", {"X-Tenant-Id": "alpha"}).begun(),
                    "all": EventStream(port).begun(),
                    # Behind another's event, which is only a place.
                    "behind": EventStream(port, f"?after={first}", keys["alpha"]).begun(),
                }
                ids = {"alpha": [], "beta": []}
                for number in range(40):
                    name = ("alpha", "beta")[number % 3 == 0]
                    ids[name].append(post(gateway, f"/in/{name}/{name}-in", number))
                call(gateway, "POST", "/api/v1/endpoints/beta%2Fbeta-hook/disable")
                streams["all"].wait("delivery", 40)
                streams["all"].wait("endpoint", 1)
                assert len(streams["all"].wait("event", 40)) == 40
                for who, name in (("alpha", "alpha"), ("beta", "beta"), ("chosen", "alpha"), ("behind", "alpha")):
                    stream = streams[who]
                    assert [one["id"] for one in stream.wait("event", len(ids[name]))] == ids[name], who
                    # What became of the first one may have come out after they began.
                    has_first = who == "beta" and first in {one["event"] for one in stream.of("delivery")}
                    count = len(ids[name]) + has_first
                    told = {one["event"] for one in stream.wait("delivery", count)}
                    assert told - ({first} if who == "beta" else set()) == set(ids[name]), who
                    assert len(stream.wait("endpoint", int(who == "beta"))) == (who == "beta"), who
                    if name == "alpha":
                        text = json.dumps([item.data for item in stream.items]) + str(stream.last_id)
                        assert "beta" not in text and not any(one in text for one in ids["beta"]), who
                assert refused(port, "", {**keys["alpha"], "X-Tenant-Id": "beta"}) == (404, "no_such_tenant")
                assert refused(port, "?source=beta-in", keys["alpha"]) == (404, "no_such_source")
                assert refused(port, "?endpoint=beta%2Fbeta-hook", keys["alpha"]) == (404, "no_such_endpoint")
                for stream in streams.values():
                    stream.close()


def ends(report):
    with report.case("a stream ends with its key: revoked, expired, or its tenant gone"):
        with Gateway([open_source("in")]) as gateway:
            port, streams = gateway.admin_port, {}

            def opened(name, **more):
                made = call(gateway, "POST", "/api/v1/keys", {"role": "viewer", **more})
                streams[name] = EventStream(port, "", {"Authorization": f"Bearer {made['token']}"}).begun()
                return made["key_id"]

            tenant = call(gateway, "POST", "/api/v1/tenants", {"name": "brief"})
            soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
            revoked = opened("revoked", tenant_id="*")
            opened("expired", tenant_id="*", expires_at=soon)
            opened("tenant", tenant_id=tenant["tenant_id"])
            streams["chosen"] = EventStream(port, "", {"X-Tenant-Id": "brief"}).begun()
            with EventStream(port) as other:
                post(gateway, "/in/in", 1)
                for name in ("revoked", "expired"):
                    streams[name].wait("event", 1)
                call(gateway, "DELETE", f"/api/v1/keys/{revoked}")
                call(gateway, "DELETE", f"/api/v1/tenants/{tenant['id']}")
                for name, stream in streams.items():
                    wait_until(lambda stream=stream: stream.ended, 15, f"{name} goes on")
                    assert stream.is_whole and stream.of("end") == [{"reason": "key_ended"}], name
                    stream.close()
                late = post(gateway, "/in/in", 2)
                assert other.wait("event", 2)[1]["id"] == late, "one that is not concerned ended too"
                assert gateway.metric_sum("sluice_stream_dropped_total", reason="key_ended") == 4


def heartbeat(report):
    with report.case("an idle stream says every 15 s that it is there, and where it is") as notes:
        with Gateway([open_source("in"), github_source()]) as gateway:
            with EventStream(gateway.admin_port, "?source=github") as stream:
                begun = stream.last_id
                for number in range(5):
                    post(gateway, "/in/in", number)
                count = len(stream.comments)
                wait_until(lambda: len(stream.comments) > count, 25, "no sign of life")
                notes.append(f"after {stream.comments[-1] - stream.comments[0]:.1f} s")
                assert not stream.items and stream.last_id != begun, "it does not say how far it has come"
                place = stream.last_id
            with EventStream(gateway.admin_port, f"?after={place}") as stream:
                late = post(gateway, "/in/in", 9)
                assert [one["id"] for one in stream.wait("event", 1)] == [late], "what was passed over comes again"


def slow(report):
    with report.case("a reader that does not read is dropped; the others and the gateway go on") as notes:
        with Gateway([open_source("in")]) as gateway:
            with EventStream(gateway.admin_port, "?kinds=event") as good:
                stuck = EventStream(gateway.admin_port, "?kinds=event", reads=False)
                wait_until(lambda: gateway.metrics()["sluice_stream_readers"] == 2, 10, "not both are there")
                before, count = gateway.rss(), 0

                def is_dropped():
                    return gateway.metric_sum("sluice_stream_dropped_total", reason="slow") == 1

                while not is_dropped() and count < 60:
                    flood(gateway, "/in/in", 1000, f"s{count}")
                    count += 1
                wait_until(is_dropped, 30, "never dropped")
                notes.append(f"within {count * 1000} events")
                told = good.wait("event", count * 1000, 30)
                sequences = [one["sequence"] for one in told]
                assert sequences == list(range(sequences[0], sequences[0] + len(told))), "the other one lost something"
                assert gateway.rss() - before < 64 << 20, f"{(gateway.rss() - before) >> 20} MiB more"
                assert gateway.metrics()["sluice_stream_readers"] == 1
                # The connection is cut, not ended: it is not told what it did not read.
                stuck.thread.start()
                wait_until(lambda: stuck.ended, 10, "the connection is still there")
                assert not stuck.is_whole and len(stuck.events()) < len(told)
                stuck.close()


def many(report):
    with report.case("50 readers of 10 tenants at once, each its tenant's events in order") as notes:
        names = [f"t{number}" for number in range(10)]
        sources = [open_source("in", tenant=name) for name in names]
        with Gateway(sources) as gateway:
            streams = [
                (name, EventStream(gateway.admin_port, "", {"X-Tenant-Id": name})) for name in names for _ in range(5)]
            for _, stream in streams:
                stream.begun()
            for _ in range(5):
                for name in names:
                    flood(gateway, f"/in/{name}/in", 100, str(time.time_ns()))
            for name, stream in streams:
                told = stream.wait("event", 500, 30)
                sequences = [one["sequence"] for one in told]
                assert sequences == sorted(set(sequences)) and len(told) == 500, name
                assert len({one["tenant_number"] for one in told}) == 1
            first = {name: stream.events() for name, stream in streams}
            assert all(stream.events() == first[name] for name, stream in streams)
            notes.append("25,000 items")
            for _, stream in streams:
                stream.close()


def bounds(report):
    with report.case("there are bounds: readers of a tenant 429, all together 503, and a place is free again"):
        sources = [open_source("in", tenant=name) for name in ("a", "b")]
        with Gateway(sources) as gateway:
            port = gateway.admin_port

            def fill(tenant):
                held = []
                while True:
                    try:
                        held.append(EventStream(port, "", {"X-Tenant-Id": tenant}, reads=False))
                    except Refused as refusal:
                        return held, refusal
                    assert len(held) <= 250, "no end of readers"

            first, refusal = fill("a")
            assert len(first) == 250 and refusal.status == 429 and "too_many_readers" in refusal.text, refusal
            second, refusal = fill("b")
            assert len(second) == 250 and refusal.status == 503 and '"busy"' in refusal.text, refusal
            assert refused(port) == (503, "busy")
            assert call(gateway, "GET", EVENTS)["items"] == [], "the API is busy with them"
            assert gateway.metrics()["sluice_stream_readers"] == 500
            post(gateway, "/in/a/in", 1)
            for stream in first + second:
                stream.close()
            # Who has gone is noticed when something is sent: an event, or the sign of life.
            wait_until(lambda: gateway.metrics()["sluice_stream_readers"] == 0, 45, "places of the gone are not free")
            with EventStream(port, "", {"X-Tenant-Id": "a"}) as stream:
                assert stream.events() == []


def main():
    arguments(__doc__)
    report = Report("event stream")
    for group in (order, resume, outcomes, filters, tenants, ends, slow, many, bounds, heartbeat):
        group(report)
    report.finish()


if __name__ == "__main__":
    main()
