"""Callers of the control API over connections that stay open, as programs call it: as fast as answers come, or so many
calls a second."""

import http.client
import json
import threading
import time

from serverutil import platform_key


class Refused(Exception):
    """An answer that is no 2xx; the text says which."""


class Connection:
    def __init__(self, admin_port):
        self.http = http.client.HTTPConnection("127.0.0.1", admin_port, timeout=120)
        self.fields = {
            "Authorization": f"Bearer {platform_key(admin_port)}", "X-Sluice-Request": "1",
            "Content-Type": "application/json",
        }

    def call(self, method, path, value=None):
        body = None if value is None else json.dumps(value)
        self.http.request(method, "/api/v1" + path, body, self.fields)
        answer = self.http.getresponse()
        said = answer.read()
        if not 200 <= answer.status < 300:
            raise Refused(f"{method} {path}: {answer.status} {said[:200]!r}")
        return json.loads(said) if said else None


def together(admin_port, connections, work):
    """`work(connection, number)` on each of so many connections; the first error of any is raised at the end."""
    errors = []

    def run(number):
        try:
            work(Connection(admin_port), number)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class Paced:
    """So many calls a second over some connections until it is stopped; of each hundred, `changes` change something.
    What it makes it takes away again, so that there is as much afterwards as before."""

    def __init__(self, admin_port, rate, connections, changes):
        self.admin_port, self.rate, self.connections, self.changes = admin_port, rate, connections, changes
        self.stopping, self.lock = threading.Event(), threading.Lock()
        self.answered, self.millis, self.seconds, self.error = 0, [], 0.0, None

    def __enter__(self):
        self.started = time.monotonic()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.stopping.set()
        self.thread.join(60)
        self.seconds = time.monotonic() - self.started

    def run(self):
        try:
            together(self.admin_port, self.connections, self.pump)
        except Exception as error:
            self.error = error

    def pump(self, connection, number):
        step, due, count = self.connections / self.rate, time.monotonic() + number / self.rate, 0
        name, exists = f"busy-{number}", False
        while not self.stopping.is_set():
            due += step
            time.sleep(max(0, due - time.monotonic()))
            began = time.monotonic()
            count += 1
            if count * self.changes % 100 < self.changes:
                if exists:
                    connection.call("DELETE", f"/endpoints/{name}")
                else:
                    url = "http://127.0.0.1:9999/busy"
                    connection.call("POST", "/endpoints", {"name": name, "url": url, "types": ["never"]})
                exists = not exists
            else:
                path = ("/endpoints?limit=20", "/tenants/default", "/status", "/endpoints/hook")[count % 4]
                connection.call("GET", path)
            with self.lock:
                self.answered += 1
                self.millis.append((time.monotonic() - began) * 1e3)
        if exists:
            connection.call("DELETE", f"/endpoints/{name}")
