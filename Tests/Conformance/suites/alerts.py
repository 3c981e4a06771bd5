#!/usr/bin/env python3
"""The contract's alerts (docs/monitoring/contract-alerts.yaml) over a real gateway: each one's cause is made, and it
fires while that lasts and resolves when it is over. A real Prometheus scrapes `/metrics` as docs/monitoring/README.md
has it, with the rules' times 200 times shorter; the rules as they are judge the same scrapes afterwards, spread out in
time, by `promtool test rules`. `promtool` reads rules and metric names.

Without Prometheus (scripts/setup.sh unpacks Debian's package beside the tree) it is skipped by name."""

import itertools
import json
import os
import re
import subprocess
import tempfile
import threading
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
from contractclient import Edge
from prometheus import Prometheus, tool
from receiver import Receiver
from report import Report, Skip, arguments, one_line, wait_until
from serverutil import ROOT, Gateway, open_source, parse_metrics, request

MONITORING = os.path.join(ROOT, "docs", "monitoring")
RULES = os.path.join(MONITORING, "contract-alerts.yaml")
ALERTS = ("HighErrorRate", "WebhookDLQSize", "SignatureFailures", "DeliveryLatencyP95")
FASTER = 200
# What Prometheus scrapes by default every 15 s.
SCRAPE_SECONDS = 15 / FASTER
# More than the alert's 5 s; attempts may take longer. Such attempts begin for so long: more than the alert waits.
SLOW_SECONDS, SLOW_FOR_SECONDS = 5.2, 5
# The names that the rules are over.
WATCHED = re.compile(
    r"(http_requests_total|webhook_signature_failures_total|dlq_size|delivery_latency_seconds_bucket)(\{|$)")
# Each has so many attempts at a time, and one begins every tenth of a second.
SLOW_ENTRIES = 8


def quicker(text):
    """Rules whose spans are so many times shorter."""
    return re.sub(r"(\[|for: )(\d+)m\b", lambda found: f"{found[1]}{int(found[2]) * 60_000 // FASTER}ms", text)


