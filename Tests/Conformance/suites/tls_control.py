#!/usr/bin/env python3
"""TLS on the control listener: calls, streams and the command line through it, what is refused before a byte of HTTP is
read, client certificates in place of the contract's signature, renewals and revocations while it runs, what is
counted."""

import http.client
import json
import os
import socket
import ssl
import tempfile

import supportpath  # noqa: F401  (puts the shared modules on the path)
from contractclient import Edge
from report import Report, arguments, wait_until
from serverutil import SECURED, Gateway, open_source, platform_key, sluice

try:
    from certificates import SERVER, make
    from clientcertificates import Certificates
except ImportError:
    make = None

PATH = "/v1/webhooks/ingest"


def secured(world, **more):
    """A gateway whose control listener has TLS and asks clients for certificates."""
    certificate, key = world.server
    gateway = Gateway([open_source()], **more)
    gateway.keys["admin"] = {"address": f"127.0.0.1:{gateway.admin_port}", "tls": {
        "certificate": certificate, "key": key, "client_ca": world.authority, "client_crl": world.lists}}
    SECURED[gateway.admin_port] = world.context()
    return gateway


def calls(report, world, gateway):
    port = gateway.admin_port
    with report.case("calls over TLS 1.2 and 1.3, kept alive, small and large"):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = world.context()
            context.minimum_version = context.maximum_version = version
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
            fields = {"Authorization": f"Bearer {platform_key(gateway.admin_port)}", "X-Sluice-Request": "1"}
            for _ in range(3):
                connection.request("GET", "/api/v1/openapi.json", headers=fields)
                answer = connection.getresponse()
                text = answer.read()
                assert answer.status == 200 and len(text) > 100_000 and json.loads(text), answer.status
            types = "".join(f" t{n}" for n in range(20_000))
            connection.request("POST", "/api/v1/app/", json.dumps({"name": types}), {
                **fields, "Content-Type": "application/json"})
            answer = connection.getresponse()
            assert answer.status in (201, 422) and answer.read(), answer.status
            connection.close()
        old = world.context()
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as s, old.wrap_socket(s, server_hostname="localhost"):
                raise AssertionError("TLS 1.1 was taken")
        except (ssl.SSLError, ConnectionError):
            pass
    with report.case("a client without TLS is told so and sent away; so is whoever says what is neither"):
        plain = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for said, wanted in ((plain, b"400 Bad Request"), (b"\0" * 64, b"")):
            with socket.create_connection(("127.0.0.1", port), 5) as s:
                s.sendall(said)
                heard = b""
                try:
                    while more := s.recv(4096):
                        heard += more
                except ConnectionResetError:
                    pass
                assert wanted in heard and b"Bearer" not in heard, heard
                assert not wanted or b"https://" in heard, heard
        assert gateway.admin("/ready")[0] == 200


def certificates(report, world, gateway):
    edge = Edge(gateway)
    port, body = gateway.admin_port, json.dumps(edge.event()).encode()
    unsigned = lambda: edge.fields(body, role="operator")  # noqa: E731
    with report.case("a client's certificate stands for the signature; a revoked, expired or foreign one does not"):
        status, said = world.ask(port, PATH, body, unsigned(), "good")
        assert status == 202 and said["status"] == "accepted", said
        status, said = world.ask(port, PATH, body, unsigned())
        assert status == 401 and said["error"]["code"] == "invalid_signature", said
        status, said = world.ask(port, PATH, body, edge.fields(body, sign=True, role="operator"))
        assert status == 202, "whoever shows none may sign"
        wrong = {**edge.fields(body, sign=True, role="operator"), "X-Signature": "0" * 64}
        assert world.ask(port, PATH, body, wrong, "good")[0] == 401, "both given, both must hold"
        claim = {**unsigned(), "X-Forwarded-Client-Cert": "Hash=" + "ab" * 32}
        assert world.ask(port, PATH, body, claim)[0] == 401, "anyone's word on a certificate"
        for name in ("revoked", "expired", "foreign"):
            fields = edge.fields(body, sign=True, role="operator")
            assert world.ask(port, PATH, body, fields, name) == (None, None), name
    with report.case("a certificate that is revoked while we run is refused from the reload on"):
        world.file("lists.pem", world.two_revoked)
        gateway.reload()
        wait_until(lambda: world.ask(port, PATH, body, unsigned(), "good") == (None, None), 10, "it is refused")
        world.file("lists.pem", world.one_revoked)
        gateway.reload()
        wait_until(lambda: world.ask(port, PATH, body, unsigned(), "good")[0] == 202, 10, "it is taken again")


