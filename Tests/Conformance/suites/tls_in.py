#!/usr/bin/env python3
"""TLS on the ingest port: the raw HTTP cases through it, which certificate is shown to whom, what is refused before a
byte of HTTP is read, which client certificates a source takes, and that nothing else suffers."""

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
from report import Report, arguments, wait_until
from run_http_cases import cases
from serverutil import Gateway, StartFailed, free_port, open_source

try:
    from certificates import CLIENT, SERVER, hashes, make
except ImportError:
    make = None

HEAD_SECONDS = 2.0
# OpenSSL would ask the terminal for the password of it.
LOCKED = (b"-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\n"
          b"DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n"
          b"AAAAAAAAAAAAAAAAAAAAAA==\n-----END CERTIFICATE-----\n")
TAKES = {
    "client": {"client", "pinned", "named"}, "other": set(), "partner": {"partners", "workload", "pinned"},
    "impostor": {"partners", "named"}, None: set()}
POST = b"POST /in/test HTTP/1.1\r\nHost: localhost\r\nX-Id: %s\r\nContent-Length: 5\r\n\r\nhello"


class World:
    """The certificates, and a gateway with a plain listener, one with TLS, and one that asks clients for theirs."""

    def __init__(self, folder):
        self.folder = folder
        self.root = make("Root", authority=True)
        self.clients = make("Clients", authority=True)
        self.files = {}
        for name, kind, names in [
            ("first", "ec", ["localhost"]), ("first-rsa", "rsa2048", ["localhost"]), ("second", "ec", ["second.test"])]:
            self.files[name] = make(name, self.root, kind=kind, names=names, purposes=[SERVER]).write(folder, name)
        self.ca = self.file("root.pem", self.root.pem)
        self.partners = make("Partners", authority=True)
        self.middle = make("Partners' second", self.partners, authority=True)
        self.clients_ca = self.file("of-clients.pem", self.clients.pem)
        self.partners_ca = self.file("of-partners.pem", self.partners.pem)
        self.client_ca = self.file("clients.pem", self.clients.pem + self.partners.pem)
        self.shown = {
            "client": make("client", self.clients, names=["a.client.test"], purposes=[CLIENT]),
            "other": make("other", self.clients, names=["b.client.test"], purposes=[CLIENT]),
            "partner": make("partner", self.middle, names=["spiffe://partner.test/a"], purposes=[CLIENT]),
            # The name of another authority's client.
            "impostor": make("client", self.partners, names=["a.client.test"], purposes=[CLIENT]),
        }
        self.pairs = {name: one.write(folder, f"shown-{name}") for name, one in self.shown.items()}
        self.port, self.asking_port = free_port(), free_port()

    def file(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def tls(self, *names, **more):
        pairs = [dict(zip(("certificate", "key"), self.files[name])) for name in names]
        return {**pairs[0], **({"certificates": pairs[1:]} if pairs[1:] else {}), **more}

    def gateway(self, **keys):
        listen = [
            {"address": f"127.0.0.1:{self.port}", "tls": self.tls("first", "first-rsa", "second")},
            {"address": f"127.0.0.1:{self.asking_port}", "tls": self.tls("first", client_ca=self.client_ca)}]
        limits = {"connections": 4000, "head_time": f"{HEAD_SECONDS:.0f}s"}
        return Gateway([open_source(), *self.demanding()], listen=listen, limits=limits, **keys)

    def fingerprint(self, name):
        return self.shown[name].certificate.fingerprint(hashes.SHA256())

    def demanding(self):
        """Sources that demand certificates, by what they say of them."""
        colons = ":".join(f"{byte:02X}" for byte in self.fingerprint("partner"))
        demands = {
            "client": {"ca": self.clients_ca, "names": ["a.client.test"]},
            "partners": {"ca": self.partners_ca},
            "workload": {"names": ["nobody", "spiffe://partner.test/a"]},
            "pinned": {"fingerprints": [self.fingerprint("client").hex(), colons]},
            "named": {"names": ["client"]},
        }
        return [open_source(name, client_certificate=one) for name, one in demands.items()]

    def context(self, **options):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca)
        for name, value in options.items():
            setattr(context, name, value)
        return context

    def connect(self, context=None, name="localhost", port=None, **more):
        raw = socket.create_connection(("127.0.0.1", port or self.port), 5)
        try:
            return (context or self.context()).wrap_socket(raw, server_hostname=name, **more)
        except BaseException:
            raw.close()
            raise


