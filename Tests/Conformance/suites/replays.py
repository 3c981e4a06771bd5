#!/usr/bin/env python3
"""Replay protection of the contract edge, against the real process: requests with a signature are captured and sent
again, as they are and changed in what the signature does not cover, inside and outside the window, many at once, over
restarts and kills. Whatever is answered, nothing may happen twice: that is counted in the log, at the targets and in
the registry.

The routine run makes some hundred replays, the full one more than 10,000."""

import collections
import http.client
import json
import os
import random
import tempfile
import threading
import time
import uuid

import supportpath  # noqa: F401  (puts the shared modules on the path)
import clockshift
from contractclient import Edge, signature
from receiver import Receiver
from report import Report, arguments, wait_until
from serverutil import Gateway, open_source

BASE = "/v1/webhooks"
WINDOW = 300
FULL_REPLAYS = 10_000
ROUTINE_REPLAYS = 700
# The buckets of tenants are another suite's; here nothing may be refused by them.
OPEN = {"contract": {"rate_capacity": 1_000_000, "rate_refill": 1_000_000}}
DAY = 86_400


class Captured:
    """A request as it went over the wire, and what was answered."""

    def __init__(self, edge, name, method, path, value, ahead=0, **more):
        self.name, self.method, self.path, self.ahead = name, method, BASE + path, ahead
        self.body = b"" if value is None else json.dumps(value).encode()
        self.fields = edge.fields(self.body if value is not None else None, **more)
        stamp = str(int(time.time()) + ahead)
        mac = signature(edge.secret, self.fields["X-Request-Id"], stamp, self.body)
        self.fields.update({"X-Timestamp": stamp, "X-Signature": mac})
        self.status = self.said = None

    @property
    def is_ingest(self):
        return self.path.endswith("/ingest")


class Wire:
    """One connection that stays, as whoever replays in volume has it."""

    def __init__(self, gateway):
        self.http = http.client.HTTPConnection("127.0.0.1", gateway.admin_port, timeout=20)

    def send(self, one, **changes):
        fields = {**one.fields, **changes.pop("fields", {})}
        method, path = changes.get("method", one.method), changes.get("path", one.path)
        self.http.request(method, path, changes.get("body", one.body), fields)
        answer = self.http.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None


def as_it_is(one, other):
    return {}


def other_key(one, other):
    return {"fields": {"X-Idempotency-Key": str(uuid.uuid4())}}


def own_id_as_key(one, other):
    return {"fields": {"X-Idempotency-Key": one.fields["X-Request-Id"]}}


def other_version(one, other):
    return {"fields": {"X-Zen-Contract-Version": "v0"}}


def other_id(one, other):
    return {"fields": {"X-Request-Id": str(uuid.uuid4())}}


def later(one, other):
    return {"fields": {"X-Timestamp": str(int(one.fields["X-Timestamp"]) + 1)}}


def other_tenant(one, other):
    return {"fields": {"X-Tenant-Id": other.id, "Authorization": f"Bearer {other.tokens['admin']}"}}


def other_body(one, other):
    return {"body": one.body + b" "}


def other_route(one, other):
    path = BASE + ("/registry" if one.is_ingest else "/ingest")
    return {"method": "POST", "path": path, "fields": {"Content-Type": "application/json"}}


def with_query(one, other):
    return {"path": one.path + "?again=1"}


def other_letters(one, other):
    return {"fields": {"X-Request-Id": one.fields["X-Request-Id"].upper()}}


# What is changed, and the statuses it may be answered with; None: those of a repetition.
CHANGES = [
    (as_it_is, None), (other_key, {409}), (as_it_is, None), (own_id_as_key, None), (other_version, None),
    (other_id, {401}), (later, {401}), (other_tenant, {401}), (other_body, {401}), (other_route, {400, 409, 415, 422}),
    (with_query, {400, 409, 422}), (other_letters, None),
]


