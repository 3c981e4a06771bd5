#!/usr/bin/env python3
"""Signatures that worker threads check: accepted and refused as they should be, under a flood of forgeries, over
reloads and at the end of the process; and sources that observe. Times are printed, never judged.
"""

import json
import shutil
import socket
import tempfile
import threading
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
from keypair import KeyPair
from receiver import Receiver
from report import Report, wait_until
from serverutil import Gateway, endpoint, github_headers, github_source, read_answer, sluice

FLOOD_SECONDS = 3
FLOOD_CONNECTIONS = 4
FLOOD_PIPELINE = 32


def raw(path, body, headers):
    lines = [f"POST {path} HTTP/1.1", "Host: a", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Flood:
    """Forgeries, well-formed to the last byte of their signature, pipelined over a few connections."""

    def __init__(self, gateway, key):
        body = b'{"type":1,"event":{"type":"FLOOD"}}'
        headers = key.headers(body)
        self.request = raw("/in/costly", body.replace(b"FLOOD", b"FORGE"), headers) * FLOOD_PIPELINE
        self.gateway, self.stop, self.statuses, self.lock = gateway, threading.Event(), {}, threading.Lock()
        self.threads = [threading.Thread(target=self.run) for _ in range(FLOOD_CONNECTIONS)]

    def run(self):
        try:
            with self.gateway.connect() as s:
                while not self.stop.is_set():
                    s.sendall(self.request)
                    rest = b""
                    for _ in range(FLOOD_PIPELINE):
                        status, _, _, rest = read_answer(s, rest)
                        with self.lock:
                            self.statuses[status] = self.statuses.get(status, 0) + 1
                        if status is None:
                            return
        except OSError:
            pass  # the gateway has ended, which a case below wants

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(30)


def quick_requests(gateway, seconds):
    """HMAC-signed requests one after the other: their latencies in milliseconds."""
    took, end, serial = [], time.monotonic() + seconds, 0
    with gateway.connect() as s:
        while time.monotonic() < end:
            serial += 1
            body = json.dumps({"serial": serial, "at": time.time()}).encode()
            request = raw("/in/github", body, github_headers(body))
            started = time.monotonic()
            s.sendall(request)
            status = read_answer(s)[0]
            took.append((time.monotonic() - started) * 1000)
            assert status == 202, f"a genuine request was answered {status}"
    return sorted(took)


def text(took):
    return f"{len(took)} requests, p50 {took[len(took) // 2]:.2f} ms, p99 {took[len(took) * 99 // 100]:.2f} ms"


def verdicts(report, folder):
    with report.case("an Ed25519 signature is accepted, a flipped bit anywhere is not, with one loop and two"):
        key = KeyPair(folder)
        for loops in (1, 2):
            with Gateway([key.source()], loops=loops) as gateway:
                for size in (0, 10, 5000, 200_000):
                    body = json.dumps({"type": 1, "loops": loops, "pad": "x" * size}).encode()
                    headers = key.headers(body)
                    status = gateway.post("/in/costly", body, headers)[0]
                    assert status == 204, f"{size} bytes: {status}"
                    forged = dict(headers)
                    first = forged["X-Signature-Ed25519"][0]
                    forged["X-Signature-Ed25519"] = ("0" if first != "0" else "1") + forged["X-Signature-Ed25519"][1:]
                    status, _, answer = gateway.post("/in/costly", body, forged)
                    assert (status, b"signature_mismatch" in answer) == (401, True), f"{status} {answer!r}"
                    assert gateway.post("/in/costly", body + b" ", headers)[0] == 401, "another body was accepted"
                assert gateway.metric_sum("sluice_events_total", outcome="accepted") == 4


def flood(report, folder):
    with report.case("a flood of forgeries for the workers leaves sources that the loop verifies alone") as notes:
        key = KeyPair(folder)
        with Gateway([key.source(), github_source()]) as gateway:
            quiet = quick_requests(gateway, FLOOD_SECONDS)
            with Flood(gateway, key) as attack:
                busy = quick_requests(gateway, FLOOD_SECONDS)
            assert attack.statuses.get(401, 0) > 0, f"no forgery was refused: {attack.statuses}"
            assert set(attack.statuses) <= {401, 503}, f"answers to forgeries: {attack.statuses}"
            body = b'{"type":1,"after":"the flood"}'
            assert gateway.post("/in/costly", body, key.headers(body))[0] == 204, "not well afterwards"
            notes.append("quiet: " + text(quiet))
            notes.append("flooded: " + text(busy))
            notes.append(f"{sum(attack.statuses.values()) / FLOOD_SECONDS:.0f} forgeries/s, {attack.statuses}")


def reloads(report, folder):
    with report.case("reloads while workers verify: nothing forged is accepted, nothing genuine is refused"):
        key = KeyPair(folder)
        with Gateway([key.source(), github_source()]) as gateway:
            body = b'{"type":1,"event":{"type":"RELOAD"}}'
            headers = key.headers(body)
            with Flood(gateway, key) as attack:
                for turn in range(15):
                    gateway.sources = [key.source(dedup={"window": f"{turn + 1}h"}), github_source()]
                    gateway.write_configuration()
                    reloaded = gateway.begin_reload()
                    for _ in range(10):
                        status = gateway.post("/in/costly", body, headers)[0]
                        assert status in (204, 503), f"a genuine request was answered {status}"
                    wait_until(reloaded, 10, "no word of the reload")
            assert set(attack.statuses) <= {401, 503}, f"answers to forgeries: {attack.statuses}"
            wait_until(lambda: gateway.post("/in/costly", body, headers)[0] == 204, 10, "well afterwards")


def ends(report, folder):
    with report.case("SIGTERM while workers verify ends the process cleanly"):
        key = KeyPair(folder)
        for loops in (1, 2):
            with Gateway([key.source()], loops=loops) as gateway:
                with Flood(gateway, key) as attack:
                    wait_until(lambda: attack.statuses, 10, "no forgery was answered")
                    assert gateway.stop() == 0, "exit status"


def closes(report, folder):
    with report.case("500 connections cut off while their request is verified"):
        key = KeyPair(folder)
        with Gateway([key.source()]) as gateway:
            body = b'{"type":1,"event":{"type":"CUT"}}'
            request = raw("/in/costly", body, key.headers(body))
            for turn in range(500):
                with socket.create_connection(("127.0.0.1", gateway.port)) as s:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                    s.sendall(request * (1 + turn % 3))
            wait_until(lambda: gateway.metric_sum("sluice_connections_open") == 0, 10, "no connection is left")
            assert gateway.post("/in/costly", body, key.headers(body))[0] == 204, "not well afterwards"


def observes(report):
    with report.case("mode: observe keeps a wrong signature, tells its verdict, and answers as usual"):
        with Receiver() as receiver:
            sources = [github_source(mode="observe")]
            with Gateway(sources, [endpoint("first", receiver.url)]) as gateway:
                good, bad = b'{"is":"good"}', b'{"is":"bad"}'
                assert gateway.post("/in/github", good, github_headers(good))[0] == 202
                assert gateway.post("/in/github", bad, github_headers(bad, secret="another"))[0] == 202
                wait_until(lambda: receiver.count() >= 2, 10, "two deliveries")
                told = {d.body: d.headers.get("sluice-verdict") for d in receiver.snapshot()}
                assert told == {good: None, bad: "signature_mismatch"}, f"{told}"
                admin = f"127.0.0.1:{gateway.admin_port}"
                listed = sluice("events", "list", "--admin", admin, "--json", check=0).stdout
                assert listed.count('"signature_mismatch"') == 1 and listed.count('"verified"') == 1, listed
                count = gateway.metric_sum("sluice_observed_rejections_total", reason="signature_mismatch")
                assert count == 1, f"counted {count}"
                assert gateway.metric_sum("sluice_rejections_total") == 0


def main():
    report = Report("offload")
    folder = tempfile.mkdtemp(prefix="sluice-offload-")
    try:
        verdicts(report, folder)
        flood(report, folder)
        reloads(report, folder)
        closes(report, folder)
        ends(report, folder)
        observes(report)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.finish()


if __name__ == "__main__":
    main()
