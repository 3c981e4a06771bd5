"""Starts the real gateway for a test: a generated configuration, free ports, a temporary data folder; stops it
again.

What may break the others: a process that outlives its suite. So each gateway runs in a session of its own, is
killed when its context ends however that happens, and dies with the suite that started it (PR_SET_PDEATHSIG).
"""

import ctypes
import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid

from report import wait_until

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))
BINARY = os.environ.get("SLUICE_BIN") or os.path.join(ROOT, ".build", "release", "sluice")
SHARED = os.environ.get("SLUICE_SHARED") or os.path.join(os.path.dirname(ROOT), "shared")
READY_SECONDS = 30
STOP_SECONDS = 20
PR_SET_PDEATHSIG = 1
# Sizes a test machine can give to several gateways at once; a suite overrides what it is about.
SMALL = {
    "log": {"segment": "16MiB", "group": "4MiB", "free_space": "16MiB"},
    "dedup": {"entries": 262144},
    "delivery": {"buffer": "16MiB"},
    "limits": {"assembly": "32MiB"},
}

# A log whose segments fill within a second of load; its groups must take the largest request.
TINY_LOG = {"segment": "1MiB", "group": "512KiB", "free_space": 0}
TINY_LIMITS = {"body": "256KiB"}


# The data folder of each gateway that this process has started, by the port of its control listener: whoever talks to
# one signs in with the platform's key, which the gateway keeps there. Gateways of before there were keys have none.
KEY_FOLDERS = {}


# How its control listener is spoken to, by its port, where that has TLS.
SECURED = {}


def platform_key(admin_port):
    try:
        with open(os.path.join(KEY_FOLDERS[admin_port], "platform.key")) as file:
            return file.read().strip()
    except (KeyError, OSError):
        return ""


def signed_in(port, headers):
    """The headers with the key of the gateway whose control listener `port` is, if it is one and they have none."""
    headers = dict(headers or {})
    key = platform_key(port)
    return {"Authorization": f"Bearer {key}", **headers} if key else headers


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port(host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as s:
        s.bind((host, 0))
        return s.getsockname()[1]


def github_source(name="github", secret="test-secret", **more):
    return {"name": name, "provider": "github", "secrets": [secret], **more}


def open_source(name="test", **more):
    """Takes any body without a signature."""
    return {"name": name, "provider": "generic", "unverified": True, **more}


def endpoint(name, url, **more):
    return {"name": name, "url": url, **more}


def github_headers(body, secret="test-secret", delivery=None, event="push"):
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/044aadd",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery or str(uuid.uuid4()),
        "X-Hub-Signature-256": "sha256=" + signature,
    }


class StartFailed(Exception):
    """The process ended, or was not ready in time; the text has its exit status and what it said."""


