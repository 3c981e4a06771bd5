#!/usr/bin/env python3
"""What an operator is told: each mistake at the command line has a sentence that says what would be right, and every
figure that an alert needs is in the metrics from the first scrape."""

import os
import re
import resource
import socket
import subprocess
import tempfile
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
from report import Report, arguments, one_line, wait_until
from serverutil import BINARY, Gateway, die_with_parent, endpoint, free_port, github_headers
from serverutil import github_source, open_source, sluice

NOBODY = "http://127.0.0.1:9/x"
SEND = ["send", "--provider", "github", "--url", NOBODY]
# Name, command line, exit status, what must be said, what must not.
MISTAKES = [
    (
        "a host that is not there",
        ["send", "--provider", "github", "--secret", "s", "--url", "http://no.such.host.invalid/x"],
        2,
        "host `no.such.host.invalid` was not found",
        "SocketAddressError",
    ),
    ("a time without its unit", [*SEND, "--secret", "s", "--timeout", "5"], 2, "5s for seconds", None),
    ("a time that is none", [*SEND, "--secret", "s", "--timeout", "soon"], 2, "such as 500ms, 30s", None),
    ("no time at all", [*SEND, "--secret", "s", "--timeout", "0s"], 2, "--timeout must be more than 0", None),
    ("no secret", SEND, 2, "--secret is missing", "unverified"),
    ("no provider and no source", ["send", "--url", NOBODY], 2, "--config FILE and --source NAME", None),
    ("a source without its file", ["send", "--source", "a"], 2, "--config FILE and --source NAME go together", None),
    ("a header that is none", [*SEND, "--secret", "s", "--header", "X"], 2, "is not NAME: VALUE", None),
    (
        "a yardstick of nothing",
        "gate add r.json --figure a --better higher --subject 1 --yardstick 0".split(),
        2,
        "--yardstick takes a number above 0",
        "damaged",
    ),
    ("a log that is not there", ["log", "check", "nowhere"], 2, "there is no folder nowhere", "right to write"),
    ("a file for a folder", ["log", "check", "tabs.yaml"], 2, "tabs.yaml is no folder", "right to write"),
    ("a folder without a log", ["log", "check", "folder"], 2, "name the data folder of a gateway", "empty or a new"),
    ("a folder for a configuration", ["config", "check", "folder"], 2, "this is a folder", "NSCocoa"),
    ("tabs in YAML", ["config", "check", "tabs.yaml"], 2, "tabs.yaml:3: a tab indents this line", None),
]


def mistakes(report):
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
        os.makedirs(os.path.join(folder, "folder"))
        with open(os.path.join(folder, "tabs.yaml"), "w") as file:
            file.write("listen: 127.0.0.1:0\nsources:\n\t- name: a\n")
        for name, line, status, wanted, unwanted in MISTAKES:
            with report.case(f"command line: {name}"):
                done = subprocess.run([BINARY, *line], capture_output=True, text=True, timeout=30, cwd=folder)
                said = done.stdout + done.stderr
                assert done.returncode == status, f"status {done.returncode}: {one_line(said)}"
                assert wanted in said, one_line(said)
                assert unwanted is None or unwanted not in said, one_line(said)
        with report.case("a file of nothing was left by none of them"):
            assert sorted(os.listdir(folder)) == ["folder", "tabs.yaml"], os.listdir(folder)
    with report.case("--help shows times as they are written"):
        for command in ("send", "load", "endpoints pause"):
            text = sluice(*command.split(), "--help", check=0).stdout
            assert "TimeArgument" not in text, re.findall(r".*TimeArgument.*", text)
        assert re.search(r"How long an answer may take\s+\(default: 30s\)", sluice("send", "--help").stdout)


def unknown_source(report):
    with Gateway([github_source(), open_source("shop")]) as gateway:
        assert gateway.post("/in/shop", b"{}")[0] in (200, 202)
        with report.case("events of a source that there is not: the known ones are named"):
            done = sluice("events", "list", "--source", "nope", "--config", gateway.config_path, check=1)
            assert "there is no source `nope`; there is github, shop" in done.stderr, done.stderr
        with report.case("events of a source without any yet: nothing, and no mistake"):
            done = sluice("events", "list", "--source", "github", "--config", gateway.config_path, check=0)
            assert done.stdout == "", done.stdout
        with report.case("the same, read from the folder"):
            done = sluice("events", "list", "--source", "shpo", "--data", gateway.data, check=1)
            assert "did you mean `shop`?" in done.stderr, done.stderr


def busy_listener(report):
    with report.case("a listen address in use: which, and how to find who holds it"):
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            gateway = Gateway([open_source()])
            gateway.listen = [f"127.0.0.1:{holder.getsockname()[1]}"]
            text = gateway.refused_start(20)
            assert f"`listen`: {gateway.listen[0]} is in use by another process" in text, one_line(text)
            assert "ss -ltnp" in text, one_line(text)


