#!/usr/bin/env python3
"""SIGKILL at a random moment while every policy of an endpoint is at work: order by key, breaker, rate, backoff,
budget, adaptive concurrency, delay, `deliver_at`, deadline, batches, coalescing, filter, transformation, redaction,
shadow, pauses and `disable_after`, at a sink that fails a fifth of the time, is slow over sixteen connections, is
away for whole rounds, and comes back. Afterwards nothing is lost, each key has its order, and what was held back,
planned or switched over before a kill is so after it. What is for a minute later is published, and waited for, in
long runs only.

With `--hold 5` it is killed every five seconds, whatever it is at."""

import json
import random
import shutil
import tempfile
import threading
import time
from datetime import datetime, timedelta, timezone

from api_kill9 import pages
from crashutil import Promise, write_result
from loadgen import NAME
from receiver import Receiver
from report import Report, arguments, wait_until
from serverutil import TINY_LIMITS, Gateway, endpoint, open_source, request

KEYS = 4
QUICK = {"delays": ["100ms", "300ms"] + ["700ms"] * 60, "jitter": 0.2}
BACKOFF = {"backoff": {"first": "100ms", "factor": 2, "max": "1s", "attempts": 60}}
# Each acknowledged event must reach these.
WHOLE = ("ordered", "breaker", "rated", "backoff", "budgeted", "adaptive", "delayed", "batched", "lines", "slow")
# With so many rounds, what is for a minute later is part of it.
LONG = 20


class Sink:
    """What the endpoints answer, and what each of them has taken; by the last part of the path."""

    def __init__(self, seed):
        self.random, self.lock = random.Random(seed), threading.Lock()
        self.is_away = self.is_healthy = False
        self.taken = {}
        self.asked = {}
        self.timed = {}

    def answer(self, delivery, number):
        place = delivery.path.rsplit("/", 1)[1]
        with self.lock:
            self.asked[place] = self.asked.get(place, 0) + 1
            chance, nap = self.random.random(), self.random.uniform(0.05, 0.3)
            is_away, is_healthy = self.is_away, self.is_healthy
        if place in ("expiring", "doomed", "tripped"):
            return 500
        if place == "slow" and not is_healthy:
            time.sleep(nap)
        if not is_healthy and (chance < 0.2 or is_away and place == "breaker"):
            return 503
        with self.lock:
            bodies = [delivery.body]
            if place == "batched":
                bodies = [json.dumps(item["data"]).encode() for item in json.loads(delivery.body)]
            if place == "lines":
                lines = delivery.body.decode().splitlines()
                bodies = [json.dumps(json.loads(line)["data"]).encode() for line in lines if line]
            if place == "timed":
                self.timed.setdefault(json.loads(delivery.body)["timed"], time.time())
            self.taken.setdefault(place, []).extend(bodies)
        return 204

    def bodies(self, place):
        with self.lock:
            return list(self.taken.get(place, []))

    def names(self, place):
        return [NAME.search(body.decode())[0] for body in self.bodies(place)]


class KeyedLoad:
    """A thread a key; the events of one key are sent one after the other."""

    def __init__(self, port, run, counters):
        self.port, self.run, self.counters = port, run, counters
        self.sent, self.acknowledged, self.stopping = set(), set(), threading.Event()
        self.threads = [threading.Thread(target=self.pump, args=(key,), daemon=True) for key in range(KEYS)]

    def pump(self, key):
        while not self.stopping.is_set():
            self.counters[key] += 1
            number = self.counters[key]
            name = f"ev-{self.run}x{key}-{number}"
            body = {
                "id": name, "key": f"key{key}", "n": number, "kind": "ab"[number % 2], "mail": "ann@example.org",
                "plan": number % 20 == 1}
            self.sent.add(name)
            try:
                status, _, _ = request(
                    self.port, "/in/test", json.dumps(body), {"Content-Type": "application/json"}, "POST", timeout=5)
            except OSError:
                time.sleep(0.01)
                continue
            if status in (200, 202):
                self.acknowledged.add(name)
            time.sleep(0.02)

    def acknowledged_names(self):
        return set(self.acknowledged)

    def start(self):
        [thread.start() for thread in self.threads]
        return self

    def stop(self):
        self.stopping.set()
        [thread.join(10) for thread in self.threads]


