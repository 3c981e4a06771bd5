#!/usr/bin/env python3
"""An error at every point: the disk fails the n-th write, sync, creation, rename or opening of the whole life of a
gateway, once, and for ever from there on, for n = 0, 1, 2, … until a life passes that does not get so far. Whatever
was answered 2xx is in the log after a restart on a disk that is well; nobody waits for an answer for ever, and a
gateway that does not start, or ends, says why with an exit status of the documentation.

`--stride N` tries every N-th point only."""

import os
import shutil
import tempfile
import time

from crashutil import Promise, write_result
from faultmount import FaultMount
from loadgen import Load
from report import Report, Skip, arguments, one_line, wait_until
from serverutil import TINY_LIMITS, TINY_LOG, Gateway, github_source, read_answer

OPERATIONS = (
    ("write", "EIO"), ("fsync", "EIO"), ("fsyncdir", "EIO"), ("create", "ENOSPC"), ("rename", "EIO"),
    ("open", "EMFILE"))
EVENTS = 8
# Of docs/operations.md: ended as asked, the machine does not allow a start, a fault of its own.
STATUSES = (0, 2, 70)


class Life:
    """From an empty folder to the end of the process, with one rule."""

    def __init__(self, mount, number):
        self.mount = mount
        self.folder = tempfile.mkdtemp(prefix="sluice-errors-")
        self.gateway = Gateway(
            [github_source()], folder=self.folder, limits={**TINY_LIMITS, "commit_time": "2s"},
            log=TINY_LOG, dedup={"entries": 4096}, loops=1)
        self.gateway.data = os.path.join(mount.point, f"data{number}")
        self.load = Load(self.gateway.port, f"e{number}", pad=70_000)  # more than a segment in all
        self.promise = Promise()

    def send(self):
        """Each event on a connection of its own: an answer within ten seconds, or the process is gone."""
        for _ in range(EVENTS):
            name = self.load.take_name()
            try:
                with self.gateway.connect() as s:
                    s.sendall(self.load.message(name))
                    status = read_answer(s)[0]
            except TimeoutError:
                raise AssertionError("no answer within ten seconds") from None
            except OSError:
                status = None
            if status is None:
                assert self.gateway.process.poll() is not None, "no answer, and it still runs"
                return
            assert status in (202, 503), f"answered {status}"
            self.load.note(name, status)

    def run(self):
        process = self.gateway.spawn().process
        # Ready it may not be: then it says why, and answers 503.
        wait_until(
            lambda: process.poll() is not None or self.gateway.takes_connections(), 20, "neither started nor ended")
        if process.poll() is not None:
            said = self.gateway.output()
            assert process.returncode in STATUSES and "the configuration has" not in said, one_line(said[-400:])
            return
        self.send()
        if self.gateway.process.poll() is None:
            self.gateway.stop()
        assert self.gateway.process.returncode in STATUSES, f"exit status {self.gateway.process.returncode}"

    def check(self):
        self.mount.clear()
        self.promise.add(self.load)
        self.gateway.start()
        assert self.gateway.stop() == 0
        self.promise.check_log(self.gateway.data)

    def close(self):
        self.gateway.kill()
        shutil.rmtree(self.gateway.data, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def one_point(binary, number, rule):
    """(how often the fault was met, how many events were acknowledged)."""
    folder = tempfile.mkdtemp(prefix="sluice-errors-")
    mount = FaultMount(folder, binary)
    try:
        mount.mount()
        mount.rule(rule)
        life = Life(mount, number)
        try:
            life.run()
            met = mount.met()[0][2]
            life.check()
            return met, len(life.promise.acknowledged)
        finally:
            life.close()
    finally:
        mount.unmount()
        shutil.rmtree(folder, ignore_errors=True)


def every_point(binary, operation, error, count, stride, deadline):
    """(points tried, events acknowledged); the last life was not reached by its fault."""
    points = acknowledged = at = 0
    while time.monotonic() < deadline:
        try:
            met, kept = one_point(binary, at, f"{operation} {at} {error} {count}")
        except AssertionError as problem:
            raise AssertionError(f"{operation} {at} {error} {count}: {problem}") from problem
        acknowledged += kept
        if met == 0:
            # Some may have come before the next segment was prepared.
            assert kept > 0, "nothing kept without any fault"
            return points, acknowledged
        points += 1
        at += stride
    raise Skip(f"{points} points in the time there was")


def main():
    options = arguments(__doc__, stride=1, seconds=7200.0, result="", only="")
    report = Report("io_errors")
    started, points, acknowledged = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory(prefix="sluice-faultfs-") as tools:
        binary = None
        with report.case("set-up"):
            binary = FaultMount(tools).binary
        for operation, error in OPERATIONS if binary else ():
            if options.only and options.only != operation:
                continue
            for count, word in ((1, "once"), (0, "for ever")):
                with report.case(f"{error} of each {operation}, {word}") as notes:
                    tried, kept = every_point(
                        binary, operation, error, count, options.stride, started + options.seconds)
                    points, acknowledged = points + tried, acknowledged + kept
                    notes.append(f"{tried} points, {kept} acknowledged, 0 lost")
    if not report.failed and not report.skipped and options.stride == 1 and not options.only:
        write_result(
            options.result, "io-errors", "Tests/Crash/io_errors.py", points=points, acknowledged=acknowledged, lost=0)
    report.finish()


if __name__ == "__main__":
    main()
