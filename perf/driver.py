"""The load on a server, behind one small interface: wrk or `sluice load`.

Both give the same keys, spelled as in `sluice load --json`; what the generator cannot tell is absent.
Every request is a GitHub delivery with an id and a body of its own, signed with SECRET.
"""

import hashlib
import hmac
import itertools
import json
import os
import re
import signal
import subprocess
import tempfile
import time
import uuid

from perfutil import HERE, pinned
from serverutil import BINARY

SECRET = "bench-secret"
UNITS = {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7}
SIGNED_BYTES_MAX = 100 << 20
LOAD_CPU = "1"


class SignedRequests:
    """A file of signed requests for perf/signed.lua, one a body size, made once; ids never come twice."""

    def __init__(self):
        # Removed with this object.
        self.owned = tempfile.TemporaryDirectory(prefix="sluice-signed-")
        self.folder, self.passes = self.owned.name, 0

    def file(self, body_bytes):
        path = os.path.join(self.folder, f"signed-{body_bytes}.tsv")
        if not os.path.exists(path):
            count = self.count(body_bytes)
            pad = "x" * max(0, body_bytes - 48)
            with open(path + ".new", "w") as file:
                for number in range(count):
                    body = f'{{"id":"{number:012d}","pad":"{pad}"}}'
                    signature = hmac.new(SECRET.encode(), body.encode(), hashlib.sha256).hexdigest()
                    file.write(f"{uuid.uuid4()}\tsha256={signature}\t{body}\n")
            os.rename(path + ".new", path)
        return path

    def count(self, body_bytes):
        """Requests in the file."""
        return max(200, min(50_000, SIGNED_BYTES_MAX // (body_bytes + 200)))

    def environment(self, body_bytes, path, repeats=False):
        """A range of passes of its own for each run of wrk; with `repeats` the last run's first pass again."""
        self.passes += not repeats
        return {
            **os.environ,
            **({"REPEAT": "1"} if repeats else {}),
            "SIGNED": self.file(body_bytes),
            "TARGET": path,
            "PASS": str(self.passes << 12),
        }


def micros(text):
    found = re.match(r"([\d.]+)(us|ms|s|m)$", text)
    return float(found[1]) * UNITS[found[2]]


def drive_wrk(signed, url, connections, seconds, body=1024, cpu=LOAD_CPU, timeout=30, repeats=False):
    """A closed loop. Sub-second durations are rounded up to one second, which is wrk's least."""
    seconds = max(1, round(seconds))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", f"--timeout={timeout}s"]
    command += ["-s", os.path.join(HERE, "signed.lua"), url]
    path = "/" + url.split("/", 3)[3]
    environment = signed.environment(body, path, repeats)
    run = subprocess.run(pinned(cpu, command), capture_output=True, text=True, env=environment)
    if run.returncode != 0:
        raise RuntimeError(f"wrk: {run.stdout[-300:]}{run.stderr[-300:]}")
    return wrk_summary(run.stdout, seconds)


def wrk_summary(text, seconds):
    """What wrk printed, under `sluice load --json`'s keys."""
    answered = int(re.search(r"(\d+) requests in", text)[1])
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    lost = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    refused = int(bad[1]) if bad else 0

    def percentile(name):
        found = re.search(rf"(?m)^\s+{name}%\s+(\S+)", text)
        return micros(found[1]) if found else None

    spread = re.search(r"(?m)^\s+Latency\s+(\S+)\s+(\S+)\s+(\S+)", text)
    latency = {"p50": percentile("50"), "p90": percentile("90"), "p99": percentile("99")}
    latency.update({"mean": micros(spread[1]), "max": micros(spread[3])} if spread else {})
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    return {
        "generator_name": "wrk",
        "loop": "closed",
        "answered": answered,
        "accepted": answered - refused,
        "refused": refused,
        "failed": sum(int(part) for part in lost.groups()) if lost else 0,
        "answeredPerSecond": rate,
        "acceptedPerSecond": rate * (answered - refused) / max(answered, 1),
        "latency": latency,
        "measuredSeconds": answered / rate if rate else seconds,
    }


SEEDS = itertools.count(int(time.time()) << 16)


# How requests to a URL are made, where not as GitHub's.
SPOKEN = {}


def closed_load(url, connections, body, duration):
    """`sluice load` in a closed loop with a seed of its own, so that no request comes twice."""
    command = [BINARY, "load", "--url", url, "--closed", "--connections", connections, "--duration", duration]
    command += ["--warmup", "0s", "--timeout", "30s", *SPOKEN.get(url, ["--provider", "github"])]
    command += ["--secret", SECRET, "--size", body]
    return [str(part) for part in [*command, "--seed", next(SEEDS), "--json"]]


class StoppedLoad:
    """A closed loop of `sluice load` that runs only inside `slice`: between its slices it is stopped, and its server
    idle."""

    def __init__(self, server, connections, body, cpu=LOAD_CPU):
        command = closed_load(server.url, connections, body, "1h")
        self.process = subprocess.Popen(
            pinned(cpu, command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.process.send_signal(signal.SIGSTOP)
        self.active = 0.0

    def slice(self, seconds):
        started = time.monotonic()
        self.process.send_signal(signal.SIGCONT)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGSTOP)
        self.active += time.monotonic() - started

    def finish(self):
        """Its summary; `answeredPerSecond` counts the time of its slices alone."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGINT)
        out, errors = self.process.communicate(timeout=60)
        self.active += time.monotonic() - started
        try:
            done = json.loads(out)
        except json.JSONDecodeError:
            raise RuntimeError(f"sluice load: {(out + errors)[-400:]}") from None
        return {**done, "answeredPerSecond": done["answered"] / self.active}

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def drive_closed(url, connections, seconds, body):
    return summary_of(closed_load(url, connections, body, f"{seconds}s"), LOAD_CPU, seconds + 120)


def drive_load(url, arguments, cpu=LOAD_CPU, timeout=600):
    """`sluice load` with these arguments; its summary as it is."""
    return summary_of([BINARY, "load", "--url", url, *map(str, arguments), "--json"], cpu, timeout)


def summary_of(command, cpu, timeout):
    run = subprocess.run(pinned(cpu, command), capture_output=True, text=True, timeout=timeout)
    try:
        return {"generator_name": "sluice load", **json.loads(run.stdout)}
    except json.JSONDecodeError:
        raise RuntimeError(f"sluice load: status {run.returncode}: {(run.stdout + run.stderr)[-400:]}") from None
