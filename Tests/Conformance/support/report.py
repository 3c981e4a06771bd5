"""Counts what a suite tried: one line a case, a summary at the end, and the numbers in a file for the runner.

Invariant: a case that raised is a failure, and a case that could not run is a skip with its reason, never a pass."""

import argparse
import contextlib
import json
import os
import re
import sys
import time
import traceback


class Skip(Exception):
    """Raised inside a case that cannot run here; its text says why."""


class Report:
    def __init__(self, suite):
        self.suite, self.passed, self.failed, self.skipped = suite, 0, 0, 0
        self.started = time.monotonic()

    def ok(self, name, note=""):
        self.passed += 1
        print(f"  ok    {self.suite}: {name}{' · ' + note if note else ''}", flush=True)

    def fail(self, name, why):
        self.failed += 1
        print(f"  FAIL  {self.suite}: {name}: {why}", flush=True)

    def skip(self, name, why):
        self.skipped += 1
        print(f"  skip  {self.suite}: {name}: {why}", flush=True)

    @contextlib.contextmanager
    def case(self, name):
        """Counts the block: a raised AssertionError or anything else fails it, Skip skips it. Yields a list for
        notes."""
        notes = []
        started = time.monotonic()
        try:
            yield notes
        except Skip as reason:
            self.skip(name, str(reason))
        except AssertionError as error:
            self.fail(name, f"{error or 'assertion failed'} ({_place(error)})")
        except Exception as error:  # a suite goes on after a broken case
            self.fail(name, f"{type(error).__name__}: {error} ({_place(error)})")
        else:
            notes.append(f"{time.monotonic() - started:.1f} s")
            self.ok(name, ", ".join(str(note) for note in notes))

    def finish(self):
        seconds = time.monotonic() - self.started
        print(
            f"== {self.suite}: {self.passed} ok, {self.failed} bad, {self.skipped} not run, {seconds:.0f} s",
            flush=True,
        )
        target = os.environ.get("SLUICE_SUITE_REPORT")
        if target:
            with open(target, "w") as file:
                json.dump({"passed": self.passed, "failed": self.failed, "skipped": self.skipped}, file)
        sys.exit(1 if self.failed else 0)


def _place(error):
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.endswith("report.py")]
    return " < ".join(f"{os.path.basename(f.filename)}:{f.lineno}" for f in reversed(frames[-3:]))


def arguments(doc, **options):
    """A parser with one flag an option; its default gives the type. `--only TEXT` is left to suites that want it."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in options.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(default, bool):
            parser.add_argument(flag, action="store_true", default=default)
        else:
            parser.add_argument(flag, type=type(default), default=default)
    return parser.parse_args()


def wait_until(check, seconds, what):
    """The first true value of `check()`, polled; AssertionError with `what` when none comes in time."""
    end = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < end, f"not within {seconds} s: {what() if callable(what) else what}"
        time.sleep(0.02)


def stays_true(check, seconds, what):
    """`check()` holds for the whole time, polled. The absence of something can only be watched for a bounded time, so
    these seconds are how long a test looks, never how long something may take."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert check(), what() if callable(what) else what
        time.sleep(0.02)


def one_line(text, limit=300):
    return re.sub(r"\s+", " ", str(text)).strip()[:limit]
