#!/usr/bin/env python3
"""Clocks that jump: the gateway's wall clock goes an hour back, an hour on, ten years either way, and anywhere, under
load and beside an endpoint that fails a fifth of the time. Nothing that was answered is lost, nothing is stuck once the
clock stands still, a jump sets off no storm of deliveries, and signatures are judged by the clock as it stands."""

import base64
import hashlib
import hmac
import json
import random
import shutil
import tempfile
import threading
import time

from crashutil import Promise, write_result
from clockshift import Clock
from loadgen import NAME, Load
from receiver import Receiver
from report import Report, arguments, wait_until
from serverutil import TINY_LIMITS, Gateway, endpoint, github_source, request

HOUR, YEAR = 3600, 31_557_600
JUMPS = [("an hour back", -HOUR), ("an hour on", HOUR), ("ten years on", 10 * YEAR), ("ten years back", -10 * YEAR)]
SECRET = base64.b64encode(b"clock-secret-0123456789abcdef").decode()


class Sink:
    def __init__(self, seed):
        self.random, self.lock, self.names, self.times = random.Random(seed), threading.Lock(), [], []

    def answer(self, delivery, number):
        with self.lock:
            self.times.append(time.monotonic())
            if self.random.random() < 0.2:
                return 503
            self.names.append(NAME.search(delivery.body.decode("latin-1"))[0])
        return 204

    def rate(self, since, until):
        with self.lock:
            return len([at for at in self.times if since <= at < until]) / (until - since)


def signed(port, at, name):
    """The status of an event whose signature says that it was made at `at`."""
    body = json.dumps({"type": "clock", "id": name}).encode()
    text = f"{name}.{at}.".encode() + body
    mac = base64.b64encode(hmac.new(base64.b64decode(SECRET), text, hashlib.sha256).digest()).decode()
    fields = {"webhook-id": name, "webhook-timestamp": str(at), "webhook-signature": "v1," + mac}
    return request(port, "/in/signed", body, fields, "POST")[0]


class Trial:
    def __init__(self, folder, receiver, sink):
        self.sink, self.promise, self.clock, self.number = sink, Promise(), Clock(folder), 0
        retry = {"delays": ["200ms", "500ms"] + ["1s"] * 30, "jitter": 0.1}
        self.gateway = Gateway(
            [github_source(), {"name": "signed", "provider": "standard-webhooks", "secrets": ["whsec_" + SECRET]}],
            [endpoint("sink", receiver.url, sources=["github"], retry=retry)], folder=folder, limits=TINY_LIMITS,
            environment=self.clock.environment)

    def jump(self, seconds):
        self.number += 1
        load = Load(
            self.gateway.port, f"c{self.number}", connections=2, window=2, pause=0.02).start().wait_for(50)
        begun = time.monotonic()
        time.sleep(1)  # the span whose rate is compared
        before = self.sink.rate(begun, time.monotonic())
        self.clock.set(seconds)
        jumped = time.monotonic()
        time.sleep(2)  # the span that follows the jump
        after = self.sink.rate(jumped, time.monotonic())
        load.stop()
        self.promise.add(load)
        assert set(load.refused) <= set(), f"refused {load.refused}"
        # A machine under load may have been slow before; a storm is more than that.
        assert after <= 4 * before + 200, f"{before:.0f} a second before, {after:.0f} behind the jump"
        now = int(time.time()) + seconds
        assert signed(self.gateway.port, now, f"n{self.number}") in (200, 202), "what is new is refused"
        assert signed(self.gateway.port, now - 400, f"o{self.number}") == 401, "what is old is taken"
        assert signed(self.gateway.port, now + 400, f"f{self.number}") == 401, "what is not yet is taken"

    def check(self):
        def missing():
            return self.promise.missing_at(self.sink.names)

        wait_until(lambda: not missing(), 40, lambda: f"{len(missing())} of {len(self.promise.acknowledged)} are stuck")
        self.promise.check_sink(list(self.sink.names))


def main():
    options = arguments(__doc__, rounds=2, seed=0, result="")
    seed = options.seed or random.randrange(1 << 30)
    randomness, report = random.Random(seed), Report("clocks")
    folder = tempfile.mkdtemp(prefix="sluice-clocks-")
    sink = Sink(seed)
    jumps = JUMPS + [
        (f"{seconds} s", seconds) for seconds in (randomness.randint(-YEAR, YEAR) for _ in range(options.rounds))]
    try:
        with Receiver(sink.answer, keeps=False) as receiver:
            trial = Trial(folder, receiver, sink)
            try:
                trial.gateway.start()
                for name, seconds in jumps:
                    with report.case(f"{name}, seed {seed}") as notes:
                        trial.jump(seconds)
                        notes.append(f"{len(trial.promise.acknowledged)} acknowledged so far")
                with report.case("nothing is lost and nothing is stuck") as notes:
                    trial.check()
                    notes.append(f"{len(trial.promise.acknowledged)} acknowledged, 0 lost")
                with report.case("it ends and starts again at another time"):
                    assert trial.gateway.stop() == 0
                    trial.promise.check_log(trial.gateway.data)
                    trial.clock.set(-HOUR)
                    trial.gateway.start()
                    trial.jump(HOUR)
                    trial.check()
                    assert trial.gateway.stop() == 0
                if not report.failed:
                    write_result(
                        options.result, "clocks", f"Tests/Crash/clocks.py --rounds {options.rounds}",
                        jumps=len(jumps) + 1, acknowledged=len(trial.promise.acknowledged), lost=0)
            finally:
                trial.gateway.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.finish()


if __name__ == "__main__":
    main()