class Scene:
    """A gateway with a tenant whose requests are captured, and another one that replays them as its own."""

    def __init__(self, folder, receiver):
        self.folder, self.receiver = folder, receiver
        self.gateway = Gateway([open_source()], folder=folder, delivery={"allow": ["127.0.0.0/8"]}, **OPEN)
        self.replays = 0
        self.answers = collections.Counter()

    def begin(self):
        self.edge, self.other = Edge(self.gateway), Edge(self.gateway)
        # As many as a quick machine has under way at a kill: the usual ten a second would be what is waited for.
        bucket = {"capacity": 100_000, "refill_per_s": 100_000}
        self.edge.register(self.receiver.url + "/all", "*", rate_limit_bucket=bucket)
        self.refusing = self.edge.register(self.receiver.url + "/refusing", "dead.*")["webhook_id"]
        self.events = 0

    def capture(self, count):
        """So many of each kind, each answered once."""
        edge, captured = self.edge, []
        key = lambda: {"X-Idempotency-Key": str(uuid.uuid4())}  # noqa: E731
        entry = lambda: {"target_url": self.receiver.url + "/entry", "event_type": "never"}  # noqa: E731
        spare = [edge.call("POST", "/registry", entry())["webhook_id"] for _ in range(2 * count)]
        for number in range(count):
            ahead = (0, -40, WINDOW - 50)[number % 3]
            event = edge.event(payload={"n": f"e{number}"})
            batch = [{"source": "s", "type": "image.scanned", "severity": "low"} for _ in range(3)]
            same = key()
            captured += [
                Captured(edge, "ingest", "POST", "/ingest", event, ahead),
                Captured(edge, "keyed ingest", "POST", "/ingest", event, ahead, **same),
                Captured(edge, "ingest tried again", "POST", "/ingest", event, ahead, **same),
                Captured(edge, "batch", "POST", "/ingest", {"events": batch}, ahead),
                Captured(edge, "entry", "POST", "/registry", entry(), ahead),
                Captured(edge, "keyed entry", "POST", "/registry", entry(), ahead, **key()),
                Captured(edge, "change", "PATCH", f"/registry/{spare[2 * number]}", {"active": False}, ahead),
                Captured(edge, "removal", "DELETE", f"/registry/{spare[2 * number + 1]}", None, ahead),
                Captured(edge, "keyed test", "POST", "/test", {"webhook_id": self.refusing}, ahead, **key()),
                Captured(edge, "test", "POST", "/test", {"webhook_id": self.refusing}, ahead),
            ]
        edge.ingest(edge.event("dead.end"))
        self.events += 5 * count + 1
        letters = wait_until(lambda: edge.deliveries("?status=dlq"), 15, "a dead letter")
        order = {"delivery_ids": [letters[0]["delivery_id"]], "reason": "mended"}
        captured.append(Captured(edge, "replay", "POST", "/dlq/replay", order))
        line = Wire(self.gateway)
        for one in captured:
            one.status, one.said = line.send(one)
            assert 200 <= one.status < 300, f"{one.name}: {one.status} {one.said}"
        return captured

    def entries(self):
        found, cursor = [], ""
        while cursor is not None:
            page = self.edge.call("GET", "/registry?limit=500" + (f"&cursor={cursor}" if cursor else ""))
            found += page["items"]
            cursor = page["next_cursor"]
        return sorted(one["webhook_id"] for one in found)

    def in_log(self):
        count, cursor = 0, ""
        while cursor is not None:
            path = "/events?source=@contract&limit=1000" + (f"&cursor={cursor}" if cursor else "")
            page = self.edge.platform("GET", path)
            count += len(page["items"])
            cursor = page.get("next")
        return count

    def state(self):
        """What replays may not change: events, entries, what came to the targets, what was sent again."""
        again = self.edge.call("GET", "/audit?category=dlq_replay&limit=500")["items"]
        return {"events": self.in_log(), "entries": self.entries(), "sent again": len(again), "came": self.came()}

    def came(self):
        """Deliveries and dry runs at each target. A kill may repeat one, under the key that it had."""
        keys = {(one.path.rsplit("/", 1)[1], one.headers["x-idempotency-key"]) for one in self.receiver.snapshot()}
        return dict(collections.Counter(path for path, _ in keys))

    def settled(self):
        """When each event has come to the entry that takes all."""
        wait_until(lambda: self.came()["all"] >= self.events, 30, lambda: f"{self.events} events, {self.came()} came")
        return self.state()

    def replay(self, captured, count, stale=lambda one: False):
        """Each kind with each change first; every answer is one that a replay may have."""
        line, random_order = Wire(self.gateway), random.Random(count)
        kinds = {one.name: one for one in reversed(captured)}
        wanted = [(one, change) for one in kinds.values() for change in CHANGES]
        rest = [(one, change) for one in captured for change in CHANGES]
        for part in (wanted, rest):
            random_order.shuffle(part)
        wanted += rest
        for number in range(count):
            one, (change, statuses) = wanted[number % len(wanted)]
            status, said = line.send(one, **change(one, self.other))
            self.replays += 1
            self.answers[status] += 1
            self.judge(one, change, statuses, status, said, stale(one))

    def judge(self, one, change, statuses, status, said, is_stale):
        what = f"{one.name} replayed, {change.__name__}: {status} {said}"
        if is_stale:
            # The order of the checks: what is refused before a signature is looked at stays so.
            assert status in (400, 401, 415), what
            return
        if one.name == "test" and statuses is None:
            # Each test is a new one; one that was signed is not.
            assert status in (401, 409), what
            return
        if one.name == "keyed test" and status == 409:
            # Its answer is kept for a minute.
            return
        if statuses is not None:
            assert status in statuses, what
            return
        if change in (own_id_as_key, other_letters) and status in (401, 409):
            return
        assert status == one.status, what
        if one.is_ingest:
            assert said["status"] == "duplicate", what
            assert all(said.get(name) == one.said.get(name) for name in ("event_id", "event_ids")), what
        elif said is not None:
            assert {**said, "secret": 0} == {**one.said, "secret": 0}, what

    def racing(self, count, each):
        """Requests that nobody has seen yet, sent by many at once: one is taken."""
        taken, lock = collections.Counter(), threading.Lock()
        requests = [
            Captured(self.edge, "race", "POST", "/ingest", self.edge.event(payload={"race": number}))
            for number in range(count)]
        barrier = threading.Barrier(each)

        def work(place):
            line = Wire(self.gateway)
            for one in requests:
                barrier.wait()
                status, said = line.send(one, **(other_key(one, None) if place % 2 else {}))
                with lock:
                    self.replays += 1
                    self.answers[status] += 1
                    taken[one] += status == 202 and said["status"] == "accepted"

        threads = [threading.Thread(target=work, args=(place,)) for place in range(each)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == count and set(taken.values()) == {1}, taken.most_common(3)
        self.events += count

    def killed(self, connections, seconds):
        """Requests under way when the process is killed, then all of them again, first under another key."""
        sent, lock, ended = [], threading.Lock(), threading.Event()

        def work(place):
            line, number = Wire(self.gateway), 0
            while not ended.is_set():
                number += 1
                more = other_key(None, None)["fields"] if number % 2 else {}
                event = self.edge.event("killed", payload={"at": f"{place} {number}"})
                one = Captured(self.edge, "killed", "POST", "/ingest", event, **more)
                with lock:
                    sent.append(one)
                try:
                    one.status, one.said = line.send(one)
                except (OSError, http.client.HTTPException):
                    return

        threads = [threading.Thread(target=work, args=(place,)) for place in range(connections)]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self.gateway.kill()
        ended.set()
        for thread in threads:
            thread.join()
        self.gateway.start()
        line, unknown = Wire(self.gateway), 0
        for one in sent:
            unknown += one.status is None
            for change in (other_key, as_it_is):
                status, said = line.send(one, **change(one, self.other))
                assert status in (202, 409), f"{status} {said}"
                self.replays += 1
                self.answers[status] += 1
        self.events += len(sent)
        return len(sent), unknown


def judged(scene, before):
    after = scene.settled()
    assert after == before, f"something happened twice:\n    {before}\n    {after}"
    assert after["events"] == scene.events, f"{after['events']} events of {scene.events} requests"


def run(report, scene, captured_each, count):
    gateway, part = scene.gateway, count // 5
    with report.case("a captured request is taken once: as it is, and changed in what is not signed") as notes:
        captured = scene.capture(captured_each)
        before = scene.settled()
        scene.replay(captured, part)
        judged(scene, before)
        notes.append(f"{len(captured)} captured, {scene.replays} replays")
    with report.case("many at once of what nobody has seen: one is taken"):
        scene.racing(max(10, count // 200), 6)
    for name, end in (("a restart", gateway.stop), ("a kill", gateway.kill)):
        with report.case(f"also over {name}"):
            before = scene.settled()
            end()
            gateway.start()
            scene.replay(captured, part)
            judged(scene, before)
    with report.case("what was under way at a kill is there once, under whatever key it comes back") as notes:
        sent = unknown = 0
        for _ in range(max(1, count // 2000)):
            one, open_ended = scene.killed(8, 0.3)
            sent, unknown = sent + one, unknown + open_ended
        after = scene.settled()
        assert after["events"] == scene.events, f"{after['events']} events of {scene.events} requests"
        notes.append(f"{sent} requests, {unknown} without an answer")
    for name, seconds in (("outside the window", WINDOW + 1), ("when their keys are forgotten", DAY + WINDOW)):
        with report.case(f"{name}, {seconds} s later") as notes:
            before = scene.settled()
            assert gateway.stop() == 0
            gateway.environment = clockshift.environment(scene.folder, seconds)
            gateway.start()
            scene.replay(captured, part, lambda one, seconds=seconds: one.ahead + WINDOW < seconds)
            judged(scene, before)
            ahead = sum(one.ahead + WINDOW >= seconds for one in captured)
            notes.append(f"{ahead} of {len(captured)} are inside still: their clock was ahead")


def main():
    full = os.environ.get("SLUICE_ROUNDS") == "full"
    options = arguments(__doc__, replays=FULL_REPLAYS if full else ROUTINE_REPLAYS)
    report = Report("replays")
    statuses = {"/refusing": 400}
    answer = lambda delivery, number: next(  # noqa: E731
        (status for path, status in statuses.items() if delivery.path.endswith(path)), 204)
    with tempfile.TemporaryDirectory(prefix="sluice-replays-") as folder, Receiver(answer) as receiver:
        scene = Scene(folder, receiver)
        with scene.gateway:
            scene.begin()
            run(report, scene, 6 if options.replays < FULL_REPLAYS else 30, options.replays)
        with report.case("they were enough") as notes:
            assert scene.replays >= options.replays, scene.replays
            answers = ", ".join(f"{count} × {status}" for status, count in sorted(scene.answers.items()))
            notes.append(f"{scene.replays} replays, 0 taken twice: {answers}")
    report.finish()


if __name__ == "__main__":
    main()
