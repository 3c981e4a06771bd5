#!/usr/bin/env python3
"""What an operator does and meets: stopping, reloading, broken configurations, folders that are taken, foreign
or damaged, too few descriptors, metrics; and no secret in anything that can be read from outside."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
from loadgen import Load
from receiver import Receiver
from report import Report, Skip, arguments, one_line, wait_until
from serverutil import (
    BINARY,
    Gateway,
    endpoint,
    github_headers,
    github_source,
    open_source,
    read_answer,
    request,
    sluice,
)
from storeutil import events_in_log

CANARIES = {
    "source": "canary-source-5d1f",
    "endpoint": "Q2FuYXJ5RW5kcG9pbnRTZWNyZXQ3N2Fi",
    "environment": "canary-environment-9e02",
}


def drain_under_load(report):
    with report.case("SIGTERM under load: exit 0, everything acknowledged is in the log") as notes:
        folder = tempfile.mkdtemp(prefix="sluice-test-")
        try:
            with Receiver() as receiver:
                gateway = Gateway([github_source()], [endpoint("all", receiver.url)], folder=folder)
                with gateway:
                    load = Load(gateway.port, "drain", connections=6).start()
                    load.wait_for(500)
                    status = gateway.stop()
                    load.stop()
                    assert status == 0, f"exit status {status}: {one_line(gateway.output()[-400:])}"
                acknowledged = load.acknowledged_names()
                assert len(acknowledged) > 200, f"only {len(acknowledged)} acknowledged"
                stored = events_in_log(gateway)
                lost = acknowledged - set(stored)
                assert not lost, f"{len(lost)} of {len(acknowledged)} lost"
                assert set(stored) <= load.sent and len(stored) == len(set(stored)), "invented or doubled"
                notes.append(f"{len(acknowledged)} acknowledged, refused {load.refused}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def drain_answers_what_is_in_flight(report):
    with report.case("SIGTERM: a request half sent is still answered, new connections are not taken"):
        with Gateway([open_source()], grace="5s") as gateway:
            with gateway.connect_halfway() as s:
                gateway.begin_drain()
                s.sendall(b"world")
                status, *_ = read_answer(s)
                assert status == 202, status
            assert gateway.process.wait(10) == 0


def reload(report):
    with report.case("SIGHUP: a new source answers, an old connection stays, a bad file changes nothing"):
        with Gateway([github_source()]) as gateway:
            with gateway.connect() as s:

                def post(path):
                    body = b'{"at":%d}' % time.time_ns()
                    head = "".join(f"{k}: {v}\r\n" for k, v in github_headers(body).items())
                    s.sendall(
                        f"POST {path} HTTP/1.1\r\nHost: x\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode()
                        + body
                    )
                    return read_answer(s)[0]

                assert post("/in/github") in (200, 202) and post("/in/second") == 404
                gateway.sources.append(github_source("second"))
                gateway.write_configuration()
                gateway.process.send_signal(signal.SIGHUP)
                wait_until(
                    lambda: post("/in/second") in (200, 202), 10, lambda: "the new source: " + gateway.output()[-300:]
                )
                with open(gateway.config_path, "w") as file:
                    file.write("listen: [\nnonsense: 1\n")
                gateway.reload()
                assert post("/in/second") in (200, 202) and post("/in/github") in (200, 202)
                assert gateway.is_ready()


def reload_under_load(report):
    with report.case("SIGHUP ten times under load: no connection dropped, nothing refused") as notes:
        with Gateway([github_source()]) as gateway:
            load = Load(gateway.port, "hup", connections=4)
            dropped = []
            original = load.note

            def note(name, status):
                if not 200 <= status < 300:
                    dropped.append(status)
                original(name, status)

            load.note = note
            load.start()
            for number in range(10):
                gateway.sources = [github_source(), open_source(f"extra{number}")]
                gateway.write_configuration()
                gateway.reload()
            load.wait_for(len(load.acknowledged) + 20)
            load.stopping.set()
            [t.join(10) for t in load.threads]
            unanswered = load.sent - load.acknowledged_names()
            assert not dropped and not unanswered, f"refused {dropped[:5]}, unanswered {len(unanswered)}"
            notes.append(f"{len(load.sent)} requests")


def second_process(report):
    with report.case("a second process on the folder waits, and is refused with the holder's number"):
        with Gateway([open_source()]) as gateway:
            other = Gateway([open_source()])
            other.data = gateway.data
            text = other.refused_start(20)
            assert "is using this data folder" in text and gateway.data in text, one_line(text)
            assert f"process {gateway.process.pid} " in text and "waiting" in text, one_line(text)
            assert gateway.post("/in/test", b"still mine")[0] == 202


def successor(report):
    with report.case("a process that starts while another ends takes the folder over"):
        with Gateway([open_source()]) as gateway:
            assert gateway.post("/in/test", b"of the first")[0] == 202
            next_one = Gateway([open_source()])
            next_one.data = gateway.data
            try:
                next_one.spawn()
                wait_until(lambda: "waiting for its process" in next_one.output(), 10, next_one.output)
                assert not next_one.is_ready(), "ready without its folder"
                assert gateway.stop() == 0
                wait_until(next_one.is_ready, 10, next_one.output)
                assert next_one.post("/in/test", b"of the second")[0] == 202
                assert len(next_one.api("/api/events")["events"]) == 2
                assert next_one.output().count("waiting for its process") == 1, next_one.output()
                assert next_one.stop() == 0
            finally:
                next_one.discard()


BROKEN = [
    ("unknown key", "listne: 127.0.0.1:1\nsources: []\n", ["listne", "listen", ":1:"]),
    ("unknown provider", "sources:\n  - name: a\n    provider: githb\n    secrets: [x]\n", ["githb", "github"]),
    ("no secret", "sources:\n  - name: a\n    provider: github\n", ["secret", "unverified"]),
    (
        "unset variable",
        'sources:\n  - name: a\n    provider: github\n    secrets: ["${NOT_SET_ANYWHERE}"]\n',
        ["NOT_SET_ANYWHERE"],
    ),
    (
        "missing secret file",
        'sources:\n  - name: a\n    provider: github\n    secrets: ["file:/nowhere/secret"]\n',
        ["/nowhere/secret"],
    ),
    (
        "bad port",
        "listen: 127.0.0.1:99999\nsources:\n  - {name: a, provider: generic, unverified: true}\n",
        ["99999", ":1:"],
    ),
    ("bad size", "log: {segment: 3 parsecs}\n", ["parsecs"]),
    (
        "bad duration",
        "sources:\n  - {name: a, provider: generic, unverified: true, dedup: {window: soon}}\n",
        ["soon"],
    ),
    ("two sources of one name", "sources:\n" + "  - {name: a, provider: generic, unverified: true}\n" * 2, ["a"]),
    (
        "endpoint for a source that is not there",
        "sources:\n  - {name: a, provider: generic, unverified: true}\nendpoints:\n"
        '  - {name: e, url: "http://8.8.8.8/", sources: [b]}\n',
        ["b"],
    ),
    ("not YAML", "sources: [\n", ["yaml", ":"]),
]


def broken_configurations(report):
    for name, text, words in BROKEN:
        for command in ("config check", "serve"):
            with report.case(f"broken configuration, {command}: {name}"):
                with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
                    path = os.path.join(folder, "broken.yaml")
                    with open(path, "w") as file:
                        file.write(f"admin: 127.0.0.1:0\n{text}" if ":1:" not in words else text)
                    line = [BINARY, *command.split(), *(["--config", path] if command == "serve" else [path])]
                    done = subprocess.run(line, capture_output=True, text=True, timeout=20, cwd=folder)
                    said = done.stdout + done.stderr
                    assert done.returncode == 2, f"status {done.returncode}: {one_line(said)}"
                    assert "broken.yaml" in said, one_line(said)
                    missing = [word for word in words if word.lower() not in said.lower()]
                    assert not missing, f"does not say {missing}: {one_line(said)}"


def folders(report):
    def refused(name, prepare, words):
        with report.case(f"data folder {name}: refused, and left as it was"):
            with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
                gateway = Gateway([open_source()], folder=folder)
                prepare(gateway)
                before = snapshot(gateway.data)
                text = gateway.refused_start(10)
                assert any(word in text.lower() for word in words), one_line(text)
                assert snapshot(gateway.data) == before, "it wrote into it"

    def foreign(gateway):
        os.makedirs(gateway.data)
        with open(os.path.join(gateway.data, "holiday.jpg"), "w") as file:
            file.write("not ours")

    def a_file(gateway):
        with open(gateway.data, "w") as file:
            file.write("not a folder")

    def unreachable(gateway):
        gateway.data = "/proc/nowhere/data"

    refused("with foreign files", foreign, ["holiday.jpg", "foreign", "not a sluice", "not empty", "unknown"])
    refused("that is a file", a_file, ["not a directory", "not a folder", "is a file", "file"])
    with report.case("data folder that cannot be made: refused"):
        gateway = Gateway([open_source()])
        unreachable(gateway)
        text = gateway.refused_start(10)
        assert "/proc/nowhere" in text, one_line(text)


def snapshot(path):
    if not os.path.isdir(path):
        return open(path).read() if os.path.exists(path) else None
    return sorted((name, os.path.getsize(os.path.join(path, name))) for name in os.listdir(path))


def damaged(report):
    with report.case("a flipped byte in the middle: reported with offset and count, neighbours kept") as notes:
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
            gateway = Gateway([github_source()], folder=folder)
            with gateway:
                load = Load(gateway.port, "damage", connections=2).start()
                wait_until(lambda: len(load.acknowledged) > 300, 20, "300 events")
                load.stop()
            before = events_in_log(gateway)
            segment, offset = largest_used(gateway.data, before[len(before) // 2])
            with open(segment, "r+b") as file:
                file.seek(offset)
                byte = file.read(1)
                file.seek(offset)
                file.write(bytes([byte[0] ^ 0x10]))
            checked = sluice("log", "check", gateway.data)
            assert checked.returncode == 1, f"log check: status {checked.returncode}: {one_line(checked.stdout)}"
            gateway = Gateway([github_source()], folder=folder)
            with gateway:
                assert gateway.is_ready()
                said = gateway.output()
            after = events_in_log(gateway)
            lost = [name for name in before if name not in set(after)]
            assert 1 <= len(lost) <= 2, f"{len(lost)} of {len(before)} gone for one byte"
            assert not set(after) - set(before), "invented"
            assert (
                "damage" in said.lower() or "corrupt" in said.lower()
            ), f"the start does not say it: {one_line(said[-400:])}"
            notes.append(f"{len(before)} events, {len(lost)} damaged")


def lost_store(report):
    """store.sqlite is gone, or is no database: the start names the way out, and that way delivers everything again."""
    for what, content in (("is missing", None), ("is damaged", b"no database at all " * 300)):
        with report.case(f"store.sqlite {what}: the start says so, and a rebuild delivers every event again"):
            with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder, Receiver() as receiver:
                settings = [open_source()], [endpoint("all", receiver.url)]
                gateway = Gateway(*settings, folder=folder)
                with gateway:
                    for number in range(20):
                        assert gateway.post("/in/test", f'{{"n":{number}}}')[0] == 202
                    wait_until(lambda: receiver.count() == 20, 10, "20 deliveries")
                first = {delivery.id for delivery in receiver.snapshot()}
                for suffix in ("", "-wal", "-shm"):
                    path = os.path.join(gateway.data, "store.sqlite" + suffix)
                    if os.path.exists(path):
                        os.remove(path)
                if content:
                    with open(os.path.join(gateway.data, "store.sqlite"), "wb") as file:
                        file.write(content)
                text = Gateway(*settings, folder=folder).refused_start()
                assert what in text and "sluice store rebuild" in text, one_line(text)
                sluice("store", "check", "--data", gateway.data, check=1)
                sluice("store", "rebuild", "--data", gateway.data, check=0)
                sluice("store", "rebuild", "--data", gateway.data, check=1)
                with Gateway(*settings, folder=folder):
                    wait_until(lambda: receiver.count() == 40, 10, lambda: f"{receiver.count()} of 40 deliveries")
                again = [delivery.id for delivery in receiver.snapshot()[20:]]
                assert set(again) == first and len(again) == len(first), "other events, or one of them twice"
                sluice("store", "check", "--data", gateway.data, check=0)


def largest_used(folder, name):
    """Where this event's name stands on disk: (file, offset)."""
    for root, _, files in os.walk(folder):
        for file in files:
            path = os.path.join(root, file)
            with open(path, "rb") as opened:
                at = opened.read().find(name.encode())
            if at >= 0 and "sqlite" not in path and not path.endswith((".db", "-wal")):
                return path, at
    raise AssertionError(f"{name} is nowhere in {folder}")