def ask(s, mark, source="test", fields=""):
    request = POST.replace(b"/in/test", f"/in/{source}".encode()).replace(b"X-Id", fields.encode() + b"X-Id")
    s.sendall(request % mark.encode())
    answer = b""
    while b"\r\n\r\n" not in answer or not answer.rstrip().endswith(b"}"):
        more = s.recv(65536)
        if not more:
            break
        answer += more
    return answer.decode()


def refused(attempt):
    """The error of a handshake that must not succeed."""
    try:
        with attempt() as s:
            answer = ask(s, "refused")
            assert not answer, f"answered {answer[:80]!r}"
            return "closed"
    except (ssl.SSLError, ConnectionError, socket.timeout) as error:
        return getattr(error, "reason", None) or str(error)


def shown_certificates(world):
    with world.connect() as s:
        assert s.version() == "TLSv1.3", s.version()
        assert s.selected_alpn_protocol() is None
        assert " 202 " in ask(s, "shown")
        names = s.getpeercert()["subjectAltName"]
        assert names == (("DNS", "localhost"),), names
    with world.connect(name="second.test") as s:
        assert s.getpeercert()["subjectAltName"] == (("DNS", "second.test"),)
    rsa = world.context(maximum_version=ssl.TLSVersion.TLSv1_2)
    rsa.set_ciphers("aRSA")
    with world.connect(rsa) as s:
        assert "RSA" in s.cipher()[0] and s.version() == "TLSv1.2", s.cipher()
        assert " 202 " in ask(s, "rsa")
    both = world.context()
    both.set_alpn_protocols(["h2", "http/1.1"])
    with world.connect(both) as s:
        assert s.selected_alpn_protocol() == "http/1.1"
    only = world.context()
    only.set_alpn_protocols(["h2"])
    assert refused(lambda: world.connect(only)), "a client of HTTP/2 alone"


def resumption(world, gateway):
    before = gateway.metric_sum("sluice_tls_handshakes_total", kind="resumed")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = world.context(minimum_version=version, maximum_version=version)
        with world.connect(context) as s:
            ask(s, "before")
            session = s.session
        with world.connect(context, session=session) as s:
            assert s.session_reused, version
            assert " 202 " in ask(s, "resumed")
    after = gateway.metric_sum("sluice_tls_handshakes_total", kind="resumed")
    assert after == before + 2, f"{before} and then {after}"


def floor(world):
    accepted = []
    for name, version, ciphers in [
        ("TLS 1.0", ssl.TLSVersion.TLSv1, "ALL:@SECLEVEL=0"), ("TLS 1.1", ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"),
        ("NULL", ssl.TLSVersion.TLSv1_2, "NULL:@SECLEVEL=0"), ("CBC", ssl.TLSVersion.TLSv1_2, "AES128-SHA"),
        ("no forward secrecy", ssl.TLSVersion.TLSv1_2, "kRSA")]:
        context = world.context()
        with contextlib.suppress(ssl.SSLError):
            context.set_ciphers(ciphers)
            context.minimum_version = context.maximum_version = version
            if not refused(lambda: world.connect(context)):
                accepted.append(name)
    assert not accepted, accepted


def renegotiation(world):
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{world.port}", "-tls1_2", "-CAfile", world.ca],
        input=b"R\n", capture_output=True, timeout=20)
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert "RENEGOTIATING" in text and "no renegotiation" in text.lower(), text[-400:]


def stall(world):
    s = socket.create_connection(("127.0.0.1", world.port))
    s.sendall(bytes.fromhex("160301020001000 1fc0303".replace(" ", "")) + b"\0" * 9)
    s.settimeout(HEAD_SECONDS + 5)
    started = time.monotonic()
    assert s.recv(100) == b""
    return f"closed after {time.monotonic() - started:.1f} s"


def truncation(world, gateway):
    before = gateway.metric_sum("sluice_events_total", outcome="accepted")
    s = world.connect()
    s.sendall((POST % b"cut")[:-3])
    # The end of the connection without TLS' own: it cannot be told from one that was cut.
    socket.socket(fileno=os.dup(s.fileno())).shutdown(socket.SHUT_RDWR)
    s.close()
    time.sleep(0.3)  # nothing is to happen, which nothing announces
    assert gateway.metric_sum("sluice_events_total", outcome="accepted") == before


