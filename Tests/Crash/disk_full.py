#!/usr/bin/env python3
"""A disk that is really full, and empty again: on a loop mount of 256 MiB everything is filled to the last byte under
load. Ingest answers 503, deliveries of what is stored go on, kills and starts work while it is full, although whatever
was let go of is filled before each of them, and once there is room it takes events again by itself; what was answered
2xx is in the log and at the sink. The blocks are of 1 KiB, as on every small ext4: where a page of SQLite's shared
memory has no room, touching it ends the process. Needs root."""

import contextlib
import os
import random
import shutil
import tempfile
import time

from crashutil import Promise, need_root, write_result
from loadgen import Load
from loopmount import LoopMount
from receiver import Receiver
from report import Report, arguments, one_line, wait_until
from serverutil import TINY_LIMITS, Gateway, endpoint, github_source, read_answer

CHUNK = 1 << 20
# On a disk that stays full. More than a reserve would last of which each of them used up a step.
STARTS = 5


class Disk(LoopMount):
    def fill(self):
        """To the last byte: what is freed meanwhile is taken again."""
        with open(os.path.join(self.point, "ballast"), "ab", buffering=0) as file:
            size = CHUNK
            while size >= 512:
                try:
                    file.write(bytes(size))
                    os.fsync(file.fileno())
                except OSError:
                    size //= 2

    def empty(self):
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(self.point, "ballast"))


class Trial:
    def __init__(self, folder, disk, receiver):
        self.disk, self.receiver, self.promise, self.number = disk, receiver, Promise(), 0
        self.gateway = Gateway(
            [github_source()], [endpoint("sink", receiver.url, retry={"delays": ["200ms"] * 60, "jitter": 0})],
            folder=folder, limits=TINY_LIMITS, loops=1,
            log={"segment": "4MiB", "group": "512KiB", "free_space": "20MiB", "retention": {"size": "64MiB"}})
        self.gateway.data = os.path.join(disk.point, "data")

    def one(self):
        self.number += 1
        load = Load(self.gateway.port, f"f{self.number}", pad=3000)
        name = load.take_name()
        try:
            with self.gateway.connect() as s:
                s.sendall(load.message(name))
                load.note(name, read_answer(s)[0])
        except OSError:
            pass
        self.promise.add(load)
        return bool(load.acknowledged), load.refused

    def load(self, seconds):
        self.number += 1
        load = Load(self.gateway.port, f"f{self.number}", connections=4, window=4, pad=3000).start()
        time.sleep(seconds)  # how long it is under load
        load.stop()
        self.promise.add(load)
        return load

    def missing(self):
        return self.promise.missing_at({one.headers.get("x-github-delivery") for one in self.receiver.snapshot()})

    def answers(self):
        """Whether it has started, well or not."""
        try:
            return self.gateway.admin("/ready")[0] in (200, 503)
        except OSError:
            return False

    def round(self, randomness):
        """Seconds until it took events again once there was room."""
        # Of a round that failed.
        self.gateway.kill()
        self.disk.empty()
        self.gateway.start()
        load = self.load(randomness.uniform(0.2, 0.6))
        assert load.acknowledged, "nothing was taken while there was room"
        self.disk.fill()
        refused = set()

        def is_refused():
            refused.update(self.load(0.5).refused)
            return 503 in refused

        # Segments that were made ahead are still filled.
        wait_until(is_refused, 20, "still taken on a full disk")
        # As full as it gets: what retention has freed meanwhile is taken, too.
        self.disk.fill()
        assert refused <= {503}, f"refused {refused}"
        wait_until(lambda: not self.missing(), 30, lambda: f"{len(self.missing())} not delivered on a full disk")
        for number in range(STARTS):
            self.disk.fill()
            self.gateway.kill()
            self.disk.fill()
            self.gateway.spawn()
            wait_until(
                lambda: self.answers() or self.gateway.process.poll() is not None, 60,
                lambda: f"start {number + 1} has no end: {one_line(self.gateway.output()[-400:])}")
            assert self.gateway.process.poll() is None, f"start {number + 1}: {one_line(self.gateway.output()[-400:])}"
        self.disk.empty()
        freed = time.monotonic()
        wait_until(lambda: self.one()[0], 20, lambda: "not well again: " + one_line(self.gateway.output()[-400:]))
        seconds = time.monotonic() - freed
        wait_until(self.gateway.is_ready, 10, "not ready again")
        wait_until(lambda: not self.missing(), 30, lambda: f"{len(self.missing())} not delivered")
        assert self.gateway.stop() == 0
        return seconds


def main():
    options = arguments(__doc__, rounds=1, seed=0, result="")
    seed = options.seed or random.randrange(1 << 30)
    randomness = random.Random(seed)
    report = Report("disk_full")
    folder = tempfile.mkdtemp(prefix="sluice-full-")
    disk, slowest = None, 0.0
    try:
        with Receiver() as receiver:
            trial = None
            with report.case("set-up"):
                need_root()
                disk = Disk(folder, 256)
                disk.mount()
                trial = Trial(folder, disk, receiver)
            try:
                for number in range(options.rounds if trial else 0):
                    with report.case(f"full and back, {number + 1}, seed {seed}") as notes:
                        seconds = trial.round(randomness)
                        slowest = max(slowest, seconds)
                        notes.append(f"{len(trial.promise.acknowledged)} acknowledged, well after {seconds:.2f} s")
                if trial and not report.failed:
                    write_result(
                        options.result, "disk-full", f"Tests/Crash/disk_full.py --rounds {options.rounds}",
                        rounds=options.rounds, acknowledged=len(trial.promise.acknowledged), lost=0,
                        slowest_recovery_seconds=round(slowest, 2))
            finally:
                if trial:
                    trial.gateway.kill()
    finally:
        if disk:
            disk.unmount()
        shutil.rmtree(folder, ignore_errors=True)
    report.finish()


if __name__ == "__main__":
    main()
