#!/usr/bin/env python3
"""SIGKILL at a random moment of 1,000 changes through the control API, under load from providers and beside endpoints
that are slow and that fail; restart, again and again over one data folder. What was answered 2xx is there, what was not
is there whole or not at all, keys open what they opened and nothing else, the audit log is as it was written, and every
published event that was answered 2xx reaches its endpoint."""

import json
import random
import re
import shutil
import tempfile
import threading
import time
import urllib.parse

from apichanges import EMPTY, Caller
from crashutil import Promise
from loadgen import NAME, Load
from receiver import Receiver
from report import Report, arguments, wait_until
from serverutil import TINY_LIMITS, Gateway, endpoint, github_source, platform_key, request, sluice

RETRY = {"delays": ["100ms", "300ms"] + ["1s"] * 30, "jitter": 0.1}
EVENT = re.compile(r'"event": ?"(k[0-9a-z-]+)"')


class Places:
    """What the endpoints are like: the tenants' own fail now and then and are slow now and then, as are two of the
    load's; a third takes everything."""

    def __init__(self, seed):
        self.random, self.lock = random.Random(seed), threading.Lock()

    def answer(self, delivery, number):
        with self.lock:
            chance = self.random.random()
        if delivery.path.endswith("/sink"):
            return 204
        if delivery.path.endswith("/slow"):
            time.sleep(0.05)
            return 204
        if delivery.path.endswith("/failing"):
            return 500
        if chance < 0.15:
            return 503
        if chance < 0.2:
            time.sleep(0.3)
        return 204


class PacedLoad(Load):
    """Some hundred events a second: as many as endpoints of this kind get through with."""

    def take_name(self):
        time.sleep(0.01)
        return super().take_name()


class Leave:
    """Gives leave for so many changes; says when a given number has been begun."""

    def __init__(self, changes, until):
        self.left, self.until, self.lock = changes, until, threading.Lock()
        self.begun, self.reached = 0, threading.Event()

    def __call__(self):
        with self.lock:
            if self.left == 0:
                self.reached.set()
                return False
            self.left -= 1
            self.begun += 1
            if self.begun >= self.until:
                self.reached.set()
            return True


def pages(gateway, path, key=None, headers=None):
    """Every item of a listing."""
    cursor, found = "", []
    while cursor is not None:
        more = f"&cursor={urllib.parse.quote(cursor)}" if cursor else ""
        fields = {**(headers or {}), **({"Authorization": f"Bearer {key}"} if key else {})}
        separator = "&" if "?" in path else "?"
        status, _, said = request(gateway.admin_port, f"{path}{separator}limit=1000{more}", headers=fields, timeout=60)
        assert status == 200, f"{path}: {status} {said[:300]!r}"
        page = json.loads(said)
        found += page["items"]
        cursor = page.get("next")
    return found


def event_types(gateway):
    found, iterator = [], ""
    while True:
        more = f"&iterator={urllib.parse.quote(iterator)}" if iterator else ""
        status, _, said = request(
            gateway.admin_port, f"/api/v1/event-type?include_archived=true&limit=250{more}", timeout=60)
        assert status == 200, f"event types: {status} {said[:300]!r}"
        page = json.loads(said)
        found += page["data"]
        iterator = page["iterator"]
        if page["done"]:
            return found