def no_handshake(world, gateway):
    def failures(reason):
        return gateway.metric_sum("sluice_tls_failures_total", reason=reason)

    for data, reason in [(POST % b"plain", "plain_http"), (b"garbage " * 40, "not_tls")]:
        before = failures(reason)
        s = socket.create_connection(("127.0.0.1", world.port), 5)
        s.sendall(data)
        with contextlib.suppress(ConnectionError):
            answer = s.recv(1000)
            assert b"HTTP" not in answer, answer
        wait_until(lambda: failures(reason) == before + 1, 5, f"a failure counted as {reason}")
    raw = socket.create_connection(("127.0.0.1", gateway.port), 5)
    error = refused(lambda: world.context().wrap_socket(raw, server_hostname="localhost"))
    assert error, "TLS on the plain port"
    with world.connect() as s:
        assert " 202 " in ask(s, "after")


def client_certificates(world, gateway):
    stranger = make("Stranger", authority=True)
    bad = {
        "expired": make("c", world.clients, purposes=[CLIENT], begins=-20, ends=-10),
        "not yet valid": make("c", world.clients, purposes=[CLIENT], begins=10, ends=20),
        "of another authority": make("c", stranger, purposes=[CLIENT]),
        "a server's": make("c", world.clients, purposes=[SERVER]),
        "self-signed": make("c", purposes=[CLIENT]),
    }

    def connect(certificate):
        context = world.context()
        if certificate:
            context.load_cert_chain(*certificate.write(world.folder, "client"))
        return world.connect(context, port=world.asking_port)

    requests = gateway.metric_sum("sluice_http_requests_total")
    for name, certificate in bad.items():
        assert refused(lambda: connect(certificate)), name
    assert gateway.metric_sum("sluice_http_requests_total") == requests, "a request was read"
    for certificate in (make("c", world.clients, purposes=[CLIENT]), None):
        with connect(certificate) as s:
            assert " 202 " in ask(s, "client")


def showing(world, name, port=None, session=None, **options):
    context = world.context(**options)
    if name:
        context.load_cert_chain(*world.pairs[name])
    return world.connect(context, port=port or world.asking_port)


def demanded_certificates(world, gateway):
    """Each certificate at each source, the sources of one connection in turns; then the same over resumed sessions."""
    sources = [one["name"] for one in world.demanding()]
    for name, takes in TAKES.items():
        expected = "missing_client_certificate" if name is None else "client_certificate_not_allowed"
        with showing(world, name) as s:
            for turn in range(2):
                for source in sources:
                    answer = ask(s, f"{name}-{source}-{turn}", source)
                    if source in takes:
                        assert " 202 " in answer, f"{name} at {source}: {answer}"
                    else:
                        assert " 403 " in answer and expected in answer, f"{name} at {source}: {answer}"
                assert " 202 " in ask(s, f"{name}-open-{turn}"), "a source that demands nothing"
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = world.context(minimum_version=version, maximum_version=version)
        context.load_cert_chain(*world.pairs["partner"])
        with world.connect(context, port=world.asking_port) as s:
            assert " 202 " in ask(s, f"first-{version}", "partners")
            session = s.session
        with world.connect(context, port=world.asking_port, session=session) as s:
            assert s.session_reused, version
            assert " 202 " in ask(s, f"again-{version}", "partners"), version
            assert " 403 " in ask(s, f"again-{version}", "client"), version
    counted = gateway.metric_sum("sluice_rejections_total", reason="client_certificate_not_allowed")
    assert counted > 20, counted


def certificates_elsewhere(world, gateway):
    """On the plain listener, and on one with TLS that asks for none, there is none."""
    status, _, answer = gateway.post("/in/client", b"{}")
    assert status == 403 and b"missing_client_certificate" in answer, (status, answer)
    with showing(world, "client", port=world.port) as s:
        answer = ask(s, "unasked", "client")
        assert " 403 " in answer and "missing_client_certificate" in answer, answer