def endpoints(receiver):
    base = receiver.url.rsplit("/", 1)[0]

    def at(name, **more):
        return endpoint(name, f"{base}/{name}", **{"sources": ["test"], "retry": QUICK, "concurrency": 8, **more})

    return [
        at("ordered", ordered={"key": "json:$.key"}),
        at("breaker", breaker={"failures": 5, "cooldown": "500ms", "probes": 2}),
        at("rated", rate={"per_second": 200, "burst": 20}),
        at("backoff", retry=BACKOFF),
        at("budgeted", retry={**QUICK, "budget": 0.9}),
        at("adaptive", concurrency={"max": 8, "target": "200ms"}),
        at("delayed", delay="700ms", deadline="1h"),
        at("batched", batch={"events": 10, "within": "200ms"}),
        at("lines", batch={"events": 10, "within": "200ms", "format": "ndjson"}, ordered=True),
        at("coalesced", coalesce={"key": "json:$.key"}),
        at("timed", sources=["@publish"]),
        at("slow", concurrency=16),
        at(
            "made", filter={"body": {"$.kind": "a"}}, redact={"patterns": ["email"]},
            transform=[{"constant": {"path": "$.made", "value": True}}, {"remove": ["$.key"]}]),
        at("shadow", shadow={"share": 0.5}),
        # These keep what they are in: nothing of them ends within the run. All that is planned is looked at in each
        # round, so it is one in twenty.
        at("later", delay="12h", filter={"body": {"plan": True}}),
        at("tripped", breaker={"failures": 5, "cooldown": "2h"}),
        at(
            "doomed", disable_after="30d", retry={"delays": ["3h"] * 5, "jitter": 0},
            filter={"body": {"plan": True}}),
        at("paused"),
        # And these end by themselves.
        at("expiring", deadline="2s"),
    ]


def status_of(gateway, name):
    return gateway.api(f"/api/v1/endpoints/{name}")["status"]


def held(gateway):
    """What must be as it was after a kill: conditions with their times, and when what is planned falls due."""
    conditions = {}
    for name in ("tripped", "doomed", "paused"):
        status = status_of(gateway, name)
        conditions[name] = tuple(status.get(key) for key in ("state", "reason", "since", "until"))
    due = {}
    for name in ("later", "doomed", "timed"):
        for row in pages(gateway, f"/api/v1/deliveries?state=pending&endpoint={name}"):
            # What is for a minute later goes while nobody looks.
            if name != "timed" or row["next_attempt_at"] > in_time(hours=1):
                due[name, row["event"]] = row["next_attempt_at"]
    return conditions, due


