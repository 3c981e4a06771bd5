#!/usr/bin/env python3
"""Deliveries over TLS: servers whose certificates are bad in one way each, every one refused with its reason; and good
ones, which get what they are sent.

One gateway has an endpoint for each server, and one event goes to all of them. Names other than localhost need a hosts
file of our own, which a mount namespace gives; where none is to be had, the cases that need it are skipped."""

import contextlib
import os
import socket
import ssl
import subprocess
import tempfile
import threading

import supportpath  # noqa: F401  (puts the shared modules on the path)
from contractclient import Edge
from hostsfile import hosts_wrapper
from receiver import Receiver
from report import Report, arguments, wait_until
from serverutil import Gateway, endpoint, free_port, github_headers, github_source
from tunnel import Tunnel

try:
    from certificates import CLIENT, SERVER, make, new_key, revocations
    from cryptography import x509
except ImportError:
    make = None

FAST = {"delays": ["30s"], "jitter": 0}
HOSTS = ["a.b.wild.test", "www.wild.test", "one.wild.test"]


def server_context(folder, name, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # What a bad server shows is ours to choose, whatever this machine's own policy says.
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(*certificate.write(folder, name))
    return context


class World:
    """The authorities, and the servers that a case needs."""

    def __init__(self, folder):
        self.folder, self.stack = folder, contextlib.ExitStack()
        self.root = make("Root", authority=True)
        self.other = make("Another root", authority=True)
        self.middle = make("Intermediate", self.root, authority=True, path_length=0)
        self.ca = self.file("root.pem", self.root.pem)
        self.receivers, self.endpoints, self.expected = {}, [], {}

    def file(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def leaf(self, issuer=None, names=("localhost",), **options):
        options.setdefault("purposes", [SERVER])
        return make("endpoint", issuer or self.root, names=names, **options)

    def serve(self, name, certificate, reason=None, host="localhost", tls=None, change=None):
        """An endpoint whose server shows this; refused for `reason`, or delivered to without one."""
        context = server_context(self.folder, name, certificate)
        if change:
            change(context)
        receiver = self.stack.enter_context(Receiver(tls=context))
        self.receivers[name] = receiver
        self.point(name, f"https://{host}:{receiver.port}/hooks", reason, tls)
        return receiver

    def point(self, name, url, reason, tls=None):
        settings = {"ca": self.ca, **(tls or {})}
        more = {"tls": settings} if url.startswith("https") else {}
        self.endpoints.append(endpoint(name, url, retry=FAST, **more))
        if reason:
            self.expected[name] = reason if isinstance(reason, tuple) else (reason,)


def sign_with_sha1(world):
    """Signed by the openssl command: the library refuses SHA-1, and rightly so."""
    leaf = world.leaf()
    request = world.file("sha1.csr", b"")
    chain, key = leaf.write(world.folder, "sha1-base")
    root, root_key = world.root.write(world.folder, "sha1-root")
    extensions = world.file("sha1.ext", b"subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n")
    made = os.path.join(world.folder, "sha1.pem")
    subprocess.run(
        ["openssl", "req", "-new", "-key", key, "-subj", "/CN=endpoint", "-out", request], check=True,
        capture_output=True)
    subprocess.run(
        ["openssl", "x509", "-req", "-in", request, "-CA", root, "-CAkey", root_key, "-CAcreateserial", "-sha1",
         "-days", "30", "-extfile", extensions, "-out", made], check=True, capture_output=True)
    with open(made, "rb") as file:
        leaf.certificate = x509.load_pem_x509_certificate(file.read())
    return leaf


def bad_certificates(world, has_hosts):
    leaf, root = world.leaf, world.root
    world.serve("expired", leaf(begins=-20, ends=-1), "expired")
    world.serve("not-yet-valid", leaf(begins=2), "not_yet_valid")
    world.serve("other-name", leaf(names=["example.com"]), "name_mismatch")
    world.serve("other-address", leaf(names=["127.0.0.2"]), "name_mismatch", host="127.0.0.1")
    world.serve("only-a-common-name", make("localhost", root, purposes=[SERVER]), "name_mismatch")
    world.serve("any-name", leaf(names=["*"]), "name_mismatch")
    world.serve("unknown-ca", leaf(world.other), "unknown_ca")
    alone = leaf(world.middle)
    alone.above = []
    world.serve("intermediate-missing", alone, "unknown_ca")
    world.serve("self-signed", make("localhost", names=["localhost"], purposes=[SERVER]), "self_signed")
    world.serve("not-a-ca", leaf(make("No CA", root, authority=False)), "not_a_ca")
    world.serve("no-ca-extension", leaf(make("No CA", root, authority=None)), "not_a_ca")
    world.serve(
        "ca-that-may-not-sign", leaf(make("CA", root, authority=True, signs=False)), ("not_a_ca", "unknown_ca"))
    world.serve(
        "path-too-long", leaf(make("Second", world.middle, authority=True, path_length=0)), "path_too_long")
    world.serve("expired-ca", leaf(make("CA", root, authority=True, begins=-20, ends=-1)), "expired")
    world.serve("no-server-auth", leaf(purposes=[CLIENT]), "wrong_purpose")
    world.serve("short-key", leaf(kind="rsa1024"), "short_key")
    world.serve("ca-with-a-short-key", leaf(make("CA", root, authority=True, kind="rsa1024")), "short_key")
    world.serve("sha1", sign_with_sha1(world), "weak_signature")
    bound = make("Bound CA", root, authority=True, permitted="example.com")
    world.serve("name-constraint", leaf(bound), "name_constraint")
    forged = make("Root", key=new_key(), authority=True)
    world.serve("forged", leaf(forged), ("unknown_ca", "bad_certificate"))
    revoked = leaf()
    lists = world.file("root.crl", revocations(root, [revoked]))
    world.serve("revoked", revoked, "revoked", tls={"crl": lists})
    world.serve("not-revoked", leaf(), tls={"crl": lists})
    world.serve("no-crl", leaf(world.middle), "no_crl", tls={"crl": lists})
    old = world.file("old.crl", revocations(root, [revoked], begins=-20, ends=-2))
    world.serve("old-crl", leaf(), "crl_not_current", tls={"crl": old})
    if has_hosts:
        world.serve("wildcard-too-deep", leaf(names=["*.wild.test"]), "name_mismatch", host="a.b.wild.test")
        world.serve("half-a-wildcard", leaf(names=["w*.wild.test"]), "name_mismatch", host="www.wild.test")
        world.serve("wildcard", leaf(names=["*.wild.test"]), host="one.wild.test")


def old_protocol(context):
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1


def bad_servers(world):
    world.serve("tls-1.1", world.leaf(), ("protocol_version", "nothing_shared"), change=old_protocol)

    def refuse(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    plain = raw_server(world, refuse)
    world.point("plain-http", f"https://localhost:{plain}/hooks", "not_tls")

    def demand(context):
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(world.ca)

    world.serve("wants-a-certificate", world.leaf(), "certificate_refused", change=demand)
    foreign = world.leaf(world.other, names=[], purposes=[CLIENT]).write(world.folder, "foreign")
    world.serve(
        "wants-another-certificate", world.leaf(), "certificate_refused",
        tls={"certificate": foreign[0], "key": foreign[1]}, change=demand)
    mine = world.leaf(names=[], purposes=[CLIENT]).write(world.folder, "mine")
    world.serve("shows-a-certificate", world.leaf(), tls={"certificate": mine[0], "key": mine[1]}, change=demand)
    world.point("only-http2", f"https://localhost:{http2_server(world)}/", "only_http2")
    port = free_port()
    chain, key = world.leaf().write(world.folder, "alpn")
    server = subprocess.Popen(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", chain, "-key", key, "-alpn", "h2", "-quiet"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    world.stack.callback(server.wait)
    world.stack.callback(server.kill)
    wait_until(lambda: is_open(port), 10, "openssl s_server does not listen")
    world.point("only-http2-by-alpn", f"https://localhost:{port}/", "only_http2")


def is_open(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def http2_server(world):
    """Begins with the settings of HTTP/2, whatever the client offers."""
    context = server_context(world.folder, "http2", world.leaf())

    def begin(connection):
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.sendall(b"\0\0\0\4\0\0\0\0\0")
            tls.recv(65536)

    return raw_server(world, begin)


def raw_server(world, handle):
    """The port of a server that does this with each connection, one after the other."""
    listener = socket.create_server(("127.0.0.1", 0))
    world.stack.callback(listener.close)

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), connection:
                handle(connection)

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def only_tls12(context):
    context.maximum_version = ssl.TLSVersion.TLSv1_2


def good_servers(world):
    world.serve("elliptic", world.leaf())
    world.serve("p384", world.leaf(kind="p384"))
    world.serve("rsa", world.leaf(kind="rsa2048"))
    world.serve("address", world.leaf(names=["127.0.0.1"]), host="127.0.0.1")
    world.serve("intermediate", world.leaf(world.middle))
    world.serve("tls-1.2", world.leaf(), change=only_tls12)
    world.serve("own-ca", world.leaf(world.other), tls={"ca": world.file("other.pem", world.other.pem)})


def send(gateway, size=100):
    body = b'{"pad":"' + b"x" * size + b'"}'
    status, _, answer = gateway.post("/in/github", body, github_headers(body))
    assert status == 202, f"{status} {answer[:200]}"
    return body


def status_of(gateway):
    return {one["name"]: one for one in gateway.api("/api/v1/endpoints?limit=200")["items"]}


def refused_and_delivered(report, world, wrapper):
    gateway = Gateway([github_source()], world.endpoints, wrapper=wrapper or ())
    with gateway:
        body = send(gateway)

        def undecided():
            states = status_of(gateway)
            return [
                name for name, one in states.items()
                if not one["status"].get("last_error") and not one["status"].get("last_success_at")]

        wait_until(lambda: not undecided(), 40, lambda: f"not attempted: {undecided()}")
        states = status_of(gateway)

        def failures_counted():
            return {
                series: value for series, value in gateway.metrics().items()
                if series.startswith("sluice_delivery_tls_failures_total")}

        # A scrape shows what the dispatcher last told, a second ago at most.
        wait_until(
            lambda: sum(failures_counted().values()) >= len(world.expected), 10,
            lambda: f"failures counted: {failures_counted()}")
        failures = failures_counted()
        for one in world.endpoints:
            name, reasons = one["name"], world.expected.get(one["name"])
            with report.case(f"{name}: {' or '.join(reasons) if reasons else 'delivered'}"):
                said = states[name]["status"].get("last_error") or ""
                receiver = world.receivers.get(name)
                if reasons is None:
                    assert not said, said
                    assert [d.body for d in receiver.snapshot()] == [body], "not what was sent"
                    continue
                assert any(said.endswith(f"({reason})") for reason in reasons), said
                assert receiver is None or receiver.count() == 0, "a request reached the server"
                assert any(f'reason="{reason}"' in series for reason in reasons for series in failures), failures
        with report.case("the API has the reason of an attempt"):
            found = gateway.api("/api/v1/deliveries?endpoint=expired")["items"]
            detail = gateway.api(f"/api/v1/deliveries/{found[0]['event']}/{states['expired']['id']}")
            attempt = detail["attempts"][0]
            assert (attempt["result"], attempt["tls_error"]) == ("tls_failed", "expired"), attempt


def kept_and_resumed(report, world):
    with report.case("keep-alive and resumption: few connections, later ones resumed"):
        context = server_context(world.folder, "kept", world.leaf())
        # Every third answer ends its connection.
        script = lambda d, number: (204, {"Connection": "close"}) if number % 3 == 0 else 204  # noqa: E731
        with Receiver(script, tls=context) as receiver:
            one = endpoint(
                "kept", f"https://localhost:{receiver.port}/", retry=FAST, concurrency=1, tls={"ca": world.ca})
            with Gateway([github_source()], [one]) as gateway:
                for number in range(12):
                    send(gateway, 10 + number)
                wait_until(lambda: receiver.count() == 12, 20, lambda: f"{receiver.count()} deliveries")
        assert receiver.connections == 4, f"{receiver.connections} connections"
        assert receiver.resumed == 3, f"{receiver.resumed} resumed"
    with report.case("bodies of many records arrive whole"):
        context = server_context(world.folder, "large", world.leaf(kind="rsa2048"))
        with Receiver(tls=context) as receiver:
            one = endpoint("large", f"https://localhost:{receiver.port}/", retry=FAST, tls={"ca": world.ca})
            with Gateway([github_source()], [one]) as gateway:
                bodies = {send(gateway, size) for size in (16_300, 16_384, 40_000, 900_000)}
                wait_until(lambda: receiver.count() == 4, 20, lambda: f"{receiver.count()} deliveries")
                assert {d.body for d in receiver.snapshot()} == bodies, "not what was sent"


def bad_files(report, world):
    good = world.leaf(names=[], purposes=[CLIENT]).write(world.folder, "good-client")
    other = world.leaf(names=[], purposes=[CLIENT]).write(world.folder, "other-client")
    old = world.leaf(names=[], purposes=[CLIENT], begins=-9, ends=-1).write(world.folder, "old-client")
    empty = world.file("empty.pem", b"")
    rows = [
        ({"ca": "no-such-file.pem"}, "no such file"),
        ({"ca": empty}, "no certificate in PEM"),
        ({"certificate": good[0], "key": other[1]}, "private key of another certificate"),
        ({"certificate": old[0], "key": old[1]}, "has expired"),
        ({"certificate": good[0], "key": empty}, "no private key in PEM"),
        ({"key": good[1]}, "no use without `certificate`"),
        ({"crl": good[0]}, "no list of revoked certificates"),
    ]
    for tls, words in rows:
        with report.case(f"refused at start: {', '.join(tls)}: {words}"):
            error = Gateway([github_source()], [endpoint("one", "https://localhost:9443/", tls=tls)]).refused_start(10)
            assert "exit status 2" in error and words in error, error[-300:]
    with report.case("a reload with a bad file changes nothing, one with a renewed file does"):
        context = server_context(world.folder, "renewing", world.leaf(world.other))
        with Receiver(tls=context) as receiver:
            ca = world.file("renewed-ca.pem", world.root.pem)
            one = endpoint("one", f"https://localhost:{receiver.port}/", retry={"delays": ["1s"] * 30}, tls={"ca": ca})
            with Gateway([github_source()], [one]) as gateway:
                send(gateway)
                wait_until(
                    lambda: "unknown_ca" in (status_of(gateway)["one"]["status"].get("last_error") or ""), 10,
                    "the certificate was believed")
                world.file("renewed-ca.pem", b"nothing")
                gateway.reload()
                assert "no certificate in PEM" in gateway.output(), gateway.output()[-300:]
                world.file("renewed-ca.pem", world.other.pem)
                gateway.reload()
                wait_until(lambda: receiver.count() == 1, 15, "not delivered after the reload")


def named_certificates(report, world):
    """An entry of the contract's registry names a certificate of the configuration file."""
    clients, strangers = make("Clients", authority=True), make("Strangers", authority=True)
    good = make("partner", clients, purposes=[CLIENT]).write(world.folder, "partner")
    foreign = make("partner", strangers, purposes=[CLIENT]).write(world.folder, "foreign")
    context = server_context(world.folder, "mutual", world.leaf())
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(world.file("clients.pem", clients.pem))
    shown = [world.file(f"shown.{kind}", open(path, "rb").read()) for kind, path in zip(("pem", "key"), foreign)]
    one = {"name": "partner", "tenant": "*", "certificate": shown[0], "key": shown[1], "ca": world.ca}
    private = {"name": "private", "tenant": "default", "certificate": good[0], "key": good[1]}
    with Receiver(tls=context) as receiver, Gateway(
            [], client_certificates=[one, private], delivery={"allow": ["127.0.0.0/8"]}) as gateway:
        edge, url = Edge(gateway), f"https://localhost:{receiver.port}/hooks"
        draft = {"target_url": url, "event_type": "*", "retry_policy": {"max_retries": 0}}

        def refused(change, method="POST", path="/registry"):
            said = edge.call(method, path, change, (422,))["error"]
            assert [it["field"] for it in said["details"]] == ["mtls_cert_ref"], said
            return said["details"][0]["message"]

        with report.case("mtls_cert_ref: a name that is not there, or another tenant's, is refused when it is saved"):
            words = [refused({**draft, "mtls_cert_ref": name}) for name in ("nobody", "private")]
            assert all("client_certificates" in it and "`partner`" in it for it in words), words
            assert words[0].replace("nobody", "private") == words[1], "whether another tenant has one is not told"
            plain = {"target_url": f"http://localhost:{free_port()}/", "mtls_cert_ref": "partner"}
            assert "https" in refused({**draft, **plain})
        with report.case("mtls_cert_ref: deliveries and tests show it; a reload changes it, takes none that is named"):
            made = edge.call("POST", "/registry", {**draft, "mtls_cert_ref": "partner"})
            assert made["mtls_cert_ref"] == "partner", made
            path = "/registry/" + made["webhook_id"]
            test = lambda: edge.call("POST", "/test", {"webhook_id": made["webhook_id"]})  # noqa: E731
            assert test()["delivered"] is False, "the receiver does not know who signed it"
            edge.ingest(edge.event("a"))
            dead = wait_until(lambda: edge.deliveries("?status=dlq"), 20, "a dead letter")[0]
            detail = edge.call("GET", "/deliveries/" + dead["delivery_id"])
            assert dead["error_class"] == "transient" and "TLS" in detail["attempts"][0]["error"], detail
            for path_shown, path_good in zip(shown, good):
                world.file(os.path.basename(path_shown), open(path_good, "rb").read())
            gateway.reload()
            assert test()["delivered"] is True
            edge.call("POST", "/dlq/replay", {"reason": "renewed", "delivery_ids": [dead["delivery_id"]]})
            wait_until(lambda: edge.deliveries("?status=delivered"), 20, "delivered with the renewed one")
            gateway.keys["client_certificates"] = [private]
            gateway.write_configuration()
            gateway.reload()
            assert "mtls_cert_ref" in gateway.output() and "`partner` names none" in gateway.output()
            edge.ingest(edge.event("b"))
            wait_until(lambda: len(edge.deliveries("?status=delivered")) == 2, 20, "nothing has changed")
            assert edge.call("PATCH", path, {"name": "n"})["mtls_cert_ref"] == "partner", "what is absent stays"
            assert edge.call("PATCH", path, {"mtls_cert_ref": None})["mtls_cert_ref"] is None
            gateway.keys["client_certificates"] = [private]
            gateway.write_configuration()
            gateway.reload()
            refused({"mtls_cert_ref": "partner"}, "PATCH", path)
    with report.case("client_certificates: what is wrong with one stops the start, with its line"):
        for more, words in (({"key": world.file("none.pem", b"")}, "no private key in PEM"),
                            ({"name": "a b"}, "not a valid name"), ({"colour": 1}, "unknown key")):
            keys = {"client_certificates": [{"name": "a", "certificate": good[0], "key": good[1], **more}]}
            error = Gateway([github_source()], **keys).refused_start(10)
            assert "exit status 2" in error and words in error, error[-300:]


def through_a_proxy(report, world):
    context = server_context(world.folder, "proxied", world.leaf())
    with Receiver(tls=context) as secure, Receiver() as plain, Receiver() as direct, Tunnel() as proxy:
        endpoints = [
            endpoint("secure", f"https://localhost:{secure.port}/", retry=FAST, tls={"ca": world.ca}),
            endpoint("plain", plain.url, retry=FAST),
            endpoint("direct", f"http://localhost:{direct.port}/", retry=FAST),
        ]
        receivers = (secure, plain, direct)
        settings = {"url": proxy.url, "except": ["*.example.com", "10.0.0.0/8"]}
        with Gateway([github_source()], endpoints, delivery={"proxy": settings}) as gateway:
            with report.case("through a proxy: https and http, asked for the address that was checked"):
                for _ in range(3):
                    body = send(gateway)
                wait_until(lambda: all(r.count() == 3 for r in receivers), 20, lambda: status_of(gateway))
                assert secure.snapshot()[-1].body == body
                wanted = {("CONNECT", f"127.0.0.1:{one.port}") for one in receivers}
                # Where localhost has an IPv6 address, too, it was tried and nobody was there.
                asked = {one for one in proxy.asked if "[::1]" not in one[1]}
                assert asked == wanted, proxy.asked
        settings["except"] = ["localhost"]
        before = len(proxy.asked)
        with Gateway([github_source()], endpoints, delivery={"proxy": settings}) as gateway:
            with report.case("exceptions are reached without it"):
                send(gateway)
                wait_until(lambda: all(r.count() == 4 for r in receivers), 20, lambda: status_of(gateway))
                assert proxy.asked[before:] == [("CONNECT", f"127.0.0.1:{plain.port}")], proxy.asked[before:]
    with Receiver() as receiver, Tunnel(status=403) as proxy:
        one = [endpoint("one", receiver.url, retry=FAST)]
        with Gateway([github_source()], one, delivery={"proxy": {"url": proxy.url}}) as gateway:
            with report.case("a proxy that refuses is named, with its answer"):
                send(gateway)
                wait_until(
                    lambda: "the proxy answered 403" in (status_of(gateway)["one"]["status"].get("last_error") or ""),
                    10, lambda: status_of(gateway)["one"]["status"])
                assert receiver.count() == 0
    with report.case("the environment's proxy is not used"):
        with Receiver() as receiver, Tunnel() as proxy:
            environment = {name: proxy.url for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY")}
            one = [endpoint("one", receiver.url, retry=FAST)]
            with Gateway([github_source()], one, environment=environment) as gateway:
                send(gateway)
                wait_until(lambda: receiver.count() == 1, 10, "not delivered")
                assert not proxy.asked


def main():
    arguments("TLS on the way out")
    report = Report("tls_out")
    if make is None:
        report.skip("everything", "PyPI's cryptography is not there")
        return report.finish()
    with tempfile.TemporaryDirectory(prefix="sluice-tls-") as folder:
        wrapper = hosts_wrapper(folder, [(name, "127.0.0.1") for name in HOSTS])
        world = World(folder)
        with world.stack:
            if wrapper is None:
                report.skip("wildcards", "no mount namespace for a hosts file of our own")
            bad_certificates(world, wrapper is not None)
            bad_servers(world)
            good_servers(world)
            refused_and_delivered(report, world, wrapper)
            kept_and_resumed(report, world)
            bad_files(report, world)
            named_certificates(report, world)
            through_a_proxy(report, world)
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(main())
