#!/usr/bin/env python3
"""Power cuts: the data folder lies on a loop mount whose file system is shut down without a flush while events
arrive, so that everything not synced is gone. After unmount, check and mount, the log must hold whatever was
answered 2xx. Needs root.
"""

import os
import random
import shutil
import subprocess
import tempfile
import time

from crashutil import Promise, compile_tool, need_root
from loadgen import Load
from report import Report, Skip, arguments
from serverutil import TINY_LIMITS, Gateway, github_source, sluice

WITHOUT_FLUSH = "2"


def must(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise Skip(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-200:]}")


class LoopMount:
    """An ext4 image on a loop device; always unmounted in the end."""

    def __init__(self, folder, megabytes):
        self.image, self.point = os.path.join(folder, "disk.img"), os.path.join(folder, "disk")
        os.mkdir(self.point)
        must("truncate", "-s", f"{megabytes}M", self.image)
        must("mkfs.ext4", "-q", "-F", self.image)

    def mount(self):
        must("mount", "-o", "loop", self.image, self.point)

    def unmount(self):
        for _ in range(50):
            if not os.path.ismount(self.point):
                return
            if subprocess.run(["umount", self.point], capture_output=True).returncode == 0:
                return
            time.sleep(0.1)
        subprocess.run(["umount", "-l", self.point], capture_output=True)


def cut(number, disk, godown, gateway, promise, randomness, checks):
    gateway.start()
    load = Load(
        gateway.port,
        f"p{number}",
        connections=randomness.choice([4, 12]),
        window=randomness.choice([2, 8]),
        pad=randomness.choice([50, 400, 3000]),
    ).start()
    time.sleep(randomness.uniform(0.2, 1.2))  # the moment of the cut is what a round varies
    done = subprocess.run([godown, disk.point, WITHOUT_FLUSH], capture_output=True, text=True)
    time.sleep(0.05)  # in which an answer that the disk no longer bears out would be given
    gateway.kill()
    load.stop()
    disk.unmount()
    if done.returncode:
        raise Skip(f"the shutdown ioctl does not work here: {done.stderr.strip()}")
    promise.add(load)
    disk.mount()
    # What a second recovery finds must be what the first found: a torn tail does not come back to life.
    if checks:
        promise.check_log(gateway.data)


def main():
    options = arguments(__doc__, rounds=3, seed=0, megabytes=2048)
    seed = options.seed or random.randrange(1 << 30)
    randomness = random.Random(seed)
    report = Report("powercut")
    folder = tempfile.mkdtemp(prefix="sluice-powercut-")
    disk = promise = gateway = None
    try:
        with report.case("set-up"):
            need_root()
            godown = compile_tool("godown", folder)
            disk = LoopMount(folder, options.megabytes)
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
                # What is lost stays lost, so a long run may look after every fifth cut only, and at the end.
                checks = options.rounds <= 10 or number % 5 == 4
                with report.case(f"cut {number + 1}, seed {seed}") as notes:
                    cut(number, disk, godown, gateway, promise, randomness, checks)
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