def in_time(**span):
    return (datetime.now(timezone.utc) + timedelta(**span)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def publish_later(gateway, number, minutes):
    """One event for tomorrow, and one for a minute later where that is waited for."""
    wanted = [(f"day-{number}", in_time(hours=20))]
    if minutes is not None:
        wanted.append((f"minute-{number}", in_time(seconds=62)))
    for name, at in wanted:
        headers = {"Content-Type": "application/json", "X-Sluice-Request": "1"}
        body = json.dumps({"type": "timed", "payload": {"timed": name}, "deliver_at": at})
        status, _, said = request(gateway.admin_port, "/api/v1/events", body, headers, "POST")
        assert status == 202, f"{status} {said[:200]!r}"
        if name.startswith("minute"):
            minutes[name] = datetime.fromisoformat(at).timestamp()


def check_restored(before, after):
    (conditions, due), (conditions_now, due_now) = before, after
    assert conditions_now == conditions, f"{conditions} before, {conditions_now} after"
    missing = [key for key in due if key not in due_now]
    moved = [key for key in due if due_now.get(key, due[key]) != due[key]]
    assert not missing and not moved, f"{len(missing)} of {len(due)} plans are gone, {len(moved)} have moved"


def one_round(number, gateway, sink, counters, promise, minutes, randomness, before, hold):
    """Returns what is held when it is over, as the store has it."""
    gateway.start()
    if before is None:
        gateway_call(gateway, "/api/v1/endpoints/paused/pause")
    else:
        check_restored(before, held(gateway))
    publish_later(gateway, number, minutes)
    sink.is_away = number % 3 == 1
    load = KeyedLoad(gateway.port, f"k{number}", counters).start()
    time.sleep(hold or randomness.uniform(0.3, 1.5))  # the moment of the kill is what a round varies
    if before is None:
        wait_until(lambda: status_of(gateway, "tripped").get("reason") == "breaker_open", 20, "the breaker is closed")
        wait_until(lambda: status_of(gateway, "doomed")["state"] == "failing", 20, "it is not failing")
    seen = held(gateway)
    time.sleep(randomness.uniform(0, 0.1))
    gateway.kill()
    load.stop()
    promise.add(load)
    return seen


def gateway_call(gateway, path):
    headers = {"Content-Type": "application/json", "X-Sluice-Request": "1"}
    status, _, said = request(gateway.admin_port, path, "{}", headers, "POST")
    assert status in (200, 202), f"{path}: {status} {said[:200]!r}"


def check_order(sink, place):
    """The first success of each event, by key: in the order in which the log has them. Returns how many there were."""
    newest, seen, count = {}, set(), 0
    for body in sink.bodies(place):
        event = json.loads(body)
        if event["id"] in seen:
            continue
        seen.add(event["id"])
        last = newest.get(event["key"], 0)
        assert event["n"] > last, f"{event['key']}: {event['n']} came after {last}"
        newest[event["key"]] = event["n"]
        count += 1
    return count


def check_newest(sink, promise):
    """Of each key the newest acknowledged event has come, or a newer one; none came behind a newer one."""
    newest, wanted = {}, {}
    for body in sink.bodies("coalesced"):
        event = json.loads(body)
        # What was out at a kill may come again, with nothing newer between.
        assert event["n"] >= newest.get(event["key"], 0), f"{event['key']}: {event['n']} behind {newest[event['key']]}"
        newest[event["key"]] = event["n"]
    for name in promise.acknowledged:
        key, n = name.rsplit("x", 1)[1].split("-")
        wanted[f"key{key}"] = max(wanted.get(f"key{key}", 0), int(n))
    late = {key: (newest.get(key), n) for key, n in wanted.items() if newest.get(key, 0) < n}
    assert not late, f"not the newest: {late}"
    return len(sink.bodies("coalesced"))


def check_ends(gateway, sink, promise, minutes, randomness):
    """Everything that may end does, and has gone where it was to go."""
    sink.is_away, sink.is_healthy = False, True

    def missing():
        return {name: len(promise.missing_at(sink.names(name))) for name in WHOLE}

    wait_until(lambda: not any(missing().values()), 120, lambda: f"missing: {missing()}")
    twice = {}
    for name in WHOLE:
        promise.check_sink(sink.names(name))
        twice[name] = promise.duplicates
    made = [json.loads(body) for body in sink.bodies("made")]
    assert made and all(
        one["made"] is True and one["kind"] == "a" and "key" not in one and "ann@" not in one["mail"] for one in made
    ), "an event was sent as it came"
    wanted = {name for name in promise.acknowledged if int(name.rsplit("-", 1)[1]) % 2 == 0}
    wait_until(lambda: wanted <= set(sink.names("made")), 60, "the filter's own are missing")
    shadowed = set(sink.names("shadow"))
    assert shadowed <= promise.sent and len(shadowed) < 0.75 * len(promise.sent), f"{len(shadowed)} at the shadow"
    assert not sink.bodies("later") and not sink.bodies("paused"), "what waits was sent"
    wait_until(lambda: set(sink.timed) == set(minutes or {}), 90, lambda: f"timed: {sink.timed} of {minutes}")
    assert all(sink.timed[name] >= at - 0.01 for name, at in (minutes or {}).items()), "it came before its time"
    count = len(set(sink.names("slow")))

    def late():
        status = status_of(gateway, "expiring")
        return status["waiting"] == 0 and status["lag_events"] == 0 and status["dead"]

    dead = wait_until(late, 60, lambda: f"{status_of(gateway, 'expiring')}")
    reasons = {row["reason"] for row in pages(gateway, "/api/v1/deliveries?state=dead&endpoint=expiring")}
    assert dead == count and reasons == {"expired"}, f"{dead} dead of {count}: {reasons}"
    return twice


def main():
    options = arguments(__doc__, rounds=3, seed=0, hold=0.0, result="")
    seed = options.seed or random.randrange(1 << 30)
    randomness = random.Random(seed)
    report = Report("policies_kill9")
    folder = tempfile.mkdtemp(prefix="sluice-policies-kill9-")
    sink, promise, counters, seen = Sink(seed), Promise(), [0] * KEYS, None
    minutes = {} if options.rounds >= LONG else None
    try:
        with Receiver(sink.answer) as receiver:
            gateway = Gateway([open_source()], endpoints(receiver), folder=folder, limits=TINY_LIMITS)
            try:
                for number in range(options.rounds):
                    with report.case(f"round {number + 1}, seed {seed}") as notes:
                        seen = one_round(
                            number, gateway, sink, counters, promise, minutes, randomness, seen, options.hold)
                        notes.append(f"{len(promise.acknowledged)} acknowledged, {len(seen[1])} planned")
                with report.case("what was held back, planned or switched over is so after the last kill") as notes:
                    gateway.start()
                    check_restored(seen, held(gateway))
                    notes.append(f"{len(seen[1])} deliveries due at the same time, {len(seen[0])} conditions")
                with report.case("every acknowledged event has reached its end at every endpoint") as notes:
                    twice = check_ends(gateway, sink, promise, minutes, randomness)
                    assert len(promise.acknowledged) > 20 * options.rounds, f"only {len(promise.acknowledged)}"
                    notes.append(f"{len(promise.acknowledged)} acknowledged, 0 lost, 0 invented, twice: {twice}")
                with report.case("each key has its order, and one that is coalesced its newest") as notes:
                    one_by_one, batched = check_order(sink, "ordered"), check_order(sink, "lines")
                    assert one_by_one == batched, f"{one_by_one} one by one, {batched} in batches"
                    notes.append(f"{one_by_one} events of {KEYS} keys, {check_newest(sink, promise)} coalesced")
                with report.case("the log has what was promised, and nothing else"):
                    assert gateway.stop() == 0
                    names = promise.check_log(gateway.data)
                    assert set(sink.names("slow")) == set(names), "the slow endpoint has not had all of the log"
                if not report.failed:
                    hold = f" --hold {options.hold:g}" if options.hold else ""
                    command = f"Tests/Crash/policies_kill9.py --rounds {options.rounds}{hold}"
                    write_result(
                        options.result, "policies-kills", command, kills=options.rounds,
                        acknowledged=len(promise.acknowledged), endpoints=len(WHOLE), lost=0, invented=0)
            finally:
                gateway.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.finish()


if __name__ == "__main__":
    main()
