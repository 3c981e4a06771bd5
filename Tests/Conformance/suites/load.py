#!/usr/bin/env python3
"""`sluice load` and a bad `sluice sink`, from outside: outcomes, proofs, messages. Small sizes; what depends on the
machine's speed is measured by perf/load_accuracy.py, not here."""

import http.client
import json
import os
import re
import signal
import subprocess
import tempfile
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
from report import Report, arguments, wait_until
from serverutil import BINARY, ROOT, Gateway, die_with_parent, endpoint, free_port, github_source, sluice

SINK_SECRET = "whsec_" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
MIX = os.path.join(ROOT, "perf", "mixes", "providers.yaml")
PROVIDERS = ["zoom", "fireflies", "otter", "github", "stripe", "slack"]


class Sink:
    """One `sluice sink`; leaving it stops it and has its summary."""

    def __init__(self, *options):
        self.folder = tempfile.TemporaryDirectory(prefix="sluice-load-")
        self.ledger = os.path.join(self.folder.name, "ledger")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/hook"
        command = [BINARY, "sink", "--listen", f"127.0.0.1:{self.port}", "--ledger", self.ledger, "--json", *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent
        )
        self.process.stderr.readline()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.summary = json.loads(self.process.communicate(timeout=20)[0] or "{}")
        finally:
            self.process.kill()
            self.folder.cleanup()


def start(*options):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([BINARY, "load", *options], preexec_fn=die_with_parent, **pipes)


def load(*options, timeout=90):
    """(status, summary or None, what it said)."""
    process = start(*options)
    out, error = process.communicate(timeout=timeout)
    summary = json.loads(out) if out.startswith("{") else None
    return process.returncode, summary, out + error


def github(url, *options, secret="test-secret"):
    return ["--url", url, "--provider", "github", "--secret", secret, "--warmup", "0s", "--json", *options]


def accounts(summary):
    """Every request has one end, and the breakdowns say the same as the totals."""
    assert summary["sent"] == summary["answered"] + summary["failed"], summary
    for part in ("kinds", "entries"):
        for key in ("sent", "accepted", "failed"):
            assert sum(one[key] for one in summary[part].values()) == summary[key], (part, key, summary)
    assert sum(summary["statuses"].values()) == summary["answered"], summary


def words(report):
    nothing = f"http://127.0.0.1:{free_port()}/x"
    folder = tempfile.TemporaryDirectory(prefix="sluice-load-")
    bad_mix = os.path.join(folder.name, "mix.yaml")
    with open(bad_mix, "w") as file:
        file.write("traffic:\n  - provider: github\n    sise: 5\n")
    cases = [
        ("a refused connection", github(nothing, "--duration", "1s"), 1, "refused"),
        ("an address of others", github("http://8.8.8.8/x"), 2, "--i-own-this-target"),
        ("https", github("https://127.0.0.1/x"), 2, "https"),
        ("an unknown provider", ["--url", nothing, "--provider", "githup", "--secret", "s"], 2, "github"),
        ("a bad profile", github(nothing, "--profile", "saw:1-2"), 2, "sine:"),
        ("closed and a rate", github(nothing, "--closed", "--rate", "5"), 2, "--closed"),
        ("an unknown key in a mix", ["--url", nothing, "--mix", bad_mix], 2, "line 3: unknown key `sise`"),
        ("a mix that is not there", ["--url", nothing, "--mix", bad_mix + "x"], 2, "cannot read"),
        ("no traffic at all", ["--url", nothing], 2, "--provider"),
    ]
    for name, options, wanted, text in cases:
        with report.case(name):
            status, _, said = load(*options)
            assert status == wanted and text in said, (status, said)
    folder.cleanup()


