#!/usr/bin/env python3
"""What an operator may rely on without asking: files that nobody else reads, damage that is called damage, a drain that
one wish too many does not cut short, a warning of a listener without a password."""

import os
import signal
import sqlite3
import tempfile
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
from receiver import Receiver
from report import Report, arguments, one_line, wait_until
from serverutil import (
    Gateway,
    endpoint,
    github_headers,
    github_source,
    open_source,
    read_answer,
    sluice,
)


def damaged_files(report):
    """What SQLite did not write is called damaged, with what to do; never a matter of rights or free space."""
    files = {
        "store.sqlite": "sluice store rebuild",
        "rejected.sqlite": "move it out of the data folder",
    }
    for name, remedy in files.items():
        for what, spoil in (("a file of another kind", scribble), ("a spoilt page", spoil_page), ("cut short", halve)):
            with report.case(f"{name}, {what}: the start calls it damaged and says what to do"):
                with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
                    gateway = Gateway([github_source()], folder=folder)
                    with gateway:
                        assert gateway.post("/in/github", b"{}", github_headers(b"{}"))[0] == 202
                        assert gateway.post("/in/github", b"{}", github_headers(b"{}", secret="wrong"))[0] == 401
                        rejected = lambda: gateway.api("/api/v1/rejected")["items"]  # noqa: E731
                        wait_until(rejected, 10, "the refused request")
                    path = os.path.join(gateway.data, name)
                    sqlite3.connect(path).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
                    spoil(path)
                    text = Gateway([github_source()], folder=folder).refused_start()
                    assert "exit status 2" in text and "damaged" in text and remedy in text, one_line(text)
                    for word in ("permission", "right to", "free some space", "must be able to"):
                        assert word not in text, one_line(text)


def scribble(path):
    with open(path, "wb") as file:
        file.write(b"no database at all " * 3000)


def spoil_page(path):
    """The page that holds the schema, behind the header that says that it is a database."""
    with open(path, "r+b") as file:
        file.seek(100)
        file.write(os.urandom(3900))


def halve(path):
    os.truncate(path, os.path.getsize(path) // 2)


def private_files(report):
    with report.case("every file of the data folder is its owner's alone, whatever the umask"):
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder, Receiver() as receiver:
            before = os.umask(0)
            try:
                with Gateway([github_source()], [endpoint("all", receiver.url)], folder=folder) as gateway:
                    assert gateway.post("/in/github", b"{}", github_headers(b"{}"))[0] == 202
                    assert gateway.post("/in/github", b"{}", github_headers(b"{}", secret="wrong"))[0] == 401
                    wait_until(lambda: gateway.api("/api/v1/rejected")["items"], 10, "the refused request")
                    delivered = lambda: gateway.api("/api/v1/deliveries?state=delivered")["items"]  # noqa: E731
                    wait_until(delivered, 10, "the delivery")
                    check_private(gateway.data)
                check_private(gateway.data)
            finally:
                os.umask(before)


def check_private(data):
    found = 0
    for path, _, names in os.walk(data):
        for name in names:
            mode = os.stat(os.path.join(path, name)).st_mode & 0o777
            assert mode == 0o600, f"{name} has mode {mode:o}"
            found += 1
        if path != data:
            mode = os.stat(path).st_mode & 0o777
            assert mode == 0o700, f"{os.path.basename(path)}/ has mode {mode:o}"
    assert found >= 5, f"only {found} files"


def two_signals(report):
    with report.case("two signals within a moment begin one drain; a later one ends at once"):
        with Gateway([open_source()], grace="30s") as gateway:
            with gateway.connect_halfway() as s:
                gateway.begin_drain()
                gateway.process.send_signal(signal.SIGTERM)
                gateway.process.send_signal(signal.SIGINT)
                s.sendall(b"world")
                status, *_ = read_answer(s)
                assert status == 202, status
            assert gateway.process.wait(10) == 0
        with Gateway([open_source()], grace="30s") as gateway:
            with gateway.connect_halfway():
                gateway.process.send_signal(signal.SIGTERM)
                time.sleep(2.2)
                assert gateway.process.poll() is None, "it did not wait for what is in flight"
                gateway.process.send_signal(signal.SIGTERM)
                assert gateway.process.wait(5) == 128 + signal.SIGTERM
            gateway.expect_clean = False


def open_admin(report):
    with report.case("an admin listener that others reach is warned of"):
        with Gateway([open_source()]) as gateway:
            with open(gateway.config_path) as file:
                text = file.read()
            assert "plain HTTP" not in gateway.output()
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
            path = os.path.join(folder, "open.yaml")
            with open(path, "w") as file:
                file.write(text.replace("127.0.0.1", "0.0.0.0"))
            said = sluice("config", "check", path, check=0).stdout
            assert "`admin`: 0.0.0.0" in said and "plain HTTP" in said, one_line(said)


def main():
    options = arguments(__doc__, only="")
    report = Report("safeguards")
    for group in (damaged_files, private_files, two_signals, open_admin):
        if not options.only or group.__name__ == options.only:
            group(report)
    report.finish()


if __name__ == "__main__":
    main()
