#!/usr/bin/env python3
"""What once went wrong in a review, as a client would do it: slots reused within a tick, a reload that takes sources
away while the disk has their events, events no ring takes, secrets in forwarded fields.
"""

import socket
import threading

import supportpath  # noqa: F401  (puts the shared modules on the path)
from receiver import Receiver
from report import Report, wait_until
from serverutil import Gateway, endpoint, open_source


def reused_slots(report, loops):
    with report.case(f"2,000 connections that pipeline, close and come back at once, {loops} loop(s)"):
        with Gateway([open_source()], loops=loops) as gateway:
            two = b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n" * 2

            def churn():
                for _ in range(500):
                    with socket.create_connection(("127.0.0.1", gateway.port)) as s:
                        s.sendall(two)
                    with socket.create_connection(("127.0.0.1", gateway.port)) as s:
                        s.sendall(two[: len(two) // 2 + 10])

            threads = [threading.Thread(target=churn) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            assert gateway.post("/in/test", b"{}")[0] == 202, "not well afterwards"


def half_closed(report):
    with report.case("pipelined requests behind a half-close are all answered"):
        with Gateway([open_source()]) as gateway:
            body = b"POST /in/test HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n{\"n\":%d}"
            with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as s:
                s.sendall(b"".join(body % n for n in range(5)))
                s.shutdown(socket.SHUT_WR)
                got = b""
                while piece := s.recv(65536):
                    got += piece
            assert got.count(b"HTTP/1.1 202") == 5, f"{got.count(b'HTTP/1.1 202')} of 5 answered"


def reload_under_load(report):
    with report.case("sources come and go by SIGHUP while their events are on the way"):
        many = [open_source(f"s{n}") for n in range(8)]
        with Gateway(many) as gateway:
            stop, odd = threading.Event(), []

            def pump(number):
                serial = 0
                while not stop.is_set():
                    serial += 1
                    text = f'{{"n":{number},"serial":{serial}}}'.encode()
                    status = gateway.post(f"/in/s{number}", text)[0]
                    if status not in (202, 404):
                        odd.append(status)

            threads = [threading.Thread(target=pump, args=(n,)) for n in range(8)]
            for thread in threads:
                thread.start()
            for turn in range(20):
                gateway.sources = many[: 1 + turn % 8]
                gateway.write_configuration()
                gateway.reload()
            stop.set()
            for thread in threads:
                thread.join(20)
            assert not odd, f"answers other than 202 and 404: {sorted(set(odd))}"
            assert gateway.post("/in/s0", b'{"last":1}')[0] == 202, "not well afterwards"


def long_type(report):
    with report.case("an event type that no record takes is refused, with two loops as with one"):
        for loops in (1, 2):
            source = open_source(event={"type": "json:$.type"})
            with Gateway([source], loops=loops) as gateway:
                body = b'{"type":"' + b"t" * 70_000 + b'"}'
                assert gateway.post("/in/test", body)[0] == 413, "not refused as too large"
                assert gateway.post("/in/test", b'{"type":"t"}')[0] == 202, "not well afterwards"


def withheld_token(report):
    with report.case("the header of a token scheme, which is the secret, reaches no endpoint"):
        secret = "canary-token-81c2"
        source = {
            "name": "partner", "provider": "generic", "secrets": [secret],
            "scheme": {"algorithm": "token", "header": "X-Partner-Token"},
        }
        gitlab = {"name": "gitlab", "provider": "gitlab", "secrets": [secret]}
        with Receiver() as receiver:
            with Gateway([source, gitlab], [endpoint("first", receiver.url)]) as gateway:
                assert gateway.post("/in/partner", b'{"a":1}', {"X-Partner-Token": secret, "X-Kept": "yes"})[0] == 202
                assert gateway.post("/in/gitlab", b'{"a":2}', {"X-Gitlab-Token": secret})[0] == 202
                wait_until(lambda: receiver.count() >= 2, 10, "two deliveries")
                for delivery in receiver.snapshot():
                    values = [str(value) for value in dict(delivery.headers).values()]
                    assert not any(secret in value for value in values), "the secret was forwarded"


def main():
    report = Report("churn")
    reused_slots(report, 1)
    reused_slots(report, 2)
    half_closed(report)
    reload_under_load(report)
    long_type(report)
    withheld_token(report)
    report.finish()


if __name__ == "__main__":
    main()