class Gateway:
    """One `sluice serve`. Use as a context manager; leaving it asks for a clean stop and insists on exit status 0.

    `folder` keeps the data over a restart when given; otherwise it is temporary and goes with the gateway."""

    def __init__(
        self,
        sources,
        endpoints=(),
        folder=None,
        arguments=(),
        limits=None,
        expect_clean=True,
        rlimit_nofile=None,
        environment=None,
        text=None,
        wrapper=(),
        listen=None,
        **keys,
    ):
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="sluice-test-")
        self.data = os.path.join(self.folder, "data")
        self.port = self.admin_port = free_port()
        while self.admin_port == self.port:
            self.admin_port = free_port()
        self.sources, self.endpoints, self.limits, self.keys = list(sources), list(endpoints), limits, keys
        self.listen = [f"127.0.0.1:{self.port}"] + list(listen or [])
        self.arguments, self.expect_clean, self.rlimit = list(arguments), expect_clean, rlimit_nofile
        self.environment, self.text, self.wrapper = environment or {}, text, list(wrapper)
        self.process = None
        self.config_path = os.path.join(self.folder, "sluice.yaml")
        self.log_path = os.path.join(self.folder, "gateway.log")

    # configuration

    def configuration(self):
        config = {"listen": self.listen, "admin": f"127.0.0.1:{self.admin_port}", "data": self.data}
        config.update({key: dict(value) for key, value in SMALL.items()})
        for key, value in self.keys.items():
            config[key] = {**config[key], **value} if isinstance(config.get(key), dict) else value
        if self.limits:
            config["limits"] = {**config["limits"], **self.limits}
        config["sources"] = self.sources
        if self.endpoints:
            config["endpoints"] = self.endpoints
            config.setdefault("delivery", {}).setdefault("allow", ["127.0.0.0/8", "::1/128"])
        return config

    def write_configuration(self):
        # JSON is YAML: one document, no emitter to trust.
        text = self.text if self.text is not None else json.dumps(self.configuration(), indent=2)
        with open(self.config_path, "w") as file:
            file.write(text)

    # life

    def spawn(self):
        self.write_configuration()
        KEY_FOLDERS[self.admin_port] = self.data

        def prepare():
            die_with_parent()
            if self.rlimit:
                import resource

                resource.setrlimit(resource.RLIMIT_NOFILE, (self.rlimit, self.rlimit))

        self.log = open(self.log_path, "ab")
        self.log_start = self.log.tell()
        command = self.wrapper + [BINARY, "serve", "--config", self.config_path] + self.arguments
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=prepare,
            env={**os.environ, **self.environment},
            cwd=self.folder,
        )
        self.log.close()
        return self

    def start(self, seconds=READY_SECONDS):
        self.spawn()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise StartFailed(f"exit status {self.process.returncode}: {self.output()[-800:]}")
            if self.is_ready():
                return self
            time.sleep(0.02)
        self.kill()
        raise StartFailed(f"not ready within {seconds} s: {self.output()[-800:]}")

    def refused_start(self, seconds=READY_SECONDS):
        """What it says when it does not start, as it must; nothing of it is left then."""
        try:
            self.start(seconds)
        except StartFailed as error:
            return str(error)
        finally:
            self.discard()
        raise AssertionError("it started")

    def begin_reload(self):
        """Asks for a reload; what it returns says whether the gateway has said how it went."""
        said = len(self.output())
        self.process.send_signal(signal.SIGHUP)
        return lambda: "reload" in self.output()[said:]

    def reload(self, seconds=10):
        """Returns when the configuration is in force or was refused."""
        wait_until(self.begin_reload(), seconds, "no word of the reload")

    def is_ready(self):
        try:
            return self.admin("/ready")[0] == 200
        except OSError:
            return False

    def stop(self, seconds=STOP_SECONDS):
        """Asks for the end and returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running {seconds} s after SIGTERM: {self.output()[-400:]}")

    def kill(self):
        if self.process and self.process.poll() is None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.discard()
            raise

    def __exit__(self, kind, error, trace):
        try:
            if kind is None and self.expect_clean:
                status = self.stop()
                assert status == 0, f"exit status {status} after SIGTERM: {self.output()[-600:]}"
        finally:
            self.discard()

    def discard(self):
        self.kill()
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    # looking at it

    def output(self):
        """What this run of the process has said."""
        with open(self.log_path, "rb") as file:
            file.seek(self.log_start)
            return file.read().decode("utf-8", "replace")

    def admin(self, path, method="GET"):
        return request(self.admin_port, path, method=method)

    def api(self, path, value=None):
        """GET, or POST of `value`; the answer's JSON. Anything but 200 is an error."""
        body = None if value is None else json.dumps(value)
        headers = {"Content-Type": "application/json", "X-Sluice-Request": "1"} if body else {}
        status, _, answer = request(self.admin_port, path, body, headers, "POST" if body else "GET")
        assert status == 200, f"{path}: {status} {answer[:300]!r}"
        return json.loads(answer)

    def metrics(self):
        """{name{labels}: value}; every line must have the text format."""
        status, _, body = self.admin("/metrics")
        assert status == 200, f"/metrics answered {status}"
        return parse_metrics(body.decode())

    def metric_sum(self, name, **labels):
        """Sum over the series of one name whose labels include these."""
        total = 0.0
        for series, value in self.metrics().items():
            base, _, rest = series.partition("{")
            if base == name and all(f'{key}="{wanted}"' in rest for key, wanted in labels.items()):
                total += value
        return total

    def descriptor_count(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def socket_count(self):
        """Files come and go with the store's readers and the log's segments; sockets do not."""
        folder, count = f"/proc/{self.process.pid}/fd", 0
        for name in os.listdir(folder):
            try:
                count += os.readlink(os.path.join(folder, name)).startswith("socket:")
            except FileNotFoundError:
                pass
        return count

    def rss(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1]) * 1024

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def post(self, path, body, headers=None):
        return request(self.port, path, body, headers, method="POST")

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def connect_halfway(self):
        """A connection over which the gateway has a request to /in/test up to its last five bytes."""
        s = self.connect()
        s.sendall(b"POST /in/test HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello")
        time.sleep(0.2)  # nothing outside shows that half a request was read
        return s

    def takes_connections(self):
        try:
            self.connect().close()
        except OSError:
            return False
        return True

    def begin_drain(self):
        """SIGTERM; returns when it takes no new connections."""
        self.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not self.takes_connections(), 3, "new connections are taken while draining")