def few_descriptors(report):
    with report.case("too few descriptors: refused with what to do"):
        gateway = Gateway([open_source()], limits={"connections": 5000}, rlimit_nofile=128)
        text = gateway.refused_start(10).lower()
        assert "descriptor" in text or "nofile" in text or "ulimit" in text, one_line(text)
        assert "128" in text, one_line(text)


def metrics(report):
    with report.case("/metrics parses, counts what happened, and its labels are bounded") as notes:
        with Gateway([github_source(), open_source()]) as gateway:
            body = b'{"zen":"metrics"}'
            good = github_headers(body)
            assert gateway.post("/in/github", body, good)[0] in (200, 202)
            assert gateway.post("/in/github", body, good)[0] in (200, 202)
            assert gateway.post("/in/github", body + b"x", good)[0] == 401
            for number in range(50):
                assert request(gateway.port, f"/scan/{number}.php")[0] == 404
            values = wait_until(lambda: nonzero(gateway.metrics()), 5, "metrics")
            # The contract edge has names of its own, without a prefix.
            ours = ("sluice_", "process_", "swift_", "webhook_", "http_requests_", "request_duration_")
            ours += ("dlq_size", "delivery_latency_")
            others = [name for name in values if not name.startswith(ours)]
            assert not others, others[:5]
            text = "\n".join(values)
            for word in ("accepted", "duplicate", "signature_mismatch"):
                assert word in text, f"no series about {word}"
            assert ".php" not in text, "a path of the outside became a label"
            notes.append(f"{len(values)} series")
    with report.case("/health and /ready"):
        with Gateway([open_source()]) as gateway:
            for path in ("/health", "/ready"):
                status, _, body = gateway.admin(path)
                assert status == 200, (path, status, body)
            assert gateway.admin("/nowhere")[0] == 404


