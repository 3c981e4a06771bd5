#!/usr/bin/env python3
"""Makes data-folder-v1.tar.gz: a data folder as the version before histories in slices wrote it, for the test that
converts one. It needs that version's binary:

  Tests/Fixtures/make_data_folder_v1.py SLUICE_BINARY

In it: endpoint `good` has all events; `picky` answers 500 to some, which are pending, and 404 to others, which are dead
letters; `stopped` answered 410; `removed` had events and was taken out of the configuration.
"""

import gzip
import http.server
import io
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
EVENTS = 40


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Sink(http.server.BaseHTTPRequestHandler):
    """Answers by path and by the event's number, which is the body's `n`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        number = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["n"]
        status = 200
        if self.path == "/picky":
            status = 500 if number % 5 == 0 else 404 if number % 7 == 0 else 200
        elif self.path == "/stopped":
            status = 410 if number == 3 else 200
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def serve(binary, folder, endpoints):
    port, admin = free_port(), free_port()
    config = {
        "listen": [f"127.0.0.1:{port}"],
        "admin": f"127.0.0.1:{admin}",
        "data": os.path.join(folder, "data"),
        "log": {"segment": "1MiB", "group": "256KiB", "free_space": "16MiB"},
        "limits": {"body": "64KiB"},
        "dedup": {"entries": 1024},
        "delivery": {"allow": ["127.0.0.0/8"], "buffer": "8MiB"},
        "sources": [{"name": "test", "provider": "generic", "unverified": True}],
        "endpoints": endpoints,
    }
    path = os.path.join(folder, "sluice.yaml")
    with open(path, "w") as file:
        json.dump(config, file)
    process = subprocess.Popen([binary, "serve", "--config", path], cwd=folder, stderr=subprocess.PIPE, text=True)
    for _ in range(200):
        try:
            if urllib.request.urlopen(f"http://127.0.0.1:{admin}/ready").status == 200:
                return process, port, admin
        except OSError:
            time.sleep(0.05)
        if process.poll() is not None:
            sys.exit(process.stderr.read())
    sys.exit("not ready")


def post(port, numbers):
    for number in numbers:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/in/test", json.dumps({"n": number}).encode(), {"X-Event-Id": str(number)}
        )
        urllib.request.urlopen(request).read()


def settled(folder, wanted):
    """Waits until the store has a row for each delivery that is to have one."""
    path = os.path.join(folder, "data", "store.sqlite")
    for _ in range(400):
        with sqlite3.connect(path) as db:
            if db.execute("SELECT count(*) FROM delivery").fetchone()[0] >= wanted:
                return
        time.sleep(0.05)
    sys.exit("the deliveries did not come to rest")


def stop(process):
    process.send_signal(signal.SIGTERM)
    process.wait(20)


def states(folder):
    with sqlite3.connect(os.path.join(folder, "data", "store.sqlite")) as db:
        return dict(db.execute("SELECT state, count(*) FROM delivery GROUP BY state"))


def pack(folder):
    with open(os.path.join(HERE, "data-folder-v1.tar.gz"), "wb") as target:
        with gzip.GzipFile(fileobj=target, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
            data = os.path.join(folder, "data")
            for base, _, names in sorted(os.walk(data)):
                for name in sorted(names):
                    path = os.path.join(base, name)
                    entry = tarfile.TarInfo(os.path.join("data", os.path.relpath(path, data)))
                    entry.size, entry.mode = os.path.getsize(path), 0o600
                    with open(path, "rb") as file:
                        tar.addfile(entry, io.BytesIO(file.read()))


def main():
    binary = os.path.abspath(sys.argv[1])
    sink = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{sink.server_address[1]}"
    endpoints = [
        {"name": name, "url": f"{url}/{name}", "secret": "whsec_" + "A" * 32}
        for name in ("good", "picky", "stopped", "removed")
    ]
    with tempfile.TemporaryDirectory() as folder:
        process, port, _ = serve(binary, folder, endpoints)
        post(port, range(1, EVENTS // 2 + 1))
        settled(folder, EVENTS // 2 * 3 + 3)
        stop(process)
        process, port, _ = serve(binary, folder, endpoints[:3])
        post(port, range(EVENTS // 2 + 1, EVENTS + 1))
        settled(folder, EVENTS // 2 * 3 + 3 + EVENTS // 2 * 2)
        stop(process)
        print(states(folder))
        pack(folder)


if __name__ == "__main__":
    main()
