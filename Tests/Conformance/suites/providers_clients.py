#!/usr/bin/env python3
"""Requests signed by the providers' own Python libraries through the port, what `sluice send` signs verified by the
same libraries, and deliveries verified by the Standard Webhooks library at the receiving end. A library that is not
installed is skipped by name."""

import base64
import http.server
import json
import tempfile
import threading
import time
import uuid

import supportpath  # noqa: F401  (puts the shared modules on the path)
from provider_libraries import LIBRARIES, library
from receiver import Receiver
from report import Report, arguments, wait_until
from serverutil import Gateway, endpoint, sluice

PUBLIC = "https://hooks.example.test"
ENDPOINT_SECRET = "whsec_" + base64.b64encode(bytes(range(90, 122))).decode()


def event(number):
    return json.dumps({"id": f"evt_{uuid.uuid4().hex}", "type": "invoice.paid", "n": number, "text": "héllo ☃"})


class Capture(http.server.BaseHTTPRequestHandler):
    """Keeps what comes."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.kept.append((self.path, headers, body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def sent_is_accepted(report, provider, client, server):
    """`sluice send` signs, the library verifies."""
    with report.case(f"{provider}: `sluice send` signs, its library accepts") as notes:
        server.kept.clear()
        url = f"http://127.0.0.1:{server.server_port}/in/{provider}"
        with tempfile.NamedTemporaryFile("w", suffix=".secret") as secret:
            secret.write(client.signing_secret)
            secret.flush()
            command = ["send", "--provider", provider, "--secret", f"file:{secret.name}", "--url", url]
            sluice(*command, "--public-url", PUBLIC, "--count", "10", check=0)
        assert len(server.kept) == 10, len(server.kept)
        for path, headers, body in server.kept:
            assert client.verify(body, headers, PUBLIC + path), f"refused {headers} {body[:200]}"
        tampered = server.kept[0]
        # A value that every scheme here covers.
        changed = tampered[2].replace(b"send-", b"sent-")
        if provider != "jira-connect":
            try:
                taken = client.verify(changed, tampered[1], PUBLIC + tampered[0])
            except Exception:
                taken = False
            assert not taken, "its library takes anything"
        notes.append(f"{len(server.kept)} requests")


def through_port(report, gateway, provider, client, count=20):
    url = f"{PUBLIC}/in/{provider}"
    with report.case(f"{provider}: its library signs, the port accepts") as notes:
        for number in range(count):
            headers, body = client.sign(client.body(number), url)
            headers = {"Content-Type": client.content_type, **headers}
            status, _, answer = gateway.post(f"/in/{provider}", body, headers)
            assert 200 <= status < 300, f"{status} {answer[:200]}"
        notes.append(f"{count} requests")
    if provider == "jira-connect":
        return
    with report.case(f"{provider}: one byte changed, the port refuses"):
        headers, body = client.sign(client.body(7), url)
        place = body.index(b"7")
        if provider == "adyen":
            place = body.index(b'4207') + 3
        changed = body[:place] + b"8" + body[place + 1 :]
        headers = {"Content-Type": client.content_type, **headers}
        status, _, answer = gateway.post(f"/in/{provider}", changed, headers)
        assert status == 401 and json.loads(answer)["reason"] == "signature_mismatch", f"{status} {answer[:200]}"


def deliveries(report, gateway, receiver):
    with report.case("standardwebhooks verifies each delivery") as notes:
        module = library("standardwebhooks.webhooks")
        verifier = module.Webhook(ENDPOINT_SECRET)
        sent = {}
        for number in range(100):
            body = event(number)
            headers, _ = LIBRARIES["stripe"].sign(body.encode(), "")
            status, _, answer = gateway.post("/in/stripe", body.encode(), headers)
            assert 200 <= status < 300, f"{status} {answer[:200]}"
            sent[json.loads(answer)["id"]] = body

        def arrived():
            return {d.id for d in receiver.snapshot()} >= set(sent)

        wait_until(arrived, 20, lambda: f"{receiver.count()} deliveries for {len(sent)} events")
        for delivery in receiver.snapshot():
            verifier.verify(delivery.body, delivery.headers)
            if delivery.id in sent:
                assert delivery.body == sent[delivery.id].encode(), "the body is not the one that came"
            assert abs(int(delivery.headers["webhook-timestamp"]) - time.time()) < 60
        tampered = receiver.snapshot()[0]
        try:
            verifier.verify(tampered.body + b" ", tampered.headers)
        except module.WebhookVerificationError:
            pass
        else:
            raise AssertionError("the verifier takes anything")
        notes.append(f"{len(sent)} events")
    with report.case("svix's library verifies them too"):
        verifier = library("svix.webhooks").Webhook(ENDPOINT_SECRET)
        for delivery in receiver.snapshot():
            verifier.verify(delivery.body, delivery.headers)


def usable(report):
    """The libraries that are here; each that is not is skipped by name."""
    found = {}
    for provider, client in LIBRARIES.items():
        before = len(found)
        with report.case(f"{provider}: its library"):
            headers, body = client.sign(client.body(0), f"{PUBLIC}/in/{provider}")
            lowered = {name.lower(): value for name, value in headers.items()}
            assert client.verify(body, lowered, f"{PUBLIC}/in/{provider}"), "it refuses its own"
            found[provider] = client
        assert len(found) - before in (0, 1)
    return found


def main():
    arguments(__doc__)
    report = Report("clients")
    clients = usable(report)
    sources = [
        {"name": name, "provider": name, "secrets": [client.secret], "public_url": PUBLIC}
        for name, client in clients.items()
    ]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Capture)
    server.kept = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for provider, client in clients.items():
        sent_is_accepted(report, provider, client, server)
    server.shutdown()
    with Receiver() as receiver:
        wanted = endpoint("all", receiver.url, secret=ENDPOINT_SECRET, sources=["stripe"])
        with Gateway(sources, [wanted]) as gateway:
            for provider, client in clients.items():
                through_port(report, gateway, provider, client)
            if "stripe" in clients:
                deliveries(report, gateway, receiver)
    report.finish()


if __name__ == "__main__":
    main()
