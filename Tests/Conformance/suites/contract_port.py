#!/usr/bin/env python3
"""The contract's envelope on the ingest port (`provider: contract`), against the real process: every vector of ours
through it, the same requests to the control listener, replays over a kill, certificates of clients by our own TLS and
by an nginx in front."""

import base64
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import uuid

import supportpath  # noqa: F401  (puts the shared modules on the path)
from contractclient import Edge, Stream, signature
from contractfailover import failover
from contractport import EVENT, PATH, SECRET, default_tenant, edge_source, envelope, exchange, raw
from receiver import Receiver
from report import Report, Skip, arguments, wait_until
from serverutil import ROOT, Gateway, die_with_parent, free_port, sluice
from storeutil import log_records

try:
    from clientcertificates import Certificates
except ImportError:
    Certificates = None

VECTORS = os.path.join(ROOT, "Tests", "Fixtures", "contract_vectors.json")
TENANT_OF_VECTORS = "3f0c1f5e-9d6b-4b1a-8f5e-2a7f6f1d0c42"
SECURITY = {
    "x-content-type-options": "nosniff", "x-frame-options": "DENY", "referrer-policy": "no-referrer",
    "cache-control": "no-store", "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


def form(status, fields, said, mine=None):
    """Every answer has the contract's form."""
    for name, value in SECURITY.items():
        assert fields.get(name) == value, f"{name}: {fields.get(name)}"
    assert fields["x-zen-contract-version"] in ("v0", "v1alpha1"), fields
    named = fields["x-request-id"]
    assert uuid.UUID(named).version == 4, named
    assert mine is None or named == mine, f"{named}, want {mine}"
    if status >= 300:
        assert said["error"]["request_id"] == named and said["error"]["message"], said
    else:
        assert said["correlation_id"] == named, said


def vectors(report):
    with open(VECTORS) as file:
        all_of_them = json.load(file)
    secrets = sorted({tuple(one["value"] for one in vector["secrets"]) for vector in all_of_them})
    sources = [
        {"name": f"s{n}", "provider": "contract", "secrets": list(of), "dedup": {"window": "0s"}}
        for n, of in enumerate(secrets)
    ]
    with report.case("every vector through the port, whole and in two parts") as notes:
        clock = ["--test-clock", str(all_of_them[0]["now"])]
        with Gateway(sources, arguments=clock) as gateway:
            tenant, bad = default_tenant(gateway), []
            for number, vector in enumerate(all_of_them):
                body = base64.b64decode(vector["body"])
                # The gateway's tenant in place of the vectors', which is not signed.
                fields = [(name, value.replace(TENANT_OF_VECTORS, tenant).replace(
                    TENANT_OF_VECTORS.upper(), tenant.upper())) for name, value in vector["headers"]]
                path = f"/in/s{secrets.index(tuple(one['value'] for one in vector['secrets']))}"
                data = raw(path, fields, body)
                for pause in (None, 1 + number * 37 % (len(data) - 1)):
                    status, head, said = exchange(gateway.port, data, pause)
                    form(status, head, said)
                    want = (202, None) if vector["expect"] == "accept" else (vector["status"], vector["code"])
                    got = (status, said.get("error", {}).get("code"))
                    if got != want:
                        bad.append(f"{vector['id']}: {got}, want {want}")
            assert not bad, bad[:5]
            notes.append(f"{2 * len(all_of_them)} requests")
    with report.case("sluice verify says the same of each"):
        done = sluice("verify", "--vectors", VECTORS)
        assert done.returncode == 0, done.stdout[-600:] + done.stderr[-300:]


def beside_the_control_listener(report, gateway):
    edge = Edge(gateway)
    tenant = default_tenant(gateway)
    with report.case("one request, two ports: the same status, code and form") as notes:
        body = json.dumps(EVENT).encode()
        other = str(uuid.uuid4())
        changes = [
            {"X-Zen-Contract-Version": None}, {"X-Zen-Contract-Version": "v7"}, {"X-Request-Id": None},
            {"X-Request-Id": "17"}, {"X-Tenant-Id": None}, {"X-Tenant-Id": "acme"}, {"X-Signature": None},
            {"X-Signature": "ab"}, {"X-Signature": "0" * 64}, {"X-Timestamp": None}, {"X-Timestamp": "12"},
            {"X-Timestamp": "now"}, {"Content-Type": "text/plain"}, {"X-Idempotency-Key": "again"}, {},
        ]
        for change in changes:
            at_port = envelope(tenant, body, **change)
            status, head, said = exchange(gateway.port, raw(PATH, at_port.items(), body))
            at_control = edge.fields(body, sign=True)
            at_control = {n: v for n, v in {**at_control, **change}.items() if v is not None}
            wanted, control_head, answer = edge.send("POST", "/v1/webhooks/ingest", body, at_control)
            assert status == wanted, f"{change}: {status} at the port, {wanted} at the control listener"
            code = lambda text: text.get("error", {}).get("code")  # noqa: E731
            assert code(said) == code(answer), f"{change}: {said} and {answer}"
            lists = [one.get("error", {}).get("supported_versions") for one in (said, answer)]
            assert lists[0] == lists[1], f"{change}: {lists}"
            mine = at_port.get("X-Request-Id", "")
            form(status, head, said, mine if len(mine) == 36 else None)
        notes.append(f"{len(changes)} requests")
        answer = exchange(gateway.port, raw(PATH, envelope(other, body).items(), body))
        assert (answer[0], answer[2]["error"]["code"]) == (403, "tenant_mismatch"), answer
        answer = exchange(gateway.port, raw(PATH, envelope(tenant, b"").items(), b""))
        assert (answer[0], answer[2]["error"]["code"]) == (400, "malformed_json"), answer
        plain = b'{"source": "scanner"}'
        answer = exchange(gateway.port, raw(PATH, envelope(tenant, plain).items(), plain))
        assert answer[0] == 422 and answer[2]["error"]["details"][0]["field"] == "event_type", answer
        long = b'{"event_type":"a","payload":"' + b"x" * (3 << 20) + b'"}'
        answer = exchange(gateway.port, raw(PATH, envelope(tenant, long).items(), b"").replace(
            b"Content-Length: 0", b"Content-Length: %d" % len(long)))
        assert (answer[0], answer[2]["error"]["code"]) == (413, "too_large"), answer
        form(answer[0], answer[1], answer[2])
    with report.case("what was captured at one port is worth nothing at the other: the secrets differ"):
        fields = edge.fields(body, sign=True)
        assert edge.send("POST", "/v1/webhooks/ingest", body, fields)[0] == 202
        status, _, said = exchange(gateway.port, raw(PATH, {**fields, "X-Tenant-Id": tenant}.items(), body))
        assert (status, said["error"]["code"]) == (401, "invalid_signature"), said
        fields = envelope(tenant, body)
        assert exchange(gateway.port, raw(PATH, fields.items(), body))[0] == 202
        moved = {**edge.fields(body), **fields, "X-Tenant-Id": edge.id}
        status, _, said = edge.send("POST", "/v1/webhooks/ingest", body, moved)
        assert (status, said["error"]["code"]) == (401, "invalid_signature"), said


def goes_where_the_control_listeners_go(report):
    """Entries, their policies, the listing and the stream do not tell the two ports apart."""
    receiver = Receiver(lambda delivery, number: 400 if delivery.path.endswith("/400") else 204)
    endpoint = {"name": "own", "url": receiver.url + "/own", "sources": ["edge"], "secret": "whsec_" + "a" * 32}
    with receiver, Gateway([edge_source()], [endpoint], delivery={"allow": ["127.0.0.0/8"]}) as gateway:
        edge, stranger = Edge(gateway, "default"), Edge(gateway)
        edge.register(receiver.url + "/image", "image.*", schema_version="2", secret="s" * 20)
        edge.register(receiver.url + "/pod", "pod.*")
        bad = edge.register(receiver.url + "/400", "bad.*")
        stranger.register(receiver.url + "/stranger", "*")

        def came(path, count):
            found = lambda: [one for one in receiver.snapshot() if one.path.endswith(path)]  # noqa: E731
            return wait_until(lambda: found() if len(found()) >= count else None, 20, f"{count} at {path}")

        def send(**more):
            body = json.dumps({**EVENT, "detected_at": "2026-01-02T03:04:05Z", "payload": {"n": 1.50}, **more}).encode()
            fields = envelope(edge.id, body)
            status, _, said = exchange(gateway.port, raw(PATH, fields.items(), body))
            assert status == 202, said
            return said, fields, body

        with report.case("an entry gets of the port's events what it gets of the control listener's"), \
                Stream(edge) as stream, Stream(stranger) as other:
            said, fields, body = send()
            assert uuid.UUID(said["event_id"]).version == 8, said
            exchange(gateway.port, raw(PATH, fields.items(), body))  # a duplicate goes nowhere
            kept = edge.ingest({**json.loads(body)})
            deliveries = came("/image", 2)
            both = {one["event_id"]: one for one in (json.loads(it.body) for it in deliveries)}
            assert set(both) == {said["event_id"], kept["event_id"]}, both
            shown = [{**one, "event_id": ""} for one in both.values()]
            assert shown[0] == shown[1] and shown[0]["schema_version"] == "2" and shown[0]["tenant_id"] == edge.id, both
            for one in deliveries:
                named = one.headers
                mac = signature("s" * 20, named["x-request-id"], named["x-timestamp"], one.body)
                assert named["x-signature"] == mac and named["x-tenant-id"] == edge.id, named
                assert named["x-request-id"] != fields["X-Request-Id"] and named["x-idempotency-key"], named
            assert came("/own", 1)[0].body == body, "an endpoint that names the source gets the request as it came"
            kind, mark, data = stream.of("webhook.event")
            assert mark == said["event_id"] == data["event_id"], (mark, data)
            assert {**both[mark], "schema_version": "1"} == data, (both[mark], data)
            told = []
            while len(told) < 2:
                one = stream.of("webhook.delivery")[2]
                if one["status"] == "delivered":
                    told.append(one)
            assert {one["event_id"] for one in told} == set(both), told
            mine = next(one for one in told if one["event_id"] == mark)
            assert mine["correlation_id"] == fields["X-Request-Id"] and mine["event_type"] == "image.scanned", mine
            rows = lambda: [  # noqa: E731
                one for one in edge.deliveries("?status=delivered") if one["event_id"] == mark]
            row = wait_until(rows, 20, "the delivery is listed")[0]
            assert {name: row[name] for name in mine if name in row} == mine, (row, mine)
            with Stream(edge, **{"Last-Event-ID": mark}) as again:
                assert again.of("webhook.event")[1] == kept["event_id"]
            stranger.ingest(stranger.event("image.scanned"))
            assert other.of("webhook.event")[2]["tenant_id"] == stranger.id
            assert all(one["tenant_id"] == stranger.id for one in stranger.deliveries())
            assert len(came("/image", 2)) == 2 and not [one for one in receiver.snapshot() if "/pod" in one.path]
        with report.case("it has their error classes, their queue and their replay"):
            said, _, _ = send(event_type="bad.one")
            dead = wait_until(lambda: edge.deliveries("?status=dlq"), 20, "a dead letter")[0]
            assert (dead["event_id"], dead["error_class"], dead["attempt"]) == (said["event_id"], "validation", 1), dead
            edge.call("POST", "/dlq/replay", {"reason": "mended", "webhook_id": bad["webhook_id"]})
            first, second = came("/400", 2)
            assert first.body == second.body and json.loads(first.body)["event_id"] == said["event_id"]
            assert first.headers["x-idempotency-key"] == second.headers["x-idempotency-key"] == dead["idempotency_key"]
        with report.case("what the port does not ask for is null; what is no JSON is sent to no entry"):
            for text in (b'{"event_type":"pod.crashed"}', b'{"event_type":"pod.crashed","a":}'):
                fields = envelope(edge.id, text)
                assert exchange(gateway.port, raw(PATH, fields.items(), text))[0] == 202
            said = json.loads(came("/pod", 1)[0].body)
            assert (said["source"], said["severity"], said["payload"]) == (None, None, {}), said
            broken = lambda: [  # noqa: E731
                one for one in edge.deliveries("?status=dlq") if one["event_type"] == "pod.crashed"]
            one = wait_until(broken, 20, "the one that is no JSON is set aside")[0]
            assert one["error_class"] == "validation" and one["response_code"] is None, one


def counted(report):
    """The contract's metric names have what comes to the port."""
    with report.case("the contract's metric names count what comes to the port"), Gateway([edge_source()]) as gateway:
        tenant, body = default_tenant(gateway), json.dumps(EVENT).encode()
        changes = ({}, {"X-Signature": "0" * 64}, {"X-Signature": None}, {"X-Tenant-Id": "acme"})
        sent = [envelope(tenant, body, **change) for change in changes]
        answers = [exchange(gateway.port, raw(PATH, fields.items(), body))[0] for fields in sent + sent[:1]]
        assert answers == [202, 401, 401, 400, 202], answers

        def found():
            said = gateway.metrics()
            events = {it: said.get(
                f'webhook_requests_total{{platform="contract",event_type="other",status="{it}"}}', 0)
                for it in ("accepted", "duplicate")}
            statuses = {it: said.get(f'http_requests_total{{status="{it}"}}', 0) for it in (202, 400, 401)}
            return events, statuses, said["webhook_signature_failures_total"]

        wanted = ({"accepted": 1, "duplicate": 1}, {202: 2, 400: 1, 401: 2}, 2)
        wait_until(lambda: found() == wanted, 10, "all are counted")


def limited(report):
    source = edge_source(rate_limit={"per_hour": 1})
    words = "a limit's refusal, with its quota the largest of answers, has the contract's form"
    with report.case(words), Gateway([source]) as gateway:
        tenant, body = default_tenant(gateway), json.dumps(EVENT).encode()
        for want, code in ((202, None), (429, "rate_limited")):
            fields = envelope(tenant, body)
            status, head, said = exchange(gateway.port, raw(PATH, fields.items(), body))
            form(status, head, said, fields["X-Request-Id"])
            assert (status, said.get("error", {}).get("code")) == (want, code), said
            assert any(name.startswith("ratelimit") for name in head), head
        assert int(head["retry-after"]) > 0, head


def byte_by_byte(report, gateway):
    tenant = default_tenant(gateway)
    with report.case("a changed byte anywhere in what is signed is refused") as notes:
        body = json.dumps(EVENT).encode()
        fields = envelope(tenant, body)
        tries = 0
        for place in range(len(body)):
            changed = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
            status, _, said = exchange(gateway.port, raw(PATH, fields.items(), changed))
            assert status == 401 and said["error"]["code"] == "invalid_signature", (place, said)
            tries += 1
        for name in ("X-Request-Id", "X-Timestamp", "X-Signature"):
            for place in range(len(fields[name])):
                old = fields[name][place]
                if old == "-":
                    continue
                new = "1" if old == "0" else "0"
                changed = {**fields, name: fields[name][:place] + new + fields[name][place + 1 :]}
                status, _, said = exchange(gateway.port, raw(PATH, changed.items(), body))
                assert status in (400, 401), (name, place, said)
                tries += 1
        notes.append(f"{tries} requests")


def replays(report, gateway):
    tenant = default_tenant(gateway)
    before = len(log_records(gateway.data))
    with report.case("a captured request is an event once, over a kill, under no other key") as notes:
        captured = []
        for number in range(20):
            body = json.dumps({**EVENT, "payload": {"n": number}}).encode()
            fields = envelope(tenant, body)
            status, head, said = exchange(gateway.port, raw(PATH, fields.items(), body))
            assert status == 202 and said["status"] == "accepted", said
            form(status, head, said, fields["X-Request-Id"])
            captured.append((fields, body, said["event_id"]))
        count = 10_000 if os.environ.get("SLUICE_ROUNDS") == "full" else 60
        for half in range(2):
            for number in range(count // 2):
                fields, body, event = captured[number % len(captured)]
                status, _, said = exchange(gateway.port, raw(PATH, fields.items(), body))
                assert status == 202 and (said["status"], said["event_id"]) == ("duplicate", event), said
                other = {**fields, "X-Idempotency-Key": str(uuid.uuid4())}
                status, _, said = exchange(gateway.port, raw(PATH, other.items(), body))
                assert status == 400 and said["error"]["code"] == "invalid_header", said
            if half == 0:
                gateway.kill()
                gateway.start()
        old, body, _ = captured[0]
        stamp = str(int(time.time()) - 301)
        mac = signature(SECRET, old["X-Request-Id"], stamp, body)
        late = {**old, "X-Timestamp": stamp, "X-Signature": mac}
        status, _, said = exchange(gateway.port, raw(PATH, late.items(), body))
        assert status == 401, said
        events = log_records(gateway.data)[before:]
        assert len(events) == len(captured), f"{len(events)} events of {len(captured)}"
        notes.append(f"{2 * count} replays")


def looked_at_again(report, gateway):
    with report.case("what another tenant's request was refused for holds when it is verified again"):
        body = json.dumps(EVENT).encode()
        foreign = envelope(str(uuid.uuid4()), body)
        assert exchange(gateway.port, raw(PATH, foreign.items(), body))[0] == 403
        typed = envelope(default_tenant(gateway), body, **{"Content-Type": "text/plain"})
        assert exchange(gateway.port, raw(PATH, typed.items(), body))[0] == 415
        before = len(log_records(gateway.data))

        def listed(reason):
            return gateway.api(f"/api/rejected?reason={reason}")["rejected"]

        for reason in ("tenant_mismatch", "unsupported_media_type"):
            wait_until(lambda: listed(reason), 10, f"{reason} is listed")
        said = gateway.api("/api/rejected/reverify", {"dryRun": False})
        assert said["accepted"] == 0 and said["rejected"]["tenant_mismatch"] >= 1, said
        assert len(log_records(gateway.data)) == before


# certificates


def own_tls(report, folder):
    world, port = Certificates(folder), free_port()
    certificate, key = world.server
    listen = [{"address": f"127.0.0.1:{port}", "tls": {
        "certificate": certificate, "key": key, "client_ca": world.authority, "client_crl": world.lists}}]
    source = edge_source(client_certificate={"names": ["scanner.test"]})
    with Gateway([source, edge_source(name="signed")], listen=listen) as gateway:
        tenant, body = default_tenant(gateway), json.dumps(EVENT).encode()
        unsigned = lambda **more: envelope(tenant, body, **{  # noqa: E731
            "X-Signature": None, "X-Timestamp": None, **more})
        with report.case("own TLS: a certificate stands for the signature; a revoked, expired or foreign one does not"):
            status, said = world.ask(port, PATH, body, unsigned(), "good")
            assert status == 202 and said["status"] == "accepted", said
            assert world.ask(port, PATH, body, envelope(tenant, body), "good")[0] == 202
            wrong = envelope(tenant, body, **{"X-Signature": "0" * 64})
            assert world.ask(port, PATH, body, wrong, "good")[0] == 401, "both given, both must hold"
            for name in ("revoked", "expired", "foreign"):
                assert world.ask(port, PATH, body, envelope(tenant, body), name) == (None, None), name
            status, said = world.ask(port, PATH, body, envelope(tenant, body))
            assert status == 403 and said["error"]["code"] == "forbidden", said
            status, _, said = exchange(gateway.port, raw(PATH, unsigned().items(), body))
            assert status == 403, said
            assert world.ask(port, "/in/signed", body, unsigned(), "good")[0] == 401, "a source that asks for none"
        with report.case("own TLS: one that is revoked while we run is refused from the reload on, its sessions too"):
            context = world.context("good")
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            def connect(session=None):
                raw_socket = socket.create_connection(("127.0.0.1", port), 5)
                return context.wrap_socket(raw_socket, server_hostname="localhost", session=session)

            with connect() as s:
                session = s.session
            with connect(session) as s:
                assert s.session_reused
            opened = {name: http.client.HTTPSConnection(
                "127.0.0.1", port, timeout=10, context=world.context(name)) for name in ("good", "other")}

            def asked(name, path=PATH, **more):
                opened[name].request("POST", path, body, envelope(tenant, body) if more else unsigned())
                answer = opened[name].getresponse()
                return answer.status, json.loads(answer.read())

            assert [asked(name)[0] for name in opened] == [202, 202]
            sockets = [one.sock for one in opened.values()]
            world.file("lists.pem", world.two_revoked)
            gateway.reload()

            def is_refused():
                return world.ask(port, PATH, body, unsigned(), "good") == (None, None)

            wait_until(is_refused, 10, "the certificate is refused")
            try:
                with connect(session) as s:
                    assert not s.session_reused, "the session of a revoked client was resumed"
            except ssl.SSLError:
                pass
        with report.case("own TLS: nor does it count on a connection that was open; another's goes on"):
            assert asked("good", "/in/signed", signed=True)[0] == 202, "a source that asks for none"
            assert asked("other")[0] == 202 and [one.sock for one in opened.values()] == sockets
            status, said = asked("good", signed=True)
            assert status == 403 and said["error"]["code"] == "forbidden", "both given, both must hold"
            assert opened["good"].sock is None, "the connection ends with that answer"
            assert asked("other")[0] == 202 and opened["other"].sock in sockets
            assert gateway.metric_sum("sluice_rejections_total", reason="client_certificate_not_allowed") == 1
            world.file("lists.pem", world.one_revoked)
            gateway.reload()
            assert asked("good")[0] == 202, "taken from the list again"
            world.file("clients.pem", world.strangers_pem)
            gateway.reload()
            assert [asked(name)[0] for name in opened] == [403, 403], "of other authorities"
            for one in opened.values():
                one.close()
    with report.case("a list of revoked ones without authorities is refused at the start, and one that is none"):
        for tls, words in [({"client_crl": world.lists}, "client_ca"),
                           ({"client_ca": world.authority, "client_crl": world.root}, "revoked")]:
            config = {"listen": [{"address": f"127.0.0.1:{port}", "tls": {
                "certificate": certificate, "key": key, **tls}}], "data": os.path.join(folder, "none")}
            path = os.path.join(folder, "bad.yaml")
            with open(path, "w") as file:
                json.dump(config, file)
            done = sluice("config", "check", path)
            said = done.stdout + done.stderr
            assert done.returncode != 0 and "client_crl" in said and words in said, said


NGINX = """daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {certificate}; ssl_certificate_key {key};
    ssl_client_certificate {authority}; ssl_crl {lists}; ssl_verify_client optional;
    location /v1/ {{
      proxy_pass http://127.0.0.1:{control};
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Client-Cert $client_certificate;
    }}
  }}
  map $ssl_client_verify $client_certificate {{ SUCCESS "Cert=\\"$ssl_client_escaped_cert\\""; default ""; }}
}}
"""


def behind_nginx(report, folder):
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    with report.case("nginx as the edge: the certificate that it has seen stands for the signature"):
        if not os.path.exists(binary):
            raise Skip("no nginx")
        world, port = Certificates(folder), free_port()
        with Gateway([edge_source()], trusted_proxies=["127.0.0.0/8"]) as gateway:
            config = os.path.join(folder, "nginx.conf")
            with open(config, "w") as file:
                file.write(NGINX.format(
                    folder=folder, port=port, certificate=world.server[0], key=world.server[1],
                    authority=world.authority, lists=world.lists, control=gateway.admin_port))
            process = subprocess.Popen(
                [binary, "-p", folder, "-e", folder + "/start.err", "-c", config], preexec_fn=die_with_parent,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                edge, body = Edge(gateway), json.dumps(EVENT).encode()
                path = "/v1/webhooks/ingest"

                def ask(name, **more):
                    fields = edge.fields(body, role="operator", **more)
                    return world.ask(port, path, body, fields, name)

                def is_up():
                    assert process.poll() is None, open(folder + "/nginx.log").read()[-300:]
                    try:
                        return ask(None)[0] is not None
                    except OSError:
                        return False

                wait_until(is_up, 10, "nginx listens")
                status, said = ask("good")
                assert status == 202, said
                for name in ("revoked", "expired", "foreign"):
                    status, said = ask(name)
                    assert status in (400, 401), (name, status, said)
                status, said = ask(None)
                assert status == 401 and said["error"]["code"] == "invalid_signature", said
                # What a client itself writes there nginx takes away.
                claim = {"X-Forwarded-Client-Cert": "Hash=" + "ab" * 32}
                assert ask(None, **claim)[0] == 401
                status, said = ask("good", **{"X-Signature": "0" * 64, "X-Timestamp": str(int(time.time()))})
                assert status == 401, "both given, both must hold"
                # And past the proxy the header of anyone else is his own word.
                fields = edge.fields(body, role="operator", **claim)
                assert edge.send("POST", path, body, fields)[0] == 202, "this suite's own address is a trusted one"
            finally:
                process.terminate()
                process.wait(10)


def main():
    arguments(__doc__)
    report = Report("contract_port")
    vectors(report)
    with Gateway([edge_source()]) as gateway:
        for group in (beside_the_control_listener, byte_by_byte, replays, looked_at_again):
            group(report, gateway)
    goes_where_the_control_listeners_go(report)
    failover(report)
    counted(report)
    limited(report)
    if Certificates is None:
        report.skip("certificates", "PyPI's cryptography is not here")
        return report.finish()
    for group in (own_tls, behind_nginx):
        with tempfile.TemporaryDirectory(prefix="sluice-contract-port-") as folder:
            group(report, folder)
    report.finish()


if __name__ == "__main__":
    main()
