#!/usr/bin/env python3
"""A disk that fails: each row injects one fault under the running gateway and checks what must and must not
happen. In every row the fault was met, the sender was told what the row says, and /ready too; what was answered 2xx is
in the log after a restart without the fault, and the process is never gone."""

import collections
import json
import os
import shutil
import signal
import tempfile
import threading
import time

from crashutil import Promise
from faultmount import FaultMount
from loadgen import Load
from receiver import Receiver
from report import Report, Skip, arguments, one_line, wait_until
from storeutil import log_records, name_of
from serverutil import TINY_LIMITS, TINY_LOG, Gateway, endpoint, github_source, read_answer


class ReadyWatch(threading.Thread):
    """What /ready says all along: the codes of its problems, "" for ready."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        self.gateway, self.stopping, self.codes = gateway, threading.Event(), set()

    def run(self):
        while not self.stopping.wait(0.02):
            try:
                status, _, body = self.gateway.admin("/ready")
            except OSError:
                continue
            self.codes |= {""} if status == 200 else {one["code"] for one in json.loads(body)["problems"]}

    def stop(self):
        self.stopping.set()
        self.join(10)
        return self.codes


class Row:
    """One gateway on a faulty disk, with load, a sink, and the promise to check in the end."""

    def __init__(self, binary_folder):
        self.folder = tempfile.mkdtemp(prefix="sluice-faults-")
        binary = os.path.join(binary_folder, "faultfs")
        self.mount = FaultMount(self.folder, binary if os.path.exists(binary) else None)
        if self.mount.binary != binary:
            shutil.copy2(self.mount.binary, binary)
        self.receiver, self.promise, self.runs = Receiver(), Promise(), 0
        # How the sender was answered, by status; None where it was not.
        self.told = collections.Counter()

    def __enter__(self):
        try:
            self.mount.mount()
            self.receiver.__enter__()
            self.gateway = Gateway(
                [github_source()],
                [endpoint("sink", self.receiver.url)],
                folder=self.folder,
                limits=TINY_LIMITS,
                log=TINY_LOG,
                dedup={"entries": 65536},
                loops=1,
            )
            self.gateway.data = os.path.join(self.mount.point, "data")
            self.gateway.start()
            assert self.one() in (200, 202), "it does not take an event before the fault"
            self.told.clear()
            self.watch = ReadyWatch(self.gateway)
            self.watch.start()
        except BaseException:
            self.close()
            raise
        return self

    def one(self, timeout=10):
        """The status of one event, or None when there was no answer."""
        self.runs += 1
        load = Load(self.gateway.port, f"o{self.runs}")
        name = load.take_name()

        try:
            with self.gateway.connect() as s:
                s.settimeout(timeout)
                s.sendall(load.message(name))
                status = read_answer(s)[0]
        except OSError:
            status = None
        if status is not None:
            load.note(name, status)
        self.told[status] += 1
        self.promise.add(load)
        return status

    def load(self, seconds, **more):
        self.runs += 1
        load = Load(self.gateway.port, f"l{self.runs}", connections=4, window=4, **more).start()
        time.sleep(seconds)  # how long the fault is under load
        load.stop()
        self.promise.add(load)
        self.told.update(load.refused)
        self.told[202] += len(load.acknowledged)
        return load

    def check_told(self, told, codes, may=()):
        """Every rule was met; nobody was told anything but what the row says, and that was told."""
        unmet = [rule for rule in self.mount.met() if rule[2] == 0]
        assert not unmet, f"the fault was never met: {unmet}"
        seen = self.watch.stop()
        assert {status for status, count in self.told.items() if count} == told, f"the sender was told {self.told}"
        # Where the log fails, its keeper may see it too.
        may = {"", *may} | ({"log_full"} if codes & {"log_failed", "log_lost"} else set())
        assert codes <= seen and seen <= codes | may, f"/ready said {seen}"

    def alive(self):
        assert self.gateway.process.poll() is None, f"the process ended: {one_line(self.gateway.output()[-400:])}"

    def heals(self, seconds=15):
        """Takes events again by itself after the fault is gone."""
        self.mount.clear()
        wait_until(
            lambda: self.one() in (200, 202), seconds, lambda: "well again: " + one_line(self.gateway.output()[-300:])
        )
        wait_until(self.gateway.is_ready, 10, "/ready after healing")

    def restart_and_check(self):
        self.mount.clear()
        self.gateway.kill()
        self.gateway.start()
        self.promise.check_log(self.gateway.data)
        names = lambda: [d.headers.get("x-github-delivery") for d in self.receiver.snapshot()]  # noqa: E731

        def missing():
            return sorted(self.promise.missing_at(names()))

        wait_until(lambda: not missing(), 30, lambda: f"at the sink: {self.where(missing())}")

    def where(self, missing):
        """For a failure's words: how many, which, and what the gateway knows of the first."""
        stored = {name_of(record): record["event"]["id"] for record in log_records(self.gateway.data, (0, 1))}
        shown = self.gateway.api("/api/events/" + stored[missing[0]])["deliveries"]
        text = f"{len(missing)} of {len(self.promise.acknowledged)} missing, such as {missing[:3]}: {shown}"
        return one_line(text + self.gateway.output()[-300:], 900)

    def close(self):
        if hasattr(self, "watch"):
            self.watch.stop()
        if hasattr(self, "gateway"):
            self.gateway.kill()
        if self.receiver.thread.is_alive():
            self.receiver.__exit__()
        self.mount.unmount()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                self.alive()
                self.restart_and_check()
        finally:
            self.close()