class Scrapes:
    """What `/metrics` says, at the pace at which Prometheus asks for it; and when what fired, counted in scrapes."""

    def __init__(self, gateway, prometheus):
        self.gateway, self.prometheus = gateway, prometheus
        self.taken, self.fired = [], []
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        began = time.monotonic()
        while not self.is_over.wait(max(0, began + len(self.taken) * SCRAPE_SECONDS - time.monotonic())):
            text = request(self.gateway.admin_port, "/metrics")[2].decode()
            self.fired.append(self.prometheus.firing())
            self.taken.append({name: value for name, value in parse_metrics(text).items() if WATCHED.match(name)})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.is_over.set()
        self.thread.join()

    def judged_by(self, folder):
        """What promtool says of these scrapes, 15 s apart, under the rules as they are: each alert fires once, in the
        midst of the time in which it fired, and none at the end."""
        series = []
        for name in sorted({name for scrape in self.taken for name in scrape}):
            values = " ".join(str(scrape.get(name, "_")) for scrape in self.taken)
            labelled = name.replace("{", '{instance="gateway",', 1) if "{" in name else name + '{instance="gateway"}'
            series.append({"series": labelled, "values": values})
        checks = []
        for alert in ALERTS:
            places = [place for place, fired in enumerate(self.fired) if alert in fired]
            for place, count in ((places[len(places) // 2], 1), (len(self.taken) - 1, 0)):
                labels = f'{{alertname="{alert}"}}'
                checks.append({
                    "expr": f'count by (alertname) (ALERTS{{alertname="{alert}", alertstate="firing"}})',
                    "eval_time": f"{15 * place}s",
                    "exp_samples": [{"labels": labels, "value": 1}] if count else [],
                })
        test = {"interval": "15s", "input_series": series, "promql_expr_test": checks}
        path = os.path.join(folder, "test.yaml")
        with open(path, "w") as file:
            json.dump({"rule_files": [RULES], "evaluation_interval": "15s", "tests": [test]}, file)
        done = subprocess.run([tool("promtool"), "test", "rules", path], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, one_line(done.stdout + done.stderr, 1200)
        return len(self.taken)


class Targets:
    """Where the entries' deliveries go; what each answers may change."""

    def __init__(self):
        self.is_mended = False
        self.receiver = Receiver(self.answer)

    def answer(self, delivery, number):
        if delivery.path.endswith("/slow") and not self.is_mended:
            time.sleep(SLOW_SECONDS)
        return 400 if delivery.path.endswith("/dead") and not self.is_mended else 204


class Ballast:
    """A file that leaves less free on the disk than the gateway wants, as long as it is there."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "ballast")
        about = os.statvfs(folder)
        free = about.f_bavail * about.f_frsize
        # Others write here meanwhile: half of it is room for them.
        self.size = min(4 << 30, free // 2)
        self.free_space = free - self.size // 2

    def load(self):
        done = subprocess.run(["fallocate", "-l", str(self.size), self.path], capture_output=True, text=True)
        if done.returncode != 0:
            raise Skip(f"no room can be taken from the disk: {one_line(done.stderr)}")

    def drop(self):
        if os.path.exists(self.path):
            os.remove(self.path)


class Causes:
    def __init__(self, gateway, targets, ballast):
        self.gateway, self.targets, self.ballast = gateway, targets, ballast
        self.edge = Edge(gateway)
        self.edge.register(f"{targets.receiver.url}/dead", "dead.*")
        for number in range(SLOW_ENTRIES):
            self.edge.register(f"{targets.receiver.url}/slow", f"slow.{number}")
        self.slow = itertools.cycle([self.edge.event(f"slow.{number}") for number in range(SLOW_ENTRIES)])
        self.ended = {name: threading.Event() for name in ("slow", "unsigned", "errors")}
        self.threads = []

    def go_on(self, name, work, every):
        def run():
            while not self.ended[name].wait(every):
                work()

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def slowness(self):
        end = time.monotonic() + SLOW_FOR_SECONDS

        def one():
            if time.monotonic() < end:
                self.edge.ingest(next(self.slow))

        self.go_on("slow", one, 0.1)
        return end

    def dead_letters(self, count):
        for _ in range(count):
            self.edge.ingest(self.edge.event("dead.one"))

    def bad_signatures(self):
        bad = {"X-Signature": "0" * 64}
        self.go_on("unsigned", lambda: self.edge.ingest(self.edge.event("none"), wanted=(401,), **bad), 0.1)

    def errors(self):
        """The disk has no room for another segment; what fills those that there are is taken still."""
        self.ballast.load()
        event = self.edge.event("none", payload={"pad": "x" * (200 << 10)})
        self.go_on("errors", lambda: self.edge.ingest(event, wanted=(202, 503)), 0.02)

    def end(self):
        """All of them; what they left behind is mended as an operator would."""
        for event in self.ended.values():
            event.set()
        self.targets.is_mended = True
        self.ballast.drop()
        for thread in self.threads:
            thread.join()
        wait_until(self.gateway.is_ready, 30, "a gateway that takes events again")
        while self.edge.deliveries("?status=dlq&limit=1"):
            order = {"error_class": "validation", "reason": "the target is mended"}
            self.edge.call("POST", "/dlq/replay", order)
            time.sleep(0.1)
        # Quick ones; the alert on latency looks at what there was.
        for _ in range(10):
            self.edge.ingest(next(self.slow))


def alerts(report, folder):
    targets, ballast = Targets(), Ballast(folder)
    log = {"segment": "1MiB", "group": "512KiB", "free_space": ballast.free_space}
    keys = {"contract": {"rate_capacity": 100_000, "rate_refill": 10_000}, "limits": {"body": "256KiB"}}
    keys["delivery"] = {"allow": ["127.0.0.0/8"]}
    with targets.receiver, Gateway([open_source()], folder=folder, log=log, **keys) as gateway:
        causes = Causes(gateway, targets, ballast)
        with report.case("promtool has nothing to say against rules and names"):
            check = [tool("promtool"), "check"]
            for name in ("alerts.yaml", "contract-alerts.yaml"):
                path = os.path.join(MONITORING, name)
                done = subprocess.run([*check, "rules", path], capture_output=True, text=True)
                assert done.returncode == 0, one_line(done.stdout + done.stderr, 600)
            text = request(gateway.admin_port, "/metrics")[2]
            done = subprocess.run([*check, "metrics"], input=text, capture_output=True)
            assert done.returncode == 0 and not done.stderr, one_line((done.stdout + done.stderr).decode(), 600)
        scrapes = None
        with report.case("each alert of the contract fires while its cause lasts, and no longer") as notes:
            key = causes.edge.platform("POST", "/keys", {"role": "viewer", "tenant_id": "*"})["token"]
            with open(RULES) as file:
                rules = quicker(file.read())
            server = Prometheus(folder, gateway.admin_port, key, rules, SCRAPE_SECONDS)
            with server as prometheus, Scrapes(gateway, prometheus) as scrapes:
                try:
                    watch(causes, prometheus)
                finally:
                    causes.end()
                seen = lambda: f"{prometheus.states()}"  # noqa: E731
                wait_until(lambda: not prometheus.firing(), 30, seen)
                time.sleep(2 * SCRAPE_SECONDS)
            notes.append(f"{len(scrapes.taken)} scrapes")
        with report.case("so say the rules as they are of the same scrapes, 15 s apart"):
            if scrapes is None or not all(any(name in fired for fired in scrapes.fired) for name in ALERTS):
                raise Skip("there is nothing to judge")
            scrapes.judged_by(folder)


def watch(causes, prometheus):
    """Makes the causes; each alert fires, and only after its cause."""
    assert set(prometheus.states()) == set(ALERTS) and not prometheus.firing(), prometheus.states()
    slow_until = causes.slowness()
    causes.dead_letters(101)
    causes.bad_signatures()
    for name in ("SignatureFailures", "WebhookDLQSize"):
        wait_until(lambda name=name: name in prometheus.firing(), 30, lambda: f"{prometheus.states()}")
    assert "HighErrorRate" not in prometheus.firing(), "nothing was answered with 5xx yet"
    time.sleep(max(0, slow_until - time.monotonic()))
    causes.errors()
    wanted, fired = {"HighErrorRate", "DeliveryLatencyP95"}, set()
    wait_until(
        lambda: fired.update(prometheus.firing()) or wanted <= fired, 40, lambda: f"{prometheus.states()}")


def main():
    arguments(__doc__)
    report = Report("alerts")
    with tempfile.TemporaryDirectory(prefix="sluice-alerts-") as folder:
        alerts(report, folder)
    report.finish()


if __name__ == "__main__":
    main()