def nonzero(values):
    return values if any(values.values()) else None


def no_secret_leaks(report):
    with report.case("no secret in output, metrics, errors, answers or the database") as notes:
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder, Receiver() as receiver:
            sources = [github_source(secret=CANARIES["source"]), github_source("second", secret="${CANARY}")]
            ends = [endpoint("all", receiver.url, secret="whsec_" + CANARIES["endpoint"])]
            environment = {"CANARY": CANARIES["environment"]}
            gateway = Gateway(sources, ends, folder=folder, environment=environment)
            seen = []
            with gateway:
                body = b'{"zen":"canary"}'
                seen.append(gateway.post("/in/github", body, github_headers(body, CANARIES["source"])))
                seen.append(gateway.post("/in/github", body, github_headers(body, "wrong")))
                seen.append(gateway.post("/in/second", body, github_headers(body, CANARIES["environment"])))
                seen.append(request(gateway.port, "/nowhere"))
                wait_until(lambda: receiver.count() >= 2, 10, "deliveries")
                for path in ("/metrics", "/ready", "/health"):
                    seen.append(gateway.admin(path))
                gateway.reload()
            seen.append(gateway.output())
            for command in (["config", "check", gateway.config_path], ["doctor"], ["log", "stats", gateway.data]):
                done = sluice(*command, environment=environment)
                seen.append(done.stdout + done.stderr)
            with open(gateway.config_path, "a") as file:
                file.write("\nbroken")
            done = sluice("config", "check", gateway.config_path, environment=environment)
            seen.append(done.stdout + done.stderr)
            stored = 0
            for root, _, files in os.walk(gateway.data):
                for name in files:
                    with open(os.path.join(root, name), "rb") as file:
                        seen.append(file.read().decode("latin-1"))
                        stored += 1
            for what, canary in CANARIES.items():
                for number, text in enumerate(seen):
                    assert canary not in repr(text), f"the {what} secret is in item {number}: {type(text)}"
            notes.append(f"{len(seen)} texts and {stored} files searched")


