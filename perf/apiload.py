"""Callers of the control API over connections that stay open, as programs call it: as fast as answers come, or so many
calls a second."""

import http.client
import json
import os
import shutil
import subprocess
import tempfile
import threading

from driver import LOAD_CPU
from perfutil import pinned
from serverutil import BINARY, platform_key


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


class Caller:
    """So many calls a second of the house's own load generator, which costs the machine little beside what it asks for;
    of each hundred, `changes` give an endpoint another URL, so that there is as much afterwards as before."""

    READS = ("/endpoints?limit=20", "/tenants/default", "/status", "/endpoints/hook")

    def __init__(self, admin_port, rate, connections, changes, endpoints=16):
        self.admin_port, self.rate, self.connections = admin_port, rate, connections
        self.names = [f"busy-{number}" for number in range(endpoints)]
        reads = [f"{{call: GET /api/v1{path}, weight: {(100 - changes) / len(self.READS)}}}" for path in self.READS]
        url = "http://127.0.0.1:9999/{id}"
        writes = [
            f"{{call: PATCH /api/v1/endpoints/{name}, body: '{{\"url\": \"{url}\"}}', weight: {changes / endpoints}}}"
            for name in self.names]
        self.mix = "traffic:\n" + "".join(f"  - {line}\n" for line in reads + writes)

    def __enter__(self):
        connection = Connection(self.admin_port)
        for name in self.names:
            connection.call("POST", "/endpoints", {"name": name, "url": "http://127.0.0.1:9999/", "types": ["never"]})
        self.folder = tempfile.mkdtemp(prefix="sluice-calls-")
        self.path = os.path.join(self.folder, "calls.yaml")
        with open(self.path, "w") as file:
            file.write(self.mix)
        return self

    def __exit__(self, *error):
        shutil.rmtree(self.folder, ignore_errors=True)
        connection = Connection(self.admin_port)
        for name in self.names:
            connection.call("DELETE", f"/endpoints/{name}")

    def beside(self, seconds, work):
        """What `work()` gives, done while the calls go on for so long, and the calls' own summary."""
        command = [
            BINARY, "load", "--url", f"http://127.0.0.1:{self.admin_port}", "--mix", self.path, "--rate", self.rate,
            "--duration", f"{seconds}s", "--warmup", "0s", "--connections", self.connections,
            "--header", f"Authorization: Bearer {platform_key(self.admin_port)}", "--header", "X-Sluice-Request: 1",
            "--json"]
        process = subprocess.Popen(
            pinned(LOAD_CPU, [str(word) for word in command]), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True)
        try:
            done = work()
            out, errors = process.communicate(timeout=seconds + 120)
        finally:
            process.kill()
            process.wait()
        try:
            return done, json.loads(out)
        except json.JSONDecodeError:
            raise Refused(f"sluice load: {(out + errors)[-400:]}") from None