def kept_subjects(world, gateway):
    """The subject is with the event, and no field of a client's is taken for it."""
    forged = "Sluice-Client-Subject: CN=forged\r\n"
    with showing(world, "client") as s:
        assert " 202 " in ask(s, "kept", "pinned", fields=forged)
        assert " 202 " in ask(s, "forged", "test", fields=forged)

    def newest(source):
        rows = gateway.api(f"/api/v1/events?source={source}&limit=1")["items"]
        return rows and gateway.api(f"/api/v1/events/{rows[0]['id']}")

    kept = newest("pinned")
    assert kept["event"]["client_subject"] == "CN=client", kept
    sent = [value for name, value in kept["headers"] if name == "Sluice-Client-Subject"]
    assert sent == ["CN=forged"], kept["headers"]
    assert "client_subject" not in newest("test")["event"], newest("test")
    with showing(world, "partner") as s:
        assert " 202 " in ask(s, "partner", "partners")
    assert newest("partners")["event"]["client_subject"] == "CN=partner"


def reload_of_certificates(world, gateway):
    with world.connect() as old:
        assert " 202 " in ask(old, "before the reload")
        serial = old.getpeercert()["serialNumber"]
        make("first", world.root, names=["localhost"], purposes=[SERVER]).write(world.folder, "first")
        gateway.reload()
        with world.connect() as new:
            assert new.getpeercert()["serialNumber"] != serial
        assert " 202 " in ask(old, "after the reload"), "the old connection"
    with open(world.files["second"][1], "wb") as file:
        file.write(make("wrong").key_pem)
    gateway.reload()
    assert "second.key" in gateway.output(), gateway.output()[-400:]
    with world.connect(name="second.test") as s:
        assert " 202 " in ask(s, "after a refused reload")


def many_authorities(world):
    """So many names of authorities that the server's first flight is larger than what a session sends at once."""
    name = "An authority with a long name, as some have, number"
    authorities = [make(f"{name} {n:010}", authority=True) for n in range(300)]
    client_ca = world.file("many.pem", b"".join(one.pem for one in [*authorities, world.clients]))
    port = free_port()
    listen = [f"127.0.0.1:{free_port()}",
              {"address": f"127.0.0.1:{port}", "tls": world.tls("first", client_ca=client_ca)}]
    demanding = open_source("client", client_certificate={"ca": world.clients_ca})
    with Gateway([open_source(), demanding], listen=listen):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with showing(world, "client", port, minimum_version=version, maximum_version=version) as s:
                assert " 202 " in ask(s, f"many-{version}", "client"), version


def bad_starts(world):
    locked = world.file(
        "locked.pem", LOCKED + open(world.files["first"][0], "rb").read())
    expired = make("expired", world.root, names=["localhost"], begins=-20, ends=-10).write(world.folder, "expired")
    plain = open_source("test", client_certificate={"names": ["a"]})
    try:
        with Gateway([plain]):
            raise AssertionError("it started without a listener that asks")
    except StartFailed as failed:
        assert "client_ca" in str(failed) and "exit status 2" in str(failed), str(failed)
    cut = world.file("cut.pem", world.clients.pem + world.partners.pem[:-60])
    for demanded, wanted in [
        ({"ca": world.files["first"][1]}, "first.key"), ({"ca": os.path.join(world.folder, "nowhere.pem")}, "nowhere"),
        ({"ca": cut}, "cut.pem"), ({"names": ["*.client.test"]}, "star"), ({"fingerprints": ["ab:cd"]}, "SHA-256"),
        ({}, "demands nothing")]:
        listen = [{"address": f"127.0.0.1:{free_port()}", "tls": world.tls("first", client_ca=world.client_ca)}]
        try:
            with Gateway([open_source("test", client_certificate=demanded)], listen=listen):
                raise AssertionError(f"it started with {demanded}")
        except StartFailed as failed:
            assert wanted in str(failed) and "client_certificate" in str(failed), str(failed)
            assert "exit status 2" in str(failed), str(failed)
    for tls, wanted in [
        ({"certificate": world.files["first"][0], "key": world.files["first-rsa"][1]}, "first-rsa.key"),
        ({"certificate": expired[0], "key": expired[1]}, "expired.pem"),
        ({"certificate": world.files["first"][0], "key": os.path.join(world.folder, "nowhere.key")}, "nowhere.key"),
        ({"certificate": world.files["first"][0]}, "first.pem"), (world.tls("first", client_ca=cut), "cut.pem"),
        ({"certificate": locked, "key": world.files["first"][1]}, "locked.pem")]:
        listen = [{"address": f"127.0.0.1:{free_port()}", "tls": tls}]
        try:
            with Gateway([open_source()], listen=listen):
                raise AssertionError(f"it started with {wanted}")
        except StartFailed as failed:
            assert wanted in str(failed) and "exit status 2" in str(failed), str(failed)
            assert world.folder not in str(failed).replace(f"{world.folder}/sluice.yaml", ""), str(failed)