def command_line(report):
    with report.case("every command has --help with an example, a wrong flag is status 2"):
        commands = [
            "serve",
            "verify",
            "send",
            "sink",
            "events tail",
            "events list",
            "events show",
            "events replay",
            "events why",
            "deliveries cancel",
            "deliveries dead",
            "repairs retry",
            "repairs cancel",
            "repairs forward",
            "log check",
            "log stats",
            "log show",
            "config check",
            "doctor",
        ]
        for command in commands:
            done = sluice(*command.split(), "--help")
            assert done.returncode == 0 and "sluice " + command.split()[0] in done.stdout, (
                command,
                one_line(done.stdout),
            )
            assert "example" in done.stdout.lower(), f"{command} --help has no example"
            done = sluice(*command.split(), "--no-such-flag")
            assert done.returncode == 2, f"{command} --no-such-flag: status {done.returncode}"
    with report.case("doctor says what this machine can do") as notes:
        done = sluice("doctor")
        assert done.returncode in (0, 1) and "io_uring" in done.stdout, one_line(done.stdout + done.stderr)
        notes.append(one_line(done.stdout, 120))
    with report.case("doctor --json is JSON"):
        json.loads(sluice("doctor", "--json").stdout)


def without_configuration(report):
    with report.case("serve without a configuration starts an example on loopback"):
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
            busy = [p for p in (8080, 8081) if _listening(p)]
            if busy:
                raise Skip(f"port {busy[0]} is in use")
            process = subprocess.Popen(
                [BINARY, "serve"],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                wait_until(lambda: _ready(8081) or process.poll() is not None, 20, "ready")
                assert process.poll() is None, f"ended with {process.returncode}: {one_line(process.stdout.read())}"
            finally:
                process.terminate()
                said = process.communicate(timeout=20)[0].decode()
            assert process.returncode == 0 and "127.0.0.1:8080" in said, one_line(said)


def _listening(port):
    try:
        request(port, "/", timeout=1)
        return True
    except ConnectionRefusedError:
        return False
    except OSError:
        return True


def _ready(port):
    try:
        return request(port, "/ready", timeout=1)[0] == 200
    except OSError:
        return False


def main():
    options = arguments(__doc__, only="")
    report = Report("operator")
    groups = [
        drain_under_load,
        drain_answers_what_is_in_flight,
        reload,
        reload_under_load,
        second_process,
        successor,
        broken_configurations,
        folders,
        damaged,
        lost_store,
        few_descriptors,
        metrics,
        no_secret_leaks,
        command_line,
        without_configuration,
    ]
    for group in groups:
        if not options.only or group.__name__ == options.only:
            group(report)
    report.finish()


if __name__ == "__main__":
    main()
