#!/usr/bin/env python3
"""What an endpoint's answer is worth when it is odd: a final status that could be read decides, and what comes late
over a kept connection harms no later delivery."""

import socket
import threading
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
from delivery import FAST, TIMEOUTS, send
from receiver import Receiver
from report import Report, arguments, one_line, wait_until
from serverutil import Gateway, endpoint, github_source, sluice

ODD_ANSWERS = {
    "LF line ends": b"HTTP/1.1 %d X\nContent-Length: 2\n\nok",
    "Content-Length twice": b"HTTP/1.1 %d X\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "Content-Length: 2, 2": b"HTTP/1.1 %d X\r\nContent-Length: 2, 2\r\n\r\nok",
    "a length and a coding": b"HTTP/1.1 %d X\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nok\r\n0\r\n\r\n",
    "a coding nobody knows": b"HTTP/1.1 %d X\r\nTransfer-Encoding: zap\r\n\r\nok",
    "a folded field": b"HTTP/1.1 %d X\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok",
    "a misspelt field": b"HTTP/1.1 %d X\r\nContent Length : 2\r\nno field\r\n\r\nok",
    "a head over 8 KiB": b"HTTP/1.1 %d X\r\nA: " + b"y" * 20_000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "over 100 fields": b"HTTP/1.1 %d X\r\n" + b"A: b\r\n" * 300 + b"Content-Length: 2\r\n\r\nok",
    "50 interim answers": b"HTTP/1.1 102 P\r\n\r\n" * 50 + b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nok",
    "a body cut short": b"HTTP/1.1 %d X\r\nContent-Length: 20\r\n\r\nok",
    "a chunk cut short": b"HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
    "a chunk that is none": b"HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok",
    "no end of the head": b"HTTP/1.1 %d X\r\nA: b",
    "another version": b"HTTP/2 %d X\r\n\r\n",
    "an empty line first": b"\r\nHTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n",
}


def odd_answers(report):
    """A final status that could be read decides, whatever follows it."""
    with Receiver() as receiver:
        names = [f"{kind}-{number}" for kind in ("good", "dead") for number in range(len(ODD_ANSWERS))]
        answers = {}
        for number, form in enumerate(ODD_ANSWERS.values()):
            answers[f"/good-{number}"] = form.replace(b"%d", b"200")
            answers[f"/dead-{number}"] = form.replace(b"%d", b"422")
        receiver.script = lambda d, number: answers[d.path]
        host = receiver.url.rsplit("/", 1)[0]
        ends = [endpoint(name, f"{host}/{name}", retry=FAST, timeouts=TIMEOUTS) for name in names]
        with Gateway([github_source()], ends) as gateway:
            event = send(gateway)[0]
            wait_until(lambda: receiver.count() >= len(names), 15, lambda: f"{receiver.count()} of {len(names)}")
            time.sleep(1.2)  # longer than every retry and time-out
            shown = {d["endpoint"]["name"]: d for d in gateway.api(f"/api/v1/deliveries?limit=1000")["items"]}
            for number, what in enumerate(ODD_ANSWERS):
                with report.case(f"a status decides: {what}"):
                    for kind, status, state in (("good", 200, "delivered"), ("dead", 422, "dead")):
                        name = f"{kind}-{number}"
                        got = len([d for d in receiver.snapshot() if d.path == "/" + name])
                        assert got == 1, f"{got} attempts after {status}"
                        delivery = shown[name]
                        assert (delivery["state"], delivery.get("status")) == (state, status), delivery
            with report.case("the command line shows the status of an odd answer"):
                text = sluice("deliveries", "show", event, "dead-0", "--config", gateway.config_path, check=0).stdout
                assert "422" in text, one_line(text)


def stale_connections(report):
    """What comes late over a kept connection harms no later delivery."""
    late = {
        "a body behind 204": (b"HTTP/1.1 204 N\r\n\r\n", b"late body"),
        "408 on an idle connection": (
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        ),
    }
    for what, (first, rest) in late.items():
        with report.case(f"{what} costs the next delivery nothing"):
            with LateEndpoint(first, rest) as server:
                slow = {"delays": ["30s"], "jitter": 0}
                ends = [endpoint("late", server.url, retry=slow, concurrency=1)]
                with Gateway([github_source()], ends) as gateway:
                    send(gateway)
                    wait_until(lambda: server.answered >= 1, 10, "the first delivery")
                    send(gateway, 1)
                    delivered = lambda: len(gateway.api("/api/v1/deliveries?state=delivered")["items"])  # noqa: E731
                    wait_until(lambda: delivered() == 2, 10, lambda: f"{delivered()} of 2 delivered without a wait")
                    assert server.repeated == 1, "the late bytes came at another time than this test wants"


class LateEndpoint:
    """Answers the first request over a connection with `first`; when the second one is there, sends `rest` and closes.
    Over any later connection it answers 204."""

    def __init__(self, first, rest):
        self.first, self.rest = first, rest
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}/hooks"
        self.answered, self.repeated, self.connections = 0, 0, 0

    def serve(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.handle, args=(connection, self.connections), daemon=True).start()

    def handle(self, connection, number):
        with connection, connection.makefile("rb") as stream:
            while self.read(stream):
                if number > 1:
                    connection.sendall(b"HTTP/1.1 204 N\r\n\r\n")
                    self.repeated += 1
                elif self.answered == 0:
                    connection.sendall(self.first)
                    self.answered += 1
                else:
                    connection.sendall(self.rest)
                    return

    @staticmethod
    def read(stream):
        length, line = 0, stream.readline()
        if not line:
            return False
        while line not in (b"\r\n", b""):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            line = stream.readline()
        stream.read(length)
        return True

    def __enter__(self):
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.server.close()


def main():
    options = arguments(__doc__, only="")
    report = Report("answers")
    for group in (odd_answers, stale_connections):
        if not options.only or options.only == group.__name__:
            group(report)
    report.finish()


if __name__ == "__main__":
    main()
