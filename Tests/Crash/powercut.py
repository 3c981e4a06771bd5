#!/usr/bin/env python3
"""Power cuts: the data folder lies on a loop mount whose file system is shut down without a flush while events
arrive, so that everything not synced is gone. After unmount, check and mount, the log must hold whatever was
answered 2xx. Needs root.
"""

import os
import random
import shutil
import tempfile
import time

from crashutil import Promise, need_root, write_result
from loadgen import Load
from loopmount import LoopMount
from report import Report, Skip, arguments
from serverutil import TINY_LIMITS, Gateway, github_source, sluice


def cut(number, disk, gateway, promise, randomness, checks):
    gateway.start()
    load = Load(
        gateway.port,
        f"p{number}",
        connections=randomness.choice([4, 12]),
        window=randomness.choice([2, 8]),
        pad=randomness.choice([50, 400, 3000]),
    ).start()
    time.sleep(randomness.uniform(0.2, 1.2))  # the moment of the cut is what a round varies
    problem = disk.cut()
    time.sleep(0.05)  # in which an answer that the disk no longer bears out would be given
    gateway.kill()
    load.stop()
    disk.mount_again()
    if problem:
        raise Skip(f"the shutdown ioctl does not work here: {problem}")
    promise.add(load)
    # What a second recovery finds must be what the first found: a torn tail does not come back to life.
    if checks:
        promise.check_log(gateway.data)


def main():
    options = arguments(__doc__, rounds=3, seed=0, megabytes=2048, fs="ext4", result="")
    seed = options.seed or random.randrange(1 << 30)
    randomness = random.Random(seed)
    report = Report(f"powercut on {options.fs}")
    folder = tempfile.mkdtemp(prefix="sluice-powercut-")
    disk = promise = gateway = None
    try:
        with report.case("set-up"):
            need_root()
            disk = LoopMount(folder, options.megabytes, options.fs)
            disk.mount()
            promise = Promise()
            gateway = Gateway(
                [github_source()],
                folder=folder,
                log={"segment": "4MiB", "group": "512KiB", "free_space": "4MiB"},
                limits=TINY_LIMITS,
            )
            gateway.data = os.path.join(disk.point, "data")
        if gateway:
            for number in range(options.rounds):
                # What is lost stays lost, so a long run may look now and then only, and at the end.
                every = 1 if options.rounds <= 10 else 5 if options.rounds <= 50 else 100
                checks = number % every == every - 1
                with report.case(f"cut {number + 1}, seed {seed}") as notes:
                    cut(number, disk, gateway, promise, randomness, checks)
                    notes.append(f"{len(promise.acknowledged)} acknowledged so far" + ", 0 lost" * checks)
            with report.case("after all cuts: starts, takes events, stops clean, the log checks"):
                assert (
                    len(promise.acknowledged) > 20 * options.rounds
                ), f"only {len(promise.acknowledged)} acknowledged"
                gateway.start()
                load = Load(gateway.port, "after", connections=2).start().wait_for(20)
                load.stop()
                promise.add(load)
                assert gateway.stop() == 0
                promise.check_log(gateway.data)
                sluice("log", "check", gateway.data, check=0)
                write_result(
                    options.result, "powercut", f"Tests/Crash/powercut.py --fs {options.fs} --rounds {options.rounds}",
                    file_system=options.fs, cuts=options.rounds, acknowledged=len(promise.acknowledged), lost=0,
                    invented=0)
        else:
            report.skip(f"{options.rounds} power cuts", "the set-up did not work")
    finally:
        if gateway:
            gateway.kill()
        if disk:
            disk.unmount()
        shutil.rmtree(folder, ignore_errors=True)
    report.finish()


if __name__ == "__main__":
    main()
