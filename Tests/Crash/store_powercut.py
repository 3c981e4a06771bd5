#!/usr/bin/env python3
"""The power is cut while callers change everything that the control API changes, beside load from providers and
endpoints that are slow and that fail. After each cut the store is what SQLite calls whole, by its own check and by
Sluice's, what was answered 2xx is there, what was not is there whole or not at all, and every published event that was
answered reaches its endpoint. Needs root."""

import glob
import os
import random
import shutil
import sqlite3
import tempfile

from api_kill9 import RETRY, Places, finish, one_round
from crashutil import Promise, need_root, write_result
from loopmount import LoopMount
from receiver import Receiver
from report import Report, Skip, arguments
from serverutil import TINY_LIMITS, Gateway, endpoint, github_source


def check_files(data):
    """By SQLite alone, on copies: the gateway recovers its own."""
    with tempfile.TemporaryDirectory(prefix="sluice-store-") as folder:
        copied = shutil.copytree(data, os.path.join(folder, "data"), ignore=shutil.ignore_patterns("*.log", "reserve"))
        files = glob.glob(os.path.join(copied, "*.sqlite")) + glob.glob(os.path.join(copied, "history", "*.sqlite"))
        for path in files:
            with sqlite3.connect(path) as database:
                whole = database.execute("PRAGMA integrity_check").fetchall()
                foreign = database.execute("PRAGMA foreign_key_check").fetchall()
            database.close()
            assert whole == [("ok",)] and not foreign, f"{os.path.basename(path)}: {whole[:3]} {foreign[:3]}"
        return len(files)


class Cuts:
    def __init__(self, disk, gateway):
        self.disk, self.gateway, self.problem, self.files = disk, gateway, "", 0

    def end(self):
        self.problem = self.disk.cut()
        self.gateway.kill()

    def after(self):
        self.disk.mount_again()
        if self.problem:
            raise Skip(f"the shutdown ioctl does not work here: {self.problem}")
        self.files += check_files(self.gateway.data)


def main():
    options = arguments(__doc__, rounds=2, changes=400, seed=0, fs="ext4", megabytes=4096, result="")
    seed = options.seed or random.randrange(1 << 30)
    randomness = random.Random(seed)
    report = Report("store_powercut")
    folder = tempfile.mkdtemp(prefix="sluice-store-cut-")
    disk, published, sent, promise, answered = None, {}, set(), Promise(), 0
    try:
        with Receiver(Places(seed).answer) as receiver:
            gateway = cuts = None
            with report.case("set-up"):
                need_root()
                disk = LoopMount(folder, options.megabytes, options.fs)
                disk.mount()
                places = [
                    endpoint(name, f"{receiver.url}/{name}", retry=RETRY, sources=["github"], concurrency=32)
                    for name in ("sink", "slow")
                ]
                gateway = Gateway([github_source()], places, folder=folder, limits=TINY_LIMITS)
                gateway.data = os.path.join(disk.point, "data")
                cuts = Cuts(disk, gateway)
            try:
                for number in range(options.rounds if cuts else 0):
                    with report.case(f"cut {number + 1}, seed {seed}") as notes:
                        count, _ = one_round(
                            number, gateway, receiver, randomness, options.changes, published, sent, promise, cuts.end,
                            cuts.after)
                        answered += count
                        notes.append(f"{answered} changes answered so far")
                if cuts:
                    finish(report, gateway, receiver, published, sent, promise)
                if cuts and not report.failed:
                    write_result(
                        options.result, "store-powercut", f"Tests/Crash/store_powercut.py --rounds {options.rounds}",
                        cuts=options.rounds, changes=answered, files_checked=cuts.files, published=len(published),
                        acknowledged=len(promise.acknowledged), lost=0)
            finally:
                if gateway:
                    gateway.kill()
    finally:
        if disk:
            disk.unmount()
        shutil.rmtree(folder, ignore_errors=True)
    report.finish()


if __name__ == "__main__":
    main()