def shown(gateway, mark):
    """What there is whose name begins with `mark`, as callers remember it; asked once a round for all of them."""
    there = {kind: {} for kind in EMPTY}
    tenants = [one for one in pages(gateway, "/api/v1/tenants") if one["name"].startswith(mark)]
    for one in tenants:
        there["tenants"][one["name"]] = one["uid"]
        headers = {"X-Tenant-Id": one["id"]}
        for hook in pages_of_hooks(gateway, headers):
            there["hooks"][(one["name"], hook["description"])] = hook["enabled"]
    for one in pages(gateway, "/api/v1/endpoints"):
        tenant = one["tenant"]["name"]
        if not tenant.startswith(mark) or one["family"] != "registry":
            continue
        isSvix = "/svix/" in one["url"]
        own = [one["url"], [] if isSvix else one["types"], 0 if isSvix else one["concurrency"]]
        there["endpoints"][(tenant, one["url"] if isSvix else one["name"])] = own
    for one in pages(gateway, "/api/v1/keys"):
        if one["name"].startswith(mark):
            there["keys"][(one["tenant"]["name"], one["name"])] = one["role"]
    for one in event_types(gateway):
        if one["name"].startswith(mark):
            there["types"][one["name"]] = [one["description"], one["archived"]]
    return there


def pages_of_hooks(gateway, headers):
    status, _, said = request(gateway.admin_port, "/api/v1/webhooks", headers=headers, timeout=60)
    assert status == 200, f"webhooks: {status} {said[:300]!r}"
    return json.loads(said)


def of(there, mark):
    """The part of what there is that one caller made."""
    def begins(key):
        return (key[0] if isinstance(key, tuple) else key).startswith(mark)

    return {kind: {key: value for key, value in items.items() if begins(key)} for kind, items in there.items()}


def differences(wanted, there):
    found = []
    for kind in EMPTY:
        for key in sorted(set(wanted[kind]) | set(there[kind]), key=str):
            if wanted[kind].get(key) != there[kind].get(key):
                found.append(f"{kind} {key}: wanted {wanted[kind].get(key)}, there is {there[kind].get(key)}")
    return found


def check(callers, there):
    """What each caller may find: the state after its last answer, or after the call that was under way."""
    for caller in callers:
        own = of(there, caller.mark)
        wrong = differences(caller.certain, own)
        if not wrong:
            continue
        assert caller.possible, f"LOST or INVENTED: {len(wrong)}, such as {wrong[:3]}"
        other = differences(caller.possible, own)
        assert not other, f"HALF a change: not as before, {wrong[:3]}; not as after, {other[:3]}"
        caller.certain = caller.possible


def check_keys(gateway, caller, count):
    """Those that were answered open; those that were revoked do not (the last of each: a stranger's tries are few)."""
    for tenant, name in sorted(caller.certain["keys"])[-count:]:
        if name not in caller.tokens:
            continue  # under way when it was killed: nobody knows the token
        items = pages(gateway, "/api/v1/tenants", caller.tokens[name][0])
        assert [one["name"] for one in items] == [tenant], items
    for name in sorted(caller.revoked & set(caller.tokens))[-1:]:
        token = {"Authorization": f"Bearer {caller.tokens[name][0]}"}
        status, _, _ = request(gateway.admin_port, "/api/v1/tenants", headers=token)
        assert status in (401, 429), f"a revoked key opened: {status}"