def cut_off(report, world, gateway):
    """What a reload takes away is taken from connections that are open too."""
    edge, port = Edge(gateway), gateway.admin_port
    body = json.dumps(edge.event()).encode()
    opened = {name: http.client.HTTPSConnection(
        "127.0.0.1", port, timeout=10, context=world.context(name)) for name in ("good", "other", None)}

    def ask(name):
        opened[name].request("POST", PATH, body, edge.fields(body, sign=name is None, role="operator"))
        answer = opened[name].getresponse()
        answer.read()
        return answer.status

    def is_cut(name):
        try:
            ask(name)
        except (ConnectionError, http.client.RemoteDisconnected, ssl.SSLError):
            return True
        return False

    with report.case("what is open ends with its certificate, streams too; who has another, or none, goes on"):
        assert [ask(name) for name in opened] == [202] * 3
        stream = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=world.context("good"))
        stream.request("GET", "/v1/webhooks/events", headers=edge.fields())
        events = stream.getresponse()
        assert events.status == 200 and events.readline(), events.status
        sockets = {name: one.sock for name, one in opened.items()}
        world.file("lists.pem", world.two_revoked)
        gateway.reload()
        try:
            while events.readline():
                pass
        except (ConnectionError, http.client.IncompleteRead):
            pass
        assert is_cut("good")
        assert [ask("other"), ask(None)] == [202, 202]
        assert all(opened[name].sock is sockets[name] for name in ("other", None))
        assert gateway.metric_sum("sluice_control_tls_cut_off_total") == 2
        stream.close()
    with report.case("a reload that takes away an authority ends what it has signed"):
        world.file("clients.pem", world.strangers_pem)
        gateway.reload()
        wait_until(lambda: gateway.metric_sum("sluice_control_tls_cut_off_total") == 3, 10, "the other is cut off")
        assert is_cut("other") and ask(None) == 202
        world.file("clients.pem", world.authority_pem)
        world.file("lists.pem", world.one_revoked)
        gateway.reload()
        assert world.ask(port, PATH, body, edge.fields(body, role="operator"), "good")[0] == 202
        for one in opened.values():
            one.close()


def counted(report, world, gateway):
    port = gateway.admin_port

    def figures(name, **labels):
        return gateway.metric_sum(f"sluice_control_tls_{name}_total", **labels)

    with report.case("handshakes and failures are counted, by kind and reason, and not among the ingest port's"):
        reasons = {
            "plain_http": lambda: socket.create_connection(("127.0.0.1", port), 5),
            "revoked": "revoked", "expired": "expired", "unknown_ca": "foreign"}
        ours = {reason: figures("failures", reason=reason) for reason in reasons}
        theirs, before = gateway.metric_sum("sluice_tls_failures_total"), figures("handshakes", kind="full")
        for reason, shown in reasons.items():
            if callable(shown):
                with shown() as s:
                    s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    s.recv(4096)
            else:
                assert world.ask(port, PATH, b"{}", {}, shown) == (None, None), reason
        for reason in reasons:
            wait_until(lambda: figures("failures", reason=reason) == ours[reason] + 1, 10, f"{reason} is counted")
        assert gateway.metric_sum("sluice_tls_failures_total") == theirs
        assert figures("handshakes", kind="full") > before, "those that ask for the metrics"
        context = world.context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        resumed, session = figures("handshakes", kind="resumed"), None
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", port), 5) as s:
                with context.wrap_socket(s, server_hostname="localhost", session=session) as secure:
                    session = secure.session
        wait_until(lambda: figures("handshakes", kind="resumed") == resumed + 1, 10, "a resumed one is counted")


def proxies(report, world):
    with report.case("what a trusted proxy shows is its own: its client's stands in the header"):
        with secured(world, trusted_proxies=["127.0.0.0/8"]) as gateway:
            edge = Edge(gateway)
            body = json.dumps(edge.event()).encode()
            unsigned = lambda **more: edge.fields(body, role="operator", **more)  # noqa: E731
            assert world.ask(gateway.admin_port, PATH, body, unsigned(), "good")[0] == 401
            seen = {"X-Forwarded-Client-Cert": "Hash=" + "ab" * 32}
            assert world.ask(gateway.admin_port, PATH, body, unsigned(**seen), "good")[0] == 202


