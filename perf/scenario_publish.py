"""The scenario of publishing: events put into the log through the API's HTTP, by the control listener and by the ingest
port, beside the same of a provider on the ingest port of the same gateway, in turns. The gateway is on one processor,
the load on the other."""

import json
import os
import statistics
import subprocess

import driver
from perfutil import HERE, pinned
from serverutil import platform_key, request
from servers import Sluice

WANTED_PER_SECOND = 20_000
# Of a provider's rate on the same port.
WANTED_OF_PROVIDER = 0.9
EVENTS = "/api/v1/events"


class Way:
    """One way of publishing: its port, its path, and what `publish.lua` is told."""

    def __init__(self, name, on_ingest=False, message=False, ids=False):
        self.name, self.on_ingest = name, on_ingest
        self.message, self.ids = message, ids

    def drive(self, server, application, connections, seconds, body, turn):
        port = server.gateway.port if self.on_ingest else server.gateway.admin_port
        path = f"/api/v1/app/{application}/msg" if self.message else EVENTS
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout=30s"]
        command += ["-s", os.path.join(HERE, "publish.lua"), f"http://127.0.0.1:{port}{path}"]
        environment = {**os.environ, "BODY": str(body), "PASS": f"{self.name}-{turn}"}
        environment["KEY"] = platform_key(server.gateway.admin_port)
        environment.update({"IDS": "1"} if self.ids else {})
        environment.update({"MESSAGE": "1"} if self.message else {})
        done = subprocess.run(pinned(driver.LOAD_CPU, command), capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            raise RuntimeError(f"wrk: {done.stdout[-300:]}{done.stderr[-300:]}")
        return driver.wrk_summary(done.stdout, seconds)


WAYS = (
    Way("plain"),
    Way("with_ids", ids=True),
    Way("ingest", on_ingest=True),
    Way("ingest_ids", on_ingest=True, ids=True),
    Way("ingest_messages", on_ingest=True, message=True, ids=True),
)


def measured(server, drive):
    used = server.cpu_nanos()
    said = drive()
    said["cpu"] = (server.cpu_nanos() - used) / 1e3 / max(said["answered"], 1)
    return said


def application(server):
    body = json.dumps({"name": "perf", "uid": "perf"})
    fields = {"X-Sluice-Request": "1", "Content-Type": "application/json"}
    status, _, text = request(server.gateway.admin_port, "/api/v1/app", body, fields, "POST")
    assert status == 201, text
    return json.loads(text)["id"]


def publish(what, outcome, scale):
    seconds = max(1, round(what["seconds"] * scale))
    rounds = max(1, round(what["rounds"] * scale))
    signed = driver.SignedRequests()
    with Sluice(publish=True) as server:
        app = application(server)
        for connections in what["connections"]:
            done = {name: [] for name in [way.name for way in WAYS] + ["provider"]}
            for turn in range(rounds):
                place = connections * 1000 + turn
                for way in WAYS:
                    done[way.name].append(
                        measured(server, lambda: way.drive(server, app, connections, seconds, what["body"], place)))
                done["provider"].append(
                    measured(
                        server,
                        lambda: driver.drive_wrk(signed, server.url, connections, seconds, what["body"])))
            conclude(outcome, f"{connections}x{what['body']}", done)


def conclude(outcome, case, done):
    rates = {}
    for name, said in done.items():
        rates[name] = statistics.median(one["answeredPerSecond"] for one in said)
        outcome.figure(f"{case}.{name}.rate", rates[name], 0)
        outcome.figure(f"{case}.{name}.p99", statistics.median(one["latency"]["p99"] for one in said), 0)
        outcome.figure(f"{case}.{name}.cpu", statistics.median(one["cpu"] for one in said), 2)
        refused = sum(one["refused"] + one["failed"] for one in said)
        outcome.check(f"{case}: of {name}, every answer an event on disk, none refused", refused == 0)
    for name in ("ingest", "ingest_messages"):
        outcome.figure(f"{case}.{name}.of_provider", rates[name] / max(rates["provider"], 1), 3)
        outcome.check(
            f"{case}: at least {WANTED_PER_SECOND} published events a second, {name}",
            rates[name] >= WANTED_PER_SECOND)
    outcome.check(
        f"{case}: on the ingest port at least {WANTED_OF_PROVIDER} of a provider's rate",
        rates["ingest"] >= WANTED_OF_PROVIDER * rates["provider"])


KINDS = {"publish": (publish, {"connections": [64, 256], "body": 1024, "seconds": 4, "rounds": 3})}
