"""The scenario of publishing: events put into the log through the API's HTTP, beside the same of a provider on the
ingest port of the same gateway, in turns. The gateway is on one processor, the load on the other."""

import os
import statistics
import subprocess

import driver
from perfutil import HERE, pinned
from serverutil import platform_key
from servers import Sluice

WANTED_PER_SECOND = 20_000


def drive(server, connections, seconds, body, turn, with_ids):
    admin = server.gateway.admin_port
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout=30s"]
    command += ["-s", os.path.join(HERE, "publish.lua"), f"http://127.0.0.1:{admin}/api/v1/events"]
    environment = {**os.environ, "KEY": platform_key(admin), "BODY": str(body), "PASS": str(turn)}
    if with_ids:
        environment["IDS"] = "1"
    used = server.cpu_nanos()
    done = subprocess.run(pinned(driver.LOAD_CPU, command), capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise RuntimeError(f"wrk: {done.stdout[-300:]}{done.stderr[-300:]}")
    said = driver.wrk_summary(done.stdout, seconds)
    said["cpu"] = (server.cpu_nanos() - used) / 1e3 / max(said["answered"], 1)
    return said


def publish(what, outcome, scale):
    seconds = max(1, round(what["seconds"] * scale))
    rounds = max(1, round(what["rounds"] * scale))
    signed = driver.SignedRequests()
    with Sluice() as server:
        for connections in what["connections"]:
            done = {"plain": [], "with_ids": [], "provider": []}
            for turn in range(rounds):
                for name, with_ids in (("plain", False), ("with_ids", True)):
                    place = connections * 1000 + turn
                    done[name].append(drive(server, connections, seconds, what["body"], place, with_ids))
                done["provider"].append(driver.drive_wrk(signed, server.url, connections, seconds, what["body"]))
            case = f"{connections}x{what['body']}"
            for name, said in done.items():
                outcome.figure(f"{case}.{name}.rate", statistics.median(one["answeredPerSecond"] for one in said), 0)
                outcome.figure(f"{case}.{name}.p99", statistics.median(one["latency"]["p99"] for one in said), 0)
                if name != "provider":
                    outcome.figure(f"{case}.{name}.cpu", statistics.median(one["cpu"] for one in said), 2)
                refused = sum(one["refused"] + one["failed"] for one in said)
                outcome.check(f"{case}: of {name}, every answer an event on disk, none refused", refused == 0)
            rate = statistics.median(one["answeredPerSecond"] for one in done["plain"])
            outcome.check(f"{case}: at least {WANTED_PER_SECOND} published events a second", rate >= WANTED_PER_SECOND)


KINDS = {"publish": (publish, {"connections": [64, 256], "body": 1024, "seconds": 4, "rounds": 3})}
