#!/usr/bin/env python3
"""Damage at rest: a log that a real gateway wrote is damaged in one place at random (a bit, 512 B or 4 KiB of zeros,
4 KiB of another place, the end cut off), again and again. `sluice log check` says so, nothing that is shown was altered
or invented, and everything that was not touched is still shown. Some of these logs a gateway is started on, which
delivers what is left of them and nothing else."""

import json
import os
import random
import re
import shutil
import subprocess
import tempfile

from crashutil import write_result
from loadgen import NAME, Load
from receiver import Receiver
from report import Report, arguments, wait_until
from serverutil import BINARY, TINY_LIMITS, TINY_LOG, Gateway, StartFailed, endpoint, free_port, github_source
from storeutil import log_records

BLOCK = 4096
SECTOR = 512
KINDS = ("flip", "zero", "sector", "misdirect", "truncate")


def gateway_on(folder, port):
    """With an endpoint that wants everything, at a port where nobody listens while the log is written."""
    late = endpoint("late", f"http://127.0.0.1:{port}/hooks", retry={"delays": ["200ms"] * 60, "jitter": 0})
    return Gateway([github_source()], [late], folder=folder, limits=TINY_LIMITS, log=TINY_LOG, loops=1)


def write_log(folder, port):
    """A log of some segments. Returns its folder and {name: [content]}."""
    gateway = gateway_on(folder, port)
    with gateway:
        Load(gateway.port, "d", connections=4, window=8, pad=500).start().wait_for(1500, 60).stop()
    return gateway.data, contents(gateway.data, (0,))


def contents(data, statuses):
    found = {}
    for record in log_records(data, statuses):
        name = NAME.search(json.dumps(record))
        # Headers, body and all: whatever the record says of its event.
        found.setdefault(name[0] if name else None, []).append(json.dumps(record, sort_keys=True))
    return found


def segments(data):
    """Those that have records, with how many bytes of them; zeros behind are nothing yet."""
    log = os.path.join(data, "log")
    found = []
    for name in sorted(os.listdir(log)):
        if name.endswith(".log") and not name.startswith("spare"):
            with open(os.path.join(log, name), "rb") as file:
                found.append((os.path.join(log, name), len(file.read().rstrip(b"\0"))))
    return [(path, used) for path, used in found if used > BLOCK]


def damage(data, kind, rng):
    """One place of one segment. Returns what was done; None when the bytes are what they were."""
    path, used = rng.choice(segments(data))
    with open(path, "r+b") as file:
        before = bytearray(file.read())
        after = bytearray(before)
        at = rng.randrange(BLOCK, used)
        start = at // BLOCK * BLOCK
        if kind == "flip":
            after[at] ^= 1 << rng.randrange(8)
        elif kind == "zero":
            after[start:start + BLOCK] = bytes(BLOCK)
        elif kind == "sector":
            # What pads a group is zero already.
            full = [start for start in range(BLOCK, used, SECTOR) if any(before[start:start + SECTOR])]
            start = rng.choice(full)
            after[start:start + SECTOR] = bytes(SECTOR)
        elif kind == "misdirect":
            other = rng.randrange(BLOCK, used) // BLOCK * BLOCK
            after[start:start + BLOCK] = before[other:other + BLOCK]
        else:
            del after[at:]
        if after == before:
            return None
        file.seek(0)
        file.write(after)
        file.truncate(len(after))
    changed = [n for n in range(min(len(before), len(after))) if before[n] != after[n]] if kind != "truncate" else []
    first, last = (changed[0], changed[-1] + 1) if changed else (at, used)
    return path, first, min(last, used)


def untouched(whole, path, first, last, unfinished):
    """How many records at least have no byte in the damaged part: each has 700 bytes or more, and one may be cut at
    either end. What is missing of the last group looks as if it had been torn, and all of it goes from there on."""
    return len(whole) - max(last - first, unfinished) // 700 - 2


def one_state(pristine, whole, kind, rng, port):
    with tempfile.TemporaryDirectory(prefix="sluice-damage-") as folder:
        data = shutil.copytree(pristine, os.path.join(folder, "data"))
        place = damage(data, kind, rng)
        if place is None:
            return False
        checked = subprocess.run([BINARY, "log", "check", data], capture_output=True, text=True, timeout=60)
        shown = contents(data, (0, 1))
        lost = set(whole) - set(shown)
        assert checked.returncode in (0, 1), f"log check: {checked.returncode}: {checked.stderr[-300:]}"
        # The end of the newest segment that is missing or zero is a torn tail, which no reader can tell from one.
        assert checked.returncode == 1 or not lost or is_tail(data, place), f"not reported: {sorted(lost)[:3]}, {place}"
        altered = [name for name, texts in shown.items() if whole.get(name) != texts]
        assert not altered, f"ALTERED, INVENTED or twice: {altered[:3]}: {place}"
        if kind != "truncate":
            unfinished = re.search(r"unfinished end: ([0-9]+) bytes", checked.stdout)
            least = untouched(whole, *place, int(unfinished[1]) if unfinished else 0)
            count = f"{len(shown)} of {len(whole)} are shown, {least} were not touched"
            assert len(shown) >= least, f"LOST: {count}: {place}"
        if port:
            delivered(folder, {name: json.loads(texts[0])["body"].encode() for name, texts in shown.items()}, port)
        return True


def is_tail(data, place):
    """In the newest segment with records, or behind it."""
    return place[0] >= segments(data)[-1][0]


def delivered(folder, bodies, port):
    """What a gateway makes of it: started on it, it delivers what is left, as it came."""
    names = set(bodies)
    with Receiver(port=port) as receiver:
        try:
            with gateway_on(folder, port):
                def got():
                    return {NAME.search(one.body.decode("latin-1"))[0] for one in receiver.snapshot()}

                wait_until(lambda: names <= got(), 30, lambda: f"{len(names - got())} of {len(names)} not delivered")
                assert got() <= names, f"INVENTED: {sorted(got() - names)[:3]}"
                for one in receiver.snapshot():
                    name = NAME.search(one.body.decode("latin-1"))[0]
                    assert one.body == bodies[name], f"ALTERED: {name}"
        except StartFailed as error:
            raise AssertionError(str(error)) from None


def main():
    options = arguments(__doc__, states=40, seed=0, deliveries=1, result="")
    seed = options.seed or random.randrange(1 << 30)
    report = Report("corruption")
    folder = tempfile.mkdtemp(prefix="sluice-corruption-")
    try:
        pristine = whole = None
        with report.case("a log") as notes:
            port = free_port()
            pristine, whole = write_log(folder, port)
            notes.append(f"{len(whole)} records in {len(segments(pristine))} segments")
        total = 0
        for kind in KINDS if whole else ():
            with report.case(f"{kind}, seed {seed}") as notes:
                each, done = options.states // len(KINDS), 0
                for number in range(each):
                    rng = random.Random(f"{seed}-{kind}-{number}")
                    done += one_state(pristine, whole, kind, rng, port if number < options.deliveries else None)
                assert done >= each * 9 // 10, f"only {done} of {each} were damaged"
                notes.append(f"{done} states")
                total += done
        if not report.failed:
            write_result(
                options.result, "corruption", f"Tests/Crash/corruption.py --states {options.states}", states=total,
                records=len(whole), altered=0, unreported=0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.finish()


if __name__ == "__main__":
    main()