def direct(report):
    with report.case("an open loop into a sink: every event is proved"), Sink() as sink:
        status, summary, said = load(
            *github(sink.url, "--rate", "400", "--duration", "2s", "--connections", "8", "--ledger", sink.ledger)
        )
        assert status == 0, said
        accounts(summary)
        assert summary["intended"] == 800 == summary["sent"] == summary["accepted"], summary
        proof = summary["proof"]
        assert proof["delivered"] == 800 and proof["lost"] == 0 == proof["duplicated"], proof
    with report.case("a closed loop with a count sends exactly so many"), Sink() as sink:
        status, summary, said = load(
            *github(sink.url, "--closed", "--connections", "4", "--count", "1000", "--ledger", sink.ledger)
        )
        assert status == 0 and summary["sent"] == 1000 == summary["proof"]["delivered"], (status, said)
    with report.case("the tour of docs/load.md proves what it says"):
        with Sink("--delay", "bimodal:5ms,100ms@0.1") as sink:
            options = ["--url", sink.url, "--provider", "github", "--secret", "S", "--rate", "500"]
            status, summary, said = load(*options, "--duration", "2s", "--ledger", sink.ledger, "--json")
            assert status == 0, said
            proof = summary["proof"]
            assert summary["sent"] == 1000 and proof["delivered"] == proof["accepted"] == 1500, (summary["sent"], proof)
            assert proof["lost"] == 0 == proof["duplicated"], proof
            assert summary["date"].endswith("Z") and " processors" in summary["machine"], summary
            assert "--secret …" in summary["command"], summary["command"]
        tally = sink.summary
        assert tally["distinct"] == tally["received"] == 1500 and tally["duplicates"] == 0, tally
    with report.case("a lost event is found"), Sink() as sink:
        empty = sink.ledger + ".empty"
        open(empty, "w").close()
        status, summary, _ = load(
            *github(sink.url, "--closed", "--count", "50", "--ledger", empty, "--settle", "1s")
        )
        assert status == 1 and summary["proof"]["lost"] == 50, summary
    with report.case("resets and refusals are counted as what they are"), Sink(
        "--resets", "0.2", "--status", "200:0.7,429:0.3", "--retry-after", "7"
    ) as sink:
        status, summary, said = load(
            *github(sink.url, "--rate", "300", "--duration", "2s", "--ledger", sink.ledger, "--connections", "16")
        )
        accounts(summary)
        assert summary["failures"].get("connection_lost", 0) > 50, summary["failures"]
        assert summary["statuses"].get("429", 0) > 50 and summary["reasons"].get("status_429", 0) > 50, summary
        proof = summary["proof"]
        assert proof["lost"] == 0 and proof["refused"] + proof["unknown"] + proof["accepted"] == proof["sent"], proof
    with report.case("a stall is seen in full, and what waited is counted"), Sink("--stall", "1s@1s") as sink:
        status, summary, said = load(
            *github(sink.url, "--rate", "200", "--duration", "3s", "--connections", "4")
        )
        assert status == 0, said
        assert summary["latency"]["max"] >= 950_000 and summary["queued"] >= 150, summary
        assert summary["service"]["count"] == summary["latency"]["count"] == 600, summary
        # With four connections only four requests see the stall themselves; from their intended time all do.
        assert summary["latency"]["p90"] > summary["service"]["p90"], summary
    with report.case("an interrupted run still reports"), Sink() as sink:
        process = start(*github(sink.url, "--rate", "100", "--duration", "60s"))
        wait_until(lambda: os.path.exists(sink.ledger) and os.path.getsize(sink.ledger), 10, "nothing was sent")
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=20)
        summary = json.loads(out)
        assert process.returncode == 0 and summary["isInterrupted"] and summary["sent"] > 0, (out, error)
        assert summary["measuredSeconds"] < 30, summary
    with report.case("profiles send what they say"), Sink() as sink:
        for profile, seconds, wanted in (
            ("ramp:0-400", 2, 400),
            ("step:100@1s,300@1s", 2, 400),
            ("burst:500ms,500ms@400", 2, 400),
            ("sine:100-300/1s", 2, 400),
        ):
            status, summary, said = load(*github(sink.url, "--profile", profile, "--duration", f"{seconds}s"))
            assert status == 0 and abs(summary["sent"] - wanted) <= 2, (profile, summary["sent"])
    with report.case("percentile text and page are whole"), Sink() as sink:
        hdr, page = sink.ledger + ".hgrm", sink.ledger + ".html"
        status, summary, said = load(
            *github(sink.url, "--rate", "200", "--duration", "1s", "--hdr", hdr, "--html", page)
        )
        assert status == 0, said
        text = open(hdr).read()
        assert re.search(r"Value\s+Percentile\s+TotalCount", text) and "#[Max" in text, text[:200]
        html = open(page).read()
        assert html.count("<svg") == 3 and html.count("<polyline") >= 7, html[:300]
        assert not re.search(r"(src|href)=|@import|url\(", html), "it would use a network"


