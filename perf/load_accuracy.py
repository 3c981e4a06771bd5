#!/usr/bin/env python3
"""Is what `sluice load` says true? Against servers whose delay is known, a stall, and `wrk`; prints JSON.

The server of known delay waits with a timer for each request and answers when it is over; what the reported percentile
has more than the delay is the machine and the generator. The limit probe (first argument: its binary) is for the speed.
"""

import asyncio
import json
import os
import random
import re
import resource
import subprocess
import sys
import threading

from perfutil import HERE, pinned

BINARY = os.environ.get("SLUICE_BIN") or os.path.join(os.path.dirname(HERE), ".build", "release", "sluice")
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Delayed(asyncio.Protocol):
    """Answers each request after `delay()` seconds, measured from when its last byte came."""

    delay = staticmethod(lambda: 0.0)

    def connection_made(self, transport):
        self.transport, self.buffer = transport, b""

    def data_received(self, data):
        self.buffer += data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = int(re.search(rb"(?i)content-length: (\d+)", self.buffer[:head])[1])
        if len(self.buffer) >= head + 4 + length:
            self.buffer = b""
            asyncio.get_running_loop().call_later(self.delay(), self.transport.write, ANSWER)


class Server:
    def __init__(self, delay):
        self.ready = threading.Event()
        self.protocol = type("OwnDelay", (Delayed,), {"delay": staticmethod(delay)})
        self.thread = threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True)
        self.thread.start()
        self.ready.wait()

    async def serve(self):
        self.loop, self.done = asyncio.get_running_loop(), asyncio.Event()
        server = await self.loop.create_server(self.protocol, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        await self.done.wait()
        server.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.done.set)
        self.thread.join()


def load(port, *options):
    traffic = ["--url", f"http://127.0.0.1:{port}/x", "--provider", "github", "--secret", "s"]
    command = [BINARY, "load", "--json", *traffic, *options]
    done = subprocess.run(pinned("1", command), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def compare(name, wanted, summary):
    """`wanted`: seconds by percentile name."""
    row = {"name": name, "percentiles": {}}
    for key, seconds in wanted.items():
        got = summary["latency"][key] / 1e6
        off = round(100 * (got / seconds - 1), 2)
        row["percentiles"][key] = {"wanted": seconds, "reported": got, "offPercent": off}
    row["right"] = all(abs(one["offPercent"]) <= 2 for one in row["percentiles"].values())
    return row


def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    os.sched_setaffinity(0, {0})
    rows = []
    with Server(lambda: 0.1) as server:
        summary = load(server.port, "--rate", "200", "--connections", "64", "--duration", "8s")
        rows.append(compare("fixed 100 ms", {"p50": 0.1, "p90": 0.1, "p99": 0.1}, summary))
    with Server(lambda: 0.2 if random.random() < 0.2 else 0.05) as server:
        summary = load(server.port, "--rate", "200", "--connections", "64", "--duration", "8s")
        wanted = {"p50": 0.05, "p75": 0.05, "p90": 0.2, "p99": 0.2}
        rows.append(compare("bimodal 50 ms, 200 ms in a fifth", wanted, summary))
    sink = subprocess.Popen(
        pinned("0", [BINARY, "sink", "--listen", "127.0.0.1:0", "--stall", "1s@4s"]), stderr=subprocess.PIPE, text=True
    )
    port = int(re.search(r":(\d+)", sink.stderr.readline().split("//")[1])[1])
    summary = load(port, "--rate", "500", "--connections", "16", "--duration", "8s", "--warmup", "1s")
    sink.terminate()
    sink.wait()
    # Of a second's 500 arrivals each waits for what is left of the second: the longest all of it, their mean half.
    rows.append(
        {
            "name": "stall of 1 s",
            "maxSeconds": summary["latency"]["max"] / 1e6,
            "queued": summary["queued"],
            "latencyP95": summary["latency"]["p95"] / 1e6,
            "serviceP95": summary["service"]["p95"] / 1e6,
        }
    )
    if len(sys.argv) > 1:
        rows.append(speed(sys.argv[1]))
    print(json.dumps(rows, indent=2))


def speed(probe):
    """Closed loop against the limit probe, in turns with wrk at the same settings."""
    port = 19573
    server = subprocess.Popen(pinned("0", [probe, str(port), "none"]))
    script = os.path.join(HERE, "results", "post.lua")
    os.makedirs(os.path.dirname(script), exist_ok=True)
    with open(script, "w") as file:
        file.write('wrk.method = "POST"\nwrk.body = string.rep("x", 512)\n')
    ours, theirs = [], []
    try:
        for _ in range(5):
            summary = load(port, "--closed", "--connections", "64", "--duration", "3s", "--warmup", "500ms")
            cost = summary["generator"]["cpuMicrosARequest"]
            ours.append({"perSecond": summary["answeredPerSecond"], "cpuMicros": cost})
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            command = ["wrk", "-t1", "-c64", "-d3s", "-s", script, f"http://127.0.0.1:{port}/x"]
            out = subprocess.run(pinned("1", command), capture_output=True, text=True).stdout
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            count = int(re.search(r"(\d+) requests in", out)[1])
            theirs.append(
                {"perSecond": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), "cpuMicros": used * 1e6 / count}
            )
    finally:
        server.kill()
        server.wait()
        os.remove(script)
    return {"name": "closed loop, 64 connections, the limit probe", "sluice": ours, "wrk": theirs}


if __name__ == "__main__":
    main()
