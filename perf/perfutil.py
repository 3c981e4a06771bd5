"""What the measurements share: the test utilities' gateway, wrk with unique bodies, processors to pin to."""

import datetime
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "Tests", "Conformance", "support"))

from serverutil import BINARY  # noqa: E402


def commit():
    """Of the tree, with a `+` when it has changes of its own."""
    git = ["git", "-C", ROOT]
    head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True).stdout.strip()
    changes = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True).stdout.strip()
    return (head or "unknown") + ("+" if changes else "")


def machine():
    """What `sluice gate` says of this machine: its shape, kernel and libraries."""
    return json.loads(subprocess.run([BINARY, "gate", "machine", "--json"], capture_output=True, check=True).stdout)


def stamp():
    """Now, as result files have it."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def shape_name(machine):
    """A machine's shape as a part of file names."""
    text = f"{machine['architecture']}-{machine['processor']}-{machine['processorCount']}cpu"
    return re.sub(r"[^a-z0-9.]+", "-", text.lower())


UNIQUE = """-- A body of its own for each request, as long as BODY says.
local n, run, text, size = 0, os.getenv("RUN"), os.getenv("PAD"), tonumber(os.getenv("BODY")) - 40
local pad = string.rep(text, math.ceil(size / #text)):sub(1, size)
function request()
  n = n + 1
  return wrk.format("POST", nil, nil, string.format('{"id":"%s-%014d","pad":"%s"}', run, n, pad))
end
"""


def fill(gateway, seconds, path="/in/test", body=1024, connections=64, cpu="1", run="a", pad="x"):
    """Posts unique events with wrk; returns (requests, requests a second). Nothing but 2xx is tolerated. `pad` is what
    their bodies are filled up with, without quotes."""
    script = os.path.join(gateway.folder, "unique.lua")
    with open(script, "w") as file:
        file.write(UNIQUE)
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "-s",
        script,
        f"http://127.0.0.1:{gateway.port}{path}",
    ]
    environment = {**os.environ, "BODY": str(body), "RUN": run, "PAD": pad}
    done = subprocess.run(pinned(cpu, command), capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and "Non-2xx" not in done.stdout, done.stdout + done.stderr
    count = int(re.search(r"(\d+) requests in", done.stdout)[1])
    return count, float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1])


def pinned(cpu, command):
    return ["taskset", "-c", cpu, *command] if os.cpu_count() > 1 else command