def through_gateway(report):
    sources = [
        {"name": name, "provider": name, "secrets": ["whsec_load-stripe" if name == "stripe" else f"load-{name}"]}
        for name in PROVIDERS
    ]
    for source in sources:
        # These give their events no id of their own, so a repetition is known by its body or not at all.
        if source["name"] in ("zoom", "fireflies", "otter"):
            source["dedup"] = {"key": "body"}
    sources.append(github_source("other", "another-secret"))
    with Sink("--secret", SINK_SECRET) as sink:
        ends = [endpoint("sink", sink.url, secret=SINK_SECRET)]
        socket_folder = tempfile.TemporaryDirectory(prefix="sluice-load-")
        path = os.path.join(socket_folder.name, "in.sock")
        with Gateway(sources, ends, listen=[f"unix:{path}"]) as gateway:
            base = f"http://127.0.0.1:{gateway.port}"
            mixed = ["--mix", MIX, "--warmup", "0s", "--rate", "300", "--duration", "4s", "--json"]
            with report.case("six providers through the gateway to the sink: nothing lost, nothing forged") as notes:
                status, summary, said = load("--url", base, *mixed, "--ledger", sink.ledger)
                assert status == 0, said
                accounts(summary)
                proof = summary["proof"]
                assert proof["lost"] == 0 == proof["forgeriesDelivered"] == proof["deliveredThoughRefused"], proof
                assert summary["refused"] == 0 == summary["wronglyAccepted"], summary
                # A malformed request may be cut off before its answer is read, no other.
                assert summary["failed"] == summary["kinds"].get("malformed", {}).get("failed", 0), summary
                assert len(summary["entries"]) == 6 and summary["kinds"]["duplicate"]["sent"] > 0, summary
                notes.append(f"{proof['delivered']} delivered, {proof['duplicated']} again")
            with report.case("the log proves the same, and has each event once"):
                status, summary, said = load("--url", base, *mixed, "--seed", "2", "--log", gateway.data)
                assert status == 0, said
                proof = summary["proof"]
                assert proof["delivered"] == proof["accepted"] and proof["duplicated"] == 0 == proof["lost"], proof
            with report.case("refusals say their reason"):
                options = ["--url", base, "--mix", MIX, "--warmup", "0s", "--closed", "--count", "3000", "--json"]
                status, summary, said = load(*options, "--seed", "3")
                assert status == 0 and summary["reasons"].get("signature_mismatch", 0) > 0, (said, summary)
            with report.case("a wrong secret is said, not loaded on"):
                status, summary, said = load(
                    *github(f"{base}/in/other", "--rate", "500", "--duration", "30s", secret="wrong")
                )
                assert status == 1 and "401" in said and "secret" in said, (status, said)
                assert summary["sent"] < 5000, summary["sent"]
            with report.case("load and send take a source from the configuration, its address too"):
                options = ["--config", gateway.config_path, "--source", "stripe", "--header", "X-Trace: 7"]
                status, summary, said = load(*options, "--closed", "--count", "200", "--warmup", "0s", "--json")
                assert status == 0 and summary["accepted"] == 200, said
                assert "X-Trace: …" in summary["command"], summary["command"]
                done = sluice("send", *options, "--count", "3", check=0)
                assert "3 × 202" in done.stdout or "3 × 200" in done.stdout, done.stdout
                newest = gateway.api("/api/v1/events?source=stripe&limit=1")["items"][0]["id"]
                shown = sluice("events", "show", newest, "--config", gateway.config_path, check=0)
                assert "x-trace: 7" in shown.stdout.lower(), shown.stdout
                done = sluice("send", "--config", gateway.config_path, "--source", "strip", check=2)
                assert "did you mean `stripe`?" in done.stderr, done.stderr
                done = sluice("send", *options[:4], "--header", "Host: a", check=2)
                assert "--header Host" in done.stderr, done.stderr
            with report.case("a Unix socket is a target"):
                status, summary, said = load(
                    *github(f"unix:{path}:/in/other", "--closed", "--count", "200", secret="another-secret")
                )
                assert status == 0 and summary["accepted"] == 200, said
        socket_folder.cleanup()


def post(port, body=b"{}"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/x", body)
        answer = connection.getresponse()
        answer.read()
        return answer.status, dict(answer.getheaders())
    finally:
        connection.close()


def bad_sink(report):
    with report.case("a sink that is gone"), Sink("--status", "410") as sink:
        assert post(sink.port)[0] == 410
    with report.case("a sink that asks for patience"), Sink("--status", "429", "--retry-after", "12") as sink:
        status, headers = post(sink.port)
        assert status == 429 and headers.get("Retry-After") == "12", headers
    with report.case("a sink that waits, reads slowly and is down at times"):
        with Sink("--delay", "uniform:100ms-150ms") as sink:
            started = time.monotonic()
            assert post(sink.port)[0] == 200 and time.monotonic() - started >= 0.1
        with Sink("--slow-read", "20KiB") as sink:
            started = time.monotonic()
            assert post(sink.port, b"x" * 20_000)[0] == 200 and time.monotonic() - started >= 0.5
        with Sink("--flap", "0s,1h") as sink:
            try:
                raise AssertionError(post(sink.port))
            except (ConnectionError, http.client.HTTPException):
                pass
    with report.case("what a sink does not understand"):
        for options in (["--delay", "often"], ["--status", "99"], ["--stall", "1s"], ["--flap", "3"]):
            done = subprocess.run([BINARY, "sink", *options], capture_output=True, text=True, timeout=20)
            assert done.returncode == 2 and options[0] in done.stderr, (options, done)


def main():
    arguments(__doc__)
    report = Report("load")
    words(report)
    direct(report)
    through_gateway(report)
    bad_sink(report)
    report.finish()


if __name__ == "__main__":
    main()