def renewals(report, world, gateway):
    port, pair = gateway.admin_port, world.server

    def shown():
        with socket.create_connection(("127.0.0.1", port), 5) as s:
            with world.context().wrap_socket(s, server_hostname="localhost") as secure:
                return secure.getpeercert()["serialNumber"]

    with report.case("a renewed certificate is shown from the reload on, and no connection is dropped"):
        before, context = shown(), world.context()
        kept = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
        fields = {"Authorization": f"Bearer {platform_key(gateway.admin_port)}", "Accept": "text/event-stream"}
        stream = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
        stream.request("GET", "/api/v1/events/stream", headers=fields)
        events = stream.getresponse()
        assert events.status == 200, events.status
        kept.request("GET", "/ready")
        assert kept.getresponse().read() is not None
        old = [open(path, "rb").read() for path in pair]
        renewed = make("server", world.root_authority, names=["localhost", "127.0.0.1"], purposes=[SERVER], ends=9.5)
        for path, data in zip(pair, (renewed.chain_pem, renewed.key_pem)):
            world.file(os.path.basename(path), data)
        gateway.reload()
        wait_until(lambda: shown() != before, 10, "the renewed one is shown")
        kept.request("GET", "/ready")
        assert kept.getresponse().status == 200, "the connection of before goes on"
        gateway.post("/in/test", b"{}")
        line = b""
        while b"data:" not in line:
            line = events.readline()
            assert line, "the stream of before has ended"
        stream.close()
        kept.close()
    with report.case("how long it is good for: the metric, and doctor"):
        left = gateway.metric_sum("sluice_tls_certificate_expiry_seconds", listener=f"127.0.0.1:{port}")
        assert 9 * 86_400 < left <= 9.5 * 86_400, left
        done = sluice("doctor", "--data", gateway.data, "--config", gateway.config_path, "--json")
        rows = [one for one in json.loads(done.stdout)["findings"] if one["what"] == "certificate"]
        assert any("server.pem: 9 days left" in one["found"] and one["verdict"] == "warn" for one in rows), rows
    with report.case("a key that does not fit is named, and changes nothing"):
        now = shown()
        world.file(os.path.basename(pair[1]), old[1])
        gateway.reload()
        said = gateway.output()
        assert "reload refused" in said and "server.key" in said and "admin" in said, said[-400:]
        assert shown() == now
        for path, data in zip(pair, old):
            world.file(os.path.basename(path), data)
        gateway.reload()


def bad_starts(report, world):
    certificate, key = world.server
    with report.case("bad files stop the start, with file and reason"):
        none = world.file("none.pem", b"")
        for tls, words in (
            ({"certificate": certificate, "key": none}, "none.pem"),
            ({"certificate": certificate, "key": world.shown["good"][1]}, "good.key"),
            ({"key": key}, "certificate"),
            ({"certificate": certificate, "key": key, "client_crl": world.lists}, "client_ca"),
        ):
            gateway = Gateway([open_source()])
            gateway.keys["admin"] = {"address": f"127.0.0.1:{gateway.admin_port}", "tls": tls}
            error = gateway.refused_start(10)
            assert "exit status 2" in error and words in error and "sluice.yaml:" in error, error[-400:]
        gateway = Gateway([open_source()])
        gateway.keys["admin"] = {"tls": {"certificate": certificate, "key": key}}
        assert "address" in gateway.refused_start(10)


def command_line(report, world, gateway):
    url, home = f"https://127.0.0.1:{gateway.admin_port}", tempfile.mkdtemp(dir=world.folder)
    alone = {"XDG_CONFIG_HOME": home, "SLUICE_KEY": "", "SLUICE_CA": "", "SLUICE_PROFILE": ""}

    def run(*words, check=0, **environment):
        key = platform_key(gateway.admin_port)
        return sluice(*words, check=check, environment={**alone, **environment}, stdin=key + "\n")

    with report.case("sluice login --url https://… --ca, and the commands that follow"):
        run("login", "--url", url, "--ca", world.root)
        assert run("tenants", "list", "--json").stdout.strip()
        assert url in run("profiles", "list").stdout
    with report.case("the command line believes nobody without a reason, and says what is missing"):
        said = run("login", "--url", url, "--profile", "b", check=2).stderr
        assert "--ca" in said and ("unknown_ca" in said or "self_signed" in said), said
        said = run("login", "--url", url, "--ca", world.authority, "--profile", "b", check=2).stderr
        assert "TLS" in said, said
        run("login", "--url", url, "--profile", "b", SLUICE_CA=world.root)
        said = run("login", "--url", url, "--ca", os.path.join(world.folder, "nowhere"), check=2).stderr
        assert "nowhere" in said, said
        said = run("login", "--url", "http://127.0.0.1:1", "--ca", world.root, check=2).stderr
        assert "https://" in said or "--ca" in said, said
        plain = run("tenants", "list", "--admin", f"127.0.0.1:{gateway.admin_port}", "--key", "k", check=1)
        assert plain.stderr, plain
    with report.case("--config knows that the listener has TLS"):
        done = run("tenants", "list", "--config", gateway.config_path, "--ca", world.root, "--json")
        assert done.stdout.strip(), done.stderr
        assert "https://" in gateway.output(), "the banner"


def main():
    arguments(__doc__)
    report = Report("tls_control")
    if make is None:
        report.skip("all of it", "PyPI's cryptography is not here")
        return report.finish()
    with tempfile.TemporaryDirectory(prefix="sluice-tls-control-") as folder:
        world = Certificates(folder)
        with secured(world) as gateway:
            for group in (calls, counted, certificates, cut_off, renewals, command_line):
                group(report, world, gateway)
        proxies(report, world)
        bad_starts(report, world)
    report.finish()


if __name__ == "__main__":
    main()