def request(port, path, body=None, headers=None, method="GET", host="127.0.0.1", timeout=10):
    if port in SECURED:
        connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=SECURED[port])
    else:
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=signed_in(port, headers))
        answer = connection.getresponse()
        if answer.headers.get_content_type() == "text/event-stream":
            # It does not end: what comes first.
            return answer.status, dict((k.lower(), v) for k, v in answer.getheaders()), answer.read1()
        return answer.status, dict((k.lower(), v) for k, v in answer.getheaders()), answer.read()
    finally:
        connection.close()


def sluice(*arguments, timeout=60, check=None, environment=None, stdin=None):
    """Runs a command of the binary; with `check` its exit status must be that. Signs in where --admin leads."""
    words = [str(word) for word in arguments]
    if "--admin" in words and "--key" not in words:
        key = platform_key(int(words[words.index("--admin") + 1].rpartition(":")[2]))
        environment = {**({"SLUICE_KEY": key} if key else {}), **(environment or {})}
    done = subprocess.run(
        [BINARY, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        input=stdin,
        env={**os.environ, **(environment or {})},
    )
    if check is not None:
        said = (done.stdout + done.stderr)[-600:]
        assert done.returncode == check, f"sluice {' '.join(map(str, arguments))}: status {done.returncode}: {said}"
    return done


SERIES = re.compile(
    r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\.)*",?)*\})? '
    r"([+-]?(?:Inf|NaN|[0-9.]+(?:e[+-]?[0-9]+)?))(?: [0-9]+)?$"
)


def parse_metrics(text):
    values = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = SERIES.match(line)
        assert match, f"not Prometheus text: {line[:200]!r}"
        series = match[1] + (match[2] or "")
        assert series not in values, f"series given twice: {series}"
        values[series] = float(match[3])
    return values


def read_answer(s, buffer=b""):
    """One HTTP/1.1 answer with a Content-Length off a socket: (status, head, body, rest)."""
    while b"\r\n\r\n" not in buffer:
        more = s.recv(65536)
        if not more:
            return None, buffer, b"", b""
        buffer += more
    head, _, rest = buffer.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    length = re.search(rb"(?i)\r\ncontent-length:[ \t]*(\d+)", head)
    count = int(length[1]) if length and status >= 200 else 0
    while len(rest) < count:
        more = s.recv(65536)
        if not more:
            break
        rest += more
    return status, head, rest[:count], rest[count:]