def keeper_rests(row):
    """No spare has come for a while: a segment that is given up has a successor at once, also on a busy machine."""
    folder, known, since = os.path.join(row.gateway.data, "log"), set(), time.monotonic()
    while time.monotonic() - since < 0.5:
        names = set(os.listdir(folder))
        if names != known:
            known, since = names, time.monotonic()
        time.sleep(0.05)


def sync_fails_once(row):
    keeper_rests(row)
    row.mount.rule("fsync 3 EIO 1 /log/")
    row.load(1.5)
    row.alive()
    row.heals()
    sync_never_repeated(row)


def sync_never_repeated(row):
    """No second sync of a file whose sync failed, before it was opened again by a recovery."""
    failed = set()
    with open(row.mount.trace + ".jsonl") as file:
        for line in file:
            operation = json.loads(line)
            if operation["op"] not in ("fsync", "fdatasync") or "/log/" not in operation["p"]:
                continue
            assert operation["p"] not in failed, f"{operation['p']} was synced again after its sync had failed"
            if operation["res"] < 0:
                failed.add(operation["p"])
    assert failed, "the fault was never met"


def sync_fails_for_ever(row):
    wait_until(lambda: row.receiver.count() >= 1, 10, "the first delivery")
    row.load(0.5)
    row.mount.rule("fsync 0 EIO 0 /log/")
    load = row.load(2)
    row.alive()
    assert row.one() == 503, "an answer other than 503 while nothing can be synced"
    status, _, body = row.gateway.admin("/ready")
    assert status == 503 and body, f"/ready answers {status}"
    assert load.refused.get(503, 0) > 0, f"refused {load.refused}"
    before, size = row.gateway.cpu_seconds(), len(row.gateway.output())
    time.sleep(2)  # the span whose processor time and log lines are measured
    assert row.gateway.cpu_seconds() - before < 0.5, "busy while the disk is gone"
    lines = row.gateway.output()[size:].count("\n")
    assert lines <= 6, f"{lines} log lines in two seconds"
    row.heals()


def disk_full(row):
    row.mount.rule("write 5 ENOSPC 0 /log/")
    row.mount.rule("create 0 ENOSPC 0 /log/")
    row.load(1.5)
    row.alive()
    assert row.one() == 503, "an answer other than 503 on a full disk"
    row.heals()


def quota(row):
    row.mount.rule("write 20 EDQUOT 0 /log/")
    row.load(1)
    assert row.one() == 503
    row.heals()


def write_fails(row):
    row.mount.rule("write 10 EIO 3 /log/")
    row.load(1.5)
    row.alive()
    row.heals()


def short_writes(row):
    row.mount.rule("write 3 SHORT 40 /log/")
    load = row.load(2, pad=2000)
    row.alive()
    assert load.acknowledged, "nothing was acknowledged"
    row.heals()


def slow_sync(row):
    """Other connections are served while a commit takes two seconds."""
    row.mount.rule("fsync 0 SLOW2000 2 /log/")
    started = time.monotonic()
    waiting = threading.Thread(target=row.one)
    waiting.start()
    time.sleep(0.3)  # nothing outside shows that the commit has begun; the assertion below holds either way
    body = b"{}"
    status, _, _ = row.gateway.post("/in/github", body, {"X-Hub-Signature-256": "sha256=" + "0" * 64})
    took = time.monotonic() - started
    assert status == 401 and took < 1.5, f"{status} after {took:.1f} s: the loop waits for the disk"
    waiting.join()
    row.mount.clear()
    assert row.one() in (200, 202)


def no_new_file(row):
    """Rolling to a new segment fails for want of descriptors on the file system's side."""
    row.mount.rule("create 0 EMFILE 0 /log/")
    load = row.load(3, pad=4000)
    row.alive()
    assert sum(load.refused.values()) == load.refused.get(503, 0), f"refused {load.refused}"
    row.heals()


def read_fails(row):
    """A latent read error: delivery of others goes on, the process stays."""
    row.mount.rule("read 0 EIO 5 /log/")
    row.load(1)
    row.alive()
    row.heals()


