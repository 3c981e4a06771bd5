#!/usr/bin/env python3
"""A sync that really fails: the data folder lies on ext4 in a sparse image, in a memory disk that is too small for it,
so that the kernel's own write-back fails under load, marks the pages clean, and a second sync would say that all is
well. Whatever was answered 2xx is in the log once the image has the room that it lacked. Needs root."""

import os
import random
import shutil
import subprocess
import tempfile
import time

from crashutil import Promise, need_root, write_result
from loadgen import Load
from loopmount import LoopMount, must
from report import Report, arguments, one_line
from serverutil import TINY_LIMITS, Gateway, github_source

IMAGE_MEGABYTES, ROOM_MEGABYTES = 400, 40


class SmallDisk(LoopMount):
    """`mount` and the rest are the image's; around it a memory disk that is smaller than the image."""

    def __init__(self, folder):
        self.memory = os.path.join(folder, "memory")
        os.mkdir(self.memory)
        must("mount", "-t", "tmpfs", "-o", f"size={ROOM_MEGABYTES}m", "tmpfs", self.memory)
        super().__init__(self.memory, IMAGE_MEGABYTES)

    def give_room(self):
        must("mount", "-o", f"remount,size={2 * IMAGE_MEGABYTES}m", self.memory)
        self.unmount()
        # 1: errors were corrected.
        done = subprocess.run(["e2fsck", "-f", "-y", self.image], capture_output=True, text=True)
        assert done.returncode in (0, 1), f"e2fsck: {done.returncode} {one_line(done.stdout)}"
        self.mount()

    def end(self):
        self.unmount()
        subprocess.run(["umount", "-l", self.memory], capture_output=True)


def one_round(number, folder, randomness):
    """(acknowledged, statuses of refusals, what the kernel's error did to the process)."""
    place = tempfile.mkdtemp(dir=folder)
    disk = SmallDisk(place)
    promise = Promise()
    gateway = Gateway(
        [github_source()], folder=place, limits=TINY_LIMITS, loops=1,
        log={"segment": "4MiB", "group": "512KiB", "free_space": 0}, dedup={"entries": 65536})
    try:
        disk.mount()
        gateway.data = os.path.join(disk.point, "data")
        gateway.start()
        load = Load(
            gateway.port, f"g{number}", connections=4, window=randomness.choice([2, 8]),
            pad=randomness.choice([400, 4000])).start()
        end = time.monotonic() + 30
        while not load.refused and time.monotonic() < end and gateway.process.poll() is None:
            time.sleep(0.05)
        time.sleep(0.5)  # how long it is under load while the disk fails
        load.stop()
        promise.add(load)
        assert load.refused or gateway.process.poll() is not None, "the disk has not failed"
        assert set(load.refused) <= {503}, f"refused {load.refused}"
        status = gateway.process.poll()
        assert status in (None, 2, 70), f"exit status {status}"
        gateway.kill()
        disk.give_room()
        gateway.start()
        assert gateway.stop() == 0
        promise.check_log(gateway.data)
        return len(promise.acknowledged), sum(load.refused.values())
    finally:
        gateway.kill()
        disk.end()


def main():
    options = arguments(__doc__, rounds=2, seed=0, result="")
    seed = options.seed or random.randrange(1 << 30)
    randomness, report = random.Random(seed), Report("fsyncgate")
    folder = tempfile.mkdtemp(prefix="sluice-fsyncgate-")
    acknowledged = 0
    try:
        for number in range(options.rounds):
            with report.case(f"round {number + 1}, seed {seed}") as notes:
                need_root()
                kept, refused = one_round(number, folder, randomness)
                acknowledged += kept
                notes.append(f"{kept} acknowledged, {refused} refused, 0 lost")
        if not report.failed and not report.skipped:
            write_result(
                options.result, "fsyncgate", f"Tests/Crash/fsyncgate.py --rounds {options.rounds}",
                rounds=options.rounds, acknowledged=acknowledged, lost=0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.finish()


if __name__ == "__main__":
    main()
