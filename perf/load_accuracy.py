#!/usr/bin/env python3
"""Is what `sluice load` says true? Against servers whose delay is known, a stall, and `wrk`; and how fast is it against
the limit probe? Prints JSON; two minutes.

  perf/load_accuracy.py                                            looks
  perf/load_accuracy.py --result perf/results/load-accuracy.json   and keeps it for perf/publish

What a reported percentile has more than the server's delay is the machine and the generator: on a machine that has
other work run it as `chrt -f 10 perf/load_accuracy.py`. Exit status: 0; 1 when something is off by more than it may.
"""

import heapq
import json
import os
import random
import re
import resource
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from perfutil import commit, machine, pinned, stamp
from report import arguments
from serverutil import BINARY
from servers import probe

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Server:
    """Answers each request `delay()` seconds after its last byte came. It sleeps until 2 ms before the next answer is
    due and then looks without sleeping, so that its own error is some ten microseconds."""

    SPIN_SECONDS = 0.002

    def __init__(self, delay):
        self.delay, self.stopped = delay, False
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        epoll, peers, due, number = select.epoll(), {}, [], 0
        epoll.register(self.listener, select.EPOLLIN)
        while not self.stopped:
            left = due[0][0] - time.monotonic() - self.SPIN_SECONDS if due else 0.1
            for descriptor, _ in epoll.poll(max(0, min(left, 0.1))):
                if descriptor == self.listener.fileno():
                    peer, _ = self.listener.accept()
                    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    peers[peer.fileno()] = [peer, b""]
                    epoll.register(peer, select.EPOLLIN)
                elif self.take(peers[descriptor]):
                    number += 1
                    heapq.heappush(due, (time.monotonic() + self.delay(), number, descriptor))
                elif not peers[descriptor][1]:
                    epoll.unregister(descriptor)
                    peers.pop(descriptor)[0].close()
            while due and due[0][0] <= time.monotonic():
                entry = peers.get(heapq.heappop(due)[2])
                if entry:
                    entry[0].sendall(ANSWER)
        self.listener.close()

    @staticmethod
    def take(entry):
        """True when a request is complete; the buffer is empty after the end of the connection."""
        try:
            data = entry[0].recv(1 << 16)
        except ConnectionError:
            data = b""
        entry[1] = entry[1] + data if data else b""
        head = entry[1].find(b"\r\n\r\n")
        if head < 0:
            return False
        if len(entry[1]) < head + 4 + int(re.search(rb"(?i)content-length: (\d+)", entry[1][:head])[1]):
            return False
        entry[1] = b""
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopped = True
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
    row["isRight"] = all(abs(one["offPercent"]) <= 2 for one in row["percentiles"].values())
    return row


def stall():
    """A second without answers in a sink that else answers at once."""
    sink = subprocess.Popen(
        pinned("0", [BINARY, "sink", "--listen", "127.0.0.1:0", "--stall", "1s@4s"]),
        stderr=subprocess.PIPE,
        text=True,
    )
    port = int(re.search(r":(\d+)", sink.stderr.readline().split("//")[1])[1])
    summary = load(port, "--rate", "500", "--connections", "16", "--duration", "8s", "--warmup", "1s")
    sink.terminate()
    sink.wait()
    # Of a second's 500 arrivals each waits for what is left of the second: the longest all of it, their mean half.
    longest = summary["latency"]["max"] / 1e6
    return {
        "name": "stall of 1 s",
        "maxSeconds": longest,
        "queued": summary["queued"],
        "latencyP95": summary["latency"]["p95"] / 1e6,
        "serviceP95": summary["service"]["p95"] / 1e6,
        "isRight": abs(longest - 1) <= 0.02,
    }


def main():
    options = arguments(__doc__, result="")
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
    rows.append(stall())
    with Server(lambda: 0.02) as server:
        rows.append(beside_wrk(server.port))
    rows.append(speed())
    value = {
        "format": "sluice-load-accuracy",
        "version": 1,
        "command": "perf/load_accuracy.py",
        "commit": commit(),
        "date": stamp(),
        "machine": machine(),
        "rows": rows,
    }
    print(json.dumps(value, indent=1))
    if options.result:
        with open(options.result, "w") as file:
            json.dump(value, file, indent=1)
            file.write("\n")
    return 0 if all(row.get("isRight", True) for row in rows) else 1


def wrk(port, connections, seconds):
    """(requests a second, p50 and p99 in seconds, microseconds of processor time a request)."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write('wrk.method = "POST"\nwrk.body = string.rep("x", 512)\n')
        script.flush()
        url = f"http://127.0.0.1:{port}/x"
        command = ["wrk", "--latency", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script.name, url]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        out = subprocess.run(pinned("1", command), capture_output=True, text=True).stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    count = int(re.search(r"(\d+) requests in", out)[1])
    units = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
    at = {}
    for share in ("50", "99"):
        found = re.search(rf"{share}%\s+([\d.]+)(us|ms|s)", out)
        at["p" + share] = float(found[1]) * units[found[2]]
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])
    return {"perSecond": rate, **at, "cpuMicros": round(used * 1e6 / count, 2)}


def closed(port, connections, seconds):
    options = ["--connections", str(connections), "--duration", f"{seconds}s", "--warmup", "500ms"]
    summary = load(port, "--closed", *options)
    return {
        "perSecond": summary["answeredPerSecond"],
        "p50": summary["latency"]["p50"] / 1e6,
        "p99": summary["latency"]["p99"] / 1e6,
        "cpuMicros": round(summary["generator"]["cpuMicrosARequest"], 2),
    }


def medians(taken):
    return {key: statistics.median(one[key] for one in taken) for key in taken[0]}


def beside_wrk(port):
    """A closed loop whose rate the server decides: 32 connections, 20 ms each; in turns, medians of five."""
    taken = [(wrk(port, 32, 3), closed(port, 32, 3)) for _ in range(5)]
    theirs, ours = medians([one[0] for one in taken]), medians([one[1] for one in taken])
    off = {key: round(100 * (ours[key] / theirs[key] - 1), 2) for key in ("perSecond", "p50", "p99")}
    is_right = all(abs(value) <= 5 for value in off.values())
    return {"name": "closed loop beside wrk", "sluice": ours, "wrk": theirs, "offPercent": off, "isRight": is_right}


def speed():
    """Closed loop against the limit probe, in turns with wrk at the same settings; medians of five."""
    with probe("answer") as server:
        taken = [(closed(server.port, 64, 3), wrk(server.port, 64, 3)) for _ in range(5)]
    row = {"name": "closed loop, 64 connections, the limit probe answering at once"}
    return {**row, "sluice": medians([one[0] for one in taken]), "wrk": medians([one[1] for one in taken])}


if __name__ == "__main__":
    sys.exit(main())