def store_full(row):
    """Events are taken and kept; what became of deliveries is written when it can be."""
    row.mount.rule("write 0 ENOSPC 0 store.sqlite")
    load = row.load(2)
    assert load.acknowledged and not load.refused, f"refused {load.refused}"
    wait_until(lambda: "store_failing" in row.watch.codes, 10, "/ready says that the store fails")
    row.alive()
    row.heals()


def stopped_and_continued(row):
    row.load(0.5)
    row.gateway.process.send_signal(signal.SIGSTOP)
    time.sleep(3)  # how long the process stands still
    row.gateway.process.send_signal(signal.SIGCONT)
    wait_until(lambda: row.one() in (200, 202), 10, "an answer after SIGCONT")
    row.load(0.5)


def is_lost(row):
    """True once it refuses because the log is gone; whatever it acknowledged in the meantime is in the promise."""
    return row.one() == 503 and b"log_lost" in row.gateway.admin("/ready")[2]


def folder_moved(row):
    """What was acknowledged before it is noticed is in the folder when that comes back; nothing is afterwards."""
    log, away = (os.path.join(row.gateway.data, name) for name in ("log", "away"))
    row.load(0.5)
    os.rename(log, away)
    wait_until(lambda: is_lost(row), 10, "refused, with log_lost on /ready")
    load = row.load(1)
    assert not load.acknowledged and load.refused.get(503, 0) > 0, f"{len(load.acknowledged)} acknowledged from nowhere"
    row.alive()
    os.rename(away, log)
    row.heals()


def folder_replaced(row):
    log = os.path.join(row.gateway.data, "log")
    row.load(0.5)
    os.rename(log, log + ".old")
    os.mkdir(log)
    wait_until(lambda: is_lost(row), 10, "refused, with log_lost on /ready")
    row.promise = Promise()
    load = row.load(2)
    assert not load.acknowledged, "another folder under the name is taken for the log"
    row.alive()
    # Nothing of it is left, so what delivery has of it goes too before the restart.
    row.gateway.kill()
    shutil.rmtree(row.gateway.data)
    row.gateway.start()
    row.load(0.5)


def segment_deleted(row):
    """What was only there counts as not seen; the next events go to a new segment."""
    load = Load(row.gateway.port, "again")
    name = load.take_name()

    def send():
        with row.gateway.connect() as s:
            s.settimeout(10)
            s.sendall(load.message(name))
            status, _, body, _ = read_answer(s)
            return "refused" if status == 503 else "duplicate" if b"duplicate" in body else "new"

    assert send() == "new" and send() == "duplicate"
    wait_until(lambda: row.receiver.count() >= 2, 10, "both are delivered before their segment goes")
    log = os.path.join(row.gateway.data, "log")
    newest = max(entry for entry in os.listdir(log) if entry.endswith(".log"))
    os.remove(os.path.join(log, newest))
    row.promise = Promise()
    wait_until(lambda: send() == "new", 10, "the sender's repeat is a new event")
    load.note(name, 202)
    row.promise.add(load)
    row.heals()
    assert newest in row.gateway.output(), "the log line names the segment"
    row.load(0.5)


# What is injected; how; the statuses that the sender was told; the problems that /ready named, and may have named.
ROWS = [
    ("fsync EIO once", sync_fails_once, {202}, set()),
    ("fsync EIO forever", sync_fails_for_ever, {202, 503}, {"log_failed"}),
    ("ENOSPC", disk_full, {202, 503}, {"log_failed"}),
    ("EDQUOT", quota, {202, 503}, {"log_failed"}),
    ("write EIO", write_fails, {202, 503}, {"log_failed"}),
    ("ENOSPC in the store", store_full, {202}, {"store_failing"}),
    ("short writes", short_writes, {202}, set()),
    ("fsync slow", slow_sync, {202}, set()),
    ("no new segment can be made", no_new_file, {202, 503}, {"log_full"}),
    ("read EIO", read_fails, {202}, set()),
    ("SIGSTOP, SIGCONT", stopped_and_continued, {202}, set()),
    ("log folder moved away and back", folder_moved, {202, 503}, {"log_lost"}),
    ("log folder replaced", folder_replaced, {202, 503}, {"log_lost"}),
    ("segment in use deleted", segment_deleted, {202}, set(), {"log_lost"}),
]


def main():
    options = arguments(__doc__, only="")
    report = Report("faults")
    with tempfile.TemporaryDirectory(prefix="sluice-faultfs-") as tools:
        for name, check, *told in ROWS:
            if options.only and options.only != name:
                continue
            with report.case(name) as notes:
                if os.geteuid() != 0 and shutil.which("fusermount3") is None:
                    raise Skip("FUSE is not usable here")
                with Row(tools) as row:
                    check(row)
                    row.check_told(*told)
                    notes.append(f"{len(row.promise.acknowledged)} acknowledged")
                    notes += [f"{operation} {error} met {count} times" for operation, error, count in row.mount.met()]
                    notes.append("/ready: " + (" ".join(sorted(told[1])) or "ready throughout"))
    report.finish()


if __name__ == "__main__":
    main()