class Round:
    def __init__(self, number, gateway, receiver, randomness, changes):
        self.gateway = gateway
        key = platform_key(gateway.admin_port)
        count = randomness.choice([2, 4, 8])
        self.leave = Leave(changes, randomness.randint(changes // 10, changes))
        self.load = PacedLoad(gateway.port, f"k{number}", connections=2, window=2, pad=400)
        self.callers = [
            Caller(gateway.admin_port, key, f"k{number}w{n}", receiver.url, randomness.random(), self.leave)
            for n in range(count)
        ]

    def run(self, randomness, end, is_disk_gone):
        """`end` is how the process dies; where its disk dies before it, callers may hear of that."""
        self.load.start()
        for caller in self.callers:
            caller.start()
        self.leave.reached.wait(120)
        time.sleep(randomness.uniform(0, 0.02))
        end()
        for caller in self.callers:
            caller.join(30)
        self.load.stop()
        broken = [
            caller.broken for caller in self.callers
            if caller.broken and not (is_disk_gone and re.search(r"^Refused: .*: 503 ", caller.broken))]
        assert not broken, broken


def arrivals(receiver):
    """{event: paths that it came to}."""
    found = {}
    for delivery in receiver.snapshot():
        for name in EVENT.findall(delivery.body.decode("latin-1")):
            found.setdefault(name, set()).add(delivery.path.removeprefix("/hooks"))
    return found


def missing_events(receiver, published):
    found = arrivals(receiver)
    return [name for name, paths in published.items() if not set(paths) <= found.get(name, set())]


def one_round(number, gateway, receiver, randomness, changes, published, sent, promise, end=None, after=None):
    """`after` is done when it is dead and nobody calls any more."""
    gateway.start()
    round = Round(number, gateway, receiver, randomness, changes)
    round.run(randomness, end or gateway.kill, is_disk_gone=after is not None)
    if after:
        after()
    started = time.monotonic()
    gateway.start()
    seconds = time.monotonic() - started
    check(round.callers, shown(gateway, f"k{number}w"))
    for caller in round.callers:
        check_keys(gateway, caller, 3)
        published.update(caller.published)
        sent |= caller.sent
    promise.add(round.load)
    assert gateway.stop() == 0
    return sum(caller.answered for caller in round.callers), seconds


def finish(report, gateway, receiver, published, sent, promise):
    with report.case("every published event that was answered reaches its endpoint") as notes:
        gateway.start()
        wait_until(
            lambda: not missing_events(receiver, published), 120,
            lambda: f"{len(missing_events(receiver, published))} of {len(published)} missing, such as "
            f"{missing_events(receiver, published)[:3]}")
        invented = set(arrivals(receiver)) - sent
        assert not invented, f"INVENTED: {sorted(invented)[:3]}"
        notes.append(f"{len(published)} events")
    with report.case("every event of the load reaches the sink and the slow endpoint") as notes:
        def missing(place):
            names = {
                NAME.search(one.body.decode("latin-1"))[0] for one in receiver.snapshot()
                if one.path == f"/hooks/{place}"
            }
            return promise.missing_at(names)

        for place in ("sink", "slow"):
            wait_until(lambda place=place: not missing(place), 120, lambda place=place: (
                f"{len(missing(place))} of {len(promise.acknowledged)} missing at {place}"))
        notes.append(f"{len(promise.acknowledged)} events")
    with report.case("the audit log is as it was written"):
        assert gateway.stop() == 0
        promise.check_log(gateway.data)
        sluice("audit", "verify", "--config", gateway.config_path, check=0)
        sluice("store", "check", "--data", gateway.data, check=0)


def main():
    options = arguments(__doc__, rounds=2, changes=1000, seed=0)
    seed = options.seed or random.randrange(1 << 30)
    randomness = random.Random(seed)
    report = Report("api_kill9")
    folder = tempfile.mkdtemp(prefix="sluice-api-kill9-")
    published, sent, promise, answered, slowest = {}, set(), Promise(), 0, 0.0
    try:
        with Receiver(Places(seed).answer) as receiver:
            places = [
                endpoint(name, f"{receiver.url}/{name}", retry=retry, sources=["github"], concurrency=32)
                for name, retry in (
                    ("sink", RETRY), ("slow", RETRY), ("failing", {"delays": ["1s", "5s"], "jitter": 0.1}))
            ]
            gateway = Gateway([github_source()], places, folder=folder, limits=TINY_LIMITS)
            try:
                for number in range(options.rounds):
                    with report.case(f"round {number + 1}, seed {seed}") as notes:
                        count, seconds = one_round(
                            number, gateway, receiver, randomness, options.changes, published, sent, promise)
                        answered, slowest = answered + count, max(slowest, seconds)
                        notes.append(f"{count} changes answered, started again in {seconds:.2f} s")
                with report.case("the rounds were under load"):
                    assert answered > options.changes // 20 * options.rounds and promise.acknowledged, answered
                finish(report, gateway, receiver, published, sent, promise)
            finally:
                gateway.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.finish()


if __name__ == "__main__":
    main()