def little_memory(report):
    def limited(megabytes):
        def prepare():
            die_with_parent()
            resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

        return prepare

    with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
        path = os.path.join(folder, "sluice.yaml")
        with open(path, "w") as file:
            file.write(
                f"listen: 127.0.0.1:{free_port()}\nadmin: 127.0.0.1:0\ndata: {folder}/data\n"
                "sources:\n  - {name: a, provider: generic, unverified: true}\n"
            )
        for megabytes in (520, 700, 1000):
            with report.case(f"an address space of {megabytes} MiB: a sentence and no backtrace"):
                process = subprocess.Popen(
                    [BINARY, "serve", "--config", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                    preexec_fn=limited(megabytes),
                )
                try:
                    said = process.communicate(timeout=20)[0]
                except subprocess.TimeoutExpired:
                    # It was enough.
                    process.terminate()
                    said = process.communicate(timeout=20)[0]
                    assert process.returncode == 0, (process.returncode, said[-300:])
                    continue
                assert process.returncode == 70 and "memory" in said, (process.returncode, said[-600:])
                assert "Fatal error" not in said and "Backtrac" not in said, said[-600:]


ALWAYS = [
    "sluice_build_info", "process_start_time_seconds", "process_max_fds", "process_open_fds", "sluice_log_bytes",
    "sluice_log_segments", "sluice_log_oldest_event_age_seconds", "sluice_data_free_bytes", "sluice_connections_limit",
    "sluice_config_last_reload_successful", "sluice_config_last_reload_success_timestamp_seconds",
]
OF_ENDPOINTS = [
    "sluice_delivery_oldest_waiting_seconds", "sluice_delivery_lag_seconds", "sluice_delivery_pending",
    "sluice_delivery_dead",
]


def metrics(report):
    end = endpoint("shop", f"http://127.0.0.1:{free_port()}/")
    with Gateway([github_source()], [end], limits={"connections": 321}) as gateway:
        values = gateway.metrics()
        with report.case("every series is there before anything happened, with 0"):
            names = {series.partition("{")[0] for series in values}
            missing = [name for name in ALWAYS + OF_ENDPOINTS if name not in names]
            assert not missing, missing
            for series in (
                'sluice_rejections_total{source="github",reason="signature_mismatch"}',
                'sluice_observed_rejections_total{source="github",reason="stale_timestamp"}',
                'sluice_rejection_hints_total{source="github",hint="clock_skew"}',
                'sluice_delivery_attempts_total{tenant="default",endpoint="shop",result="connect_failed"}',
                'sluice_delivery_attempts_total{tenant="default",endpoint="shop",result="5xx"}',
                'sluice_delivery_dead_letters_total{tenant="default",endpoint="shop",reason="retries_exhausted"}',
                'sluice_rejected_kept{source="github"}',
                "sluice_log_oldest_event_age_seconds",
            ):
                assert values.get(series) == 0, (series, values.get(series))
        with report.case("what they say is so"):
            assert values["sluice_connections_limit"] == 321
            now = time.time()
            assert now - 60 < values["process_start_time_seconds"] < now + 5, values["process_start_time_seconds"]
            assert values["process_max_fds"] >= 321 and values["sluice_data_free_bytes"] > 1 << 20
            assert values["sluice_log_bytes"] >= 16 << 20
            assert list(values[name] for name in values if name.startswith("sluice_build_info")) == [1]
        body = b'{"zen":"age"}'
        assert gateway.post("/in/github", body, github_headers(body))[0] in (200, 202)
        with report.case("the oldest event grows old, and so does what waits for an endpoint that is down"):
            def is_old():
                seen = gateway.metrics()
                waits = gateway.metric_sum("sluice_delivery_oldest_waiting_seconds", endpoint="shop")
                aged = seen["sluice_log_oldest_event_age_seconds"] > 0.2 and waits > 0.2
                return aged and seen["sluice_log_segments"] == 1

            wait_until(is_old, 15, "an age")
            assert gateway.metric_sum("sluice_delivery_pending", endpoint="shop") == 1
        with report.case("a reload that was refused is seen until one is not"):
            before = gateway.metrics()["sluice_config_last_reload_success_timestamp_seconds"]
            with open(gateway.config_path) as file:
                good = file.read()
            for text, wanted in ((good + "\nnonsense: 1\n", 0), (good, 1)):
                with open(gateway.config_path, "w") as file:
                    file.write(text)
                sluice("reload", "--config", gateway.config_path, "--admin", f"127.0.0.1:{gateway.admin_port}")
                assert gateway.metrics()["sluice_config_last_reload_successful"] == wanted, text[-40:]
            assert gateway.metrics()["sluice_config_last_reload_success_timestamp_seconds"] >= before


def main():
    options = arguments(__doc__, only="")
    report = Report("messages")
    for group in (mistakes, unknown_source, busy_listener, little_memory, metrics):
        if not options.only or group.__name__ == options.only:
            group(report)
    report.finish()


if __name__ == "__main__":
    main()