def has_sslyze():
    found = subprocess.run([sys.executable, "-c", "import sslyze"], capture_output=True)
    return found.returncode == 0


def mozilla_profile(world):
    """What PyPI's sslyze says of the listener, held to Mozilla's intermediate profile."""
    done = subprocess.run(
        [sys.executable, "-m", "sslyze", "--mozilla_config=intermediate", f"--certinfo_ca_file={world.ca}",
         f"localhost:{world.port}{{127.0.0.1}}"], capture_output=True, text=True, timeout=120)
    verdict = done.stdout[done.stdout.find("COMPLIANCE AGAINST"):]
    assert "OK - Compliant" in verdict and done.returncode == 0, verdict or done.stderr[-400:]


def flood(world, gateway):
    """Handshakes without end, and requests on both kinds of listener meanwhile."""
    before = gateway.metric_sum("sluice_tls_handshakes_total")
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            with contextlib.suppress(OSError):
                world.connect().close()

    threads = [threading.Thread(target=churn) for _ in range(8)]
    [t.start() for t in threads]
    try:
        for index in range(200):
            assert gateway.post("/in/test", json.dumps({"n": index}).encode())[0] == 202
        with world.connect() as s:
            for index in range(50):
                assert " 202 " in ask(s, f"flood{index}")
    finally:
        stop.set()
        [t.join() for t in threads]
    done = gateway.metric_sum("sluice_tls_handshakes_total") - before
    assert done > 50, f"{done} handshakes beside 250 requests: nobody was let in"
    # Those that waited at the gate have been let in, or have gone.
    wait_until(lambda: gateway.metric_sum("sluice_tls_handshakes_waiting") == 0, 10, "an empty gate")
    return f"{done:.0f} handshakes beside 250 requests"


def main():
    arguments(__doc__)
    report = Report("tls in")
    if make is None:
        report.skip("all of it", "the Python package cryptography is not installed")
        return report.finish()
    with tempfile.TemporaryDirectory() as folder:
        world = World(folder)
        with world.gateway() as gateway:
            plain, gateway.port = gateway.port, world.port
            for variant in ("whole", "bytewise"):
                cases(report, gateway, "own", variant, more=("--tls",))
            gateway.port = plain
            for name, scenario in [
                ("the certificate that a client asks for and can use; ALPN", lambda: shown_certificates(world)),
                ("sessions are resumed, TLS 1.2 and 1.3", lambda: resumption(world, gateway)),
                ("nothing below TLS 1.2, no weak cipher", lambda: floor(world)),
                ("no renegotiation", lambda: renegotiation(world)),
                ("a handshake that stops is closed", lambda: stall(world)),
                ("a request that is cut is no event", lambda: truncation(world, gateway)),
                ("what is no handshake is counted and closed", lambda: no_handshake(world, gateway)),
                ("a source takes the certificates that it demands, and no other",
                 lambda: demanded_certificates(world, gateway)),
                ("where none is asked for, there is none", lambda: certificates_elsewhere(world, gateway)),
                ("the subject is kept, and cannot be forged", lambda: kept_subjects(world, gateway)),
                ("bad client certificates are refused before HTTP", lambda: client_certificates(world, gateway)),
                ("handshakes and requests at once", lambda: flood(world, gateway)),
                ("a reload shows new certificates and drops nobody", lambda: reload_of_certificates(world, gateway)),
            ]:
                with report.case(name) as notes:
                    note = scenario()
                    if note:
                        notes.append(note)
            if has_sslyze():
                with report.case("sslyze finds Mozilla's intermediate profile"):
                    mozilla_profile(world)
            else:
                report.skip("Mozilla's intermediate profile", "the Python package sslyze is not installed")
        with report.case("a flight that is larger than what is sent at once"):
            many_authorities(world)
        with report.case("bad files stop the start, with their names"):
            bad_starts(world)
    report.finish()


if __name__ == "__main__":
    main()
