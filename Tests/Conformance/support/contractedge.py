"""The contract edge, /v1/webhooks, in what its own suite does not see: lost answers, sessions, the stream
without a gap, certificates that a proxy has seen, switched off. A part of the suite `contracts`."""

import json
import os
import time
import uuid

from contractclient import Edge, Stream
from serverutil import Gateway, open_source, request


def repeating(report, gateway, hooks):
    with report.case("what the log knows tells a repetition whose answer was lost"):
        edge = Edge(gateway)
        body = json.dumps(edge.event()).encode()
        fields = edge.fields(body, sign=True)
        first = edge.send("POST", "/v1/webhooks/ingest", body, fields)[2]
        assert gateway.stop() == 0
        os.remove(os.path.join(gateway.data, "contract-answers.jsonl"))
        gateway.start()
        again = edge.send("POST", "/v1/webhooks/ingest", body, fields)[2]
        assert (again["status"], again["event_id"]) == ("duplicate", first["event_id"]), again
    with report.case("and so for a batch, whose ids come in its order, and which is not another's"):
        edge = Edge(gateway)

        def batch(count, **more):
            entry = {"source": "scanner", "type": "image.scanned", "severity": "low", **more}
            return json.dumps({"cluster_id": "c", "events": [{**entry, "id": f"e{n}"} for n in range(count)]}).encode()

        key = str(uuid.uuid4())

        def take(body, wanted):
            fields = {**edge.fields(body, sign=True), "X-Idempotency-Key": key}
            status, _, said = edge.send("POST", "/v1/webhooks/ingest", body, fields)
            assert status == wanted, (status, said)
            return said

        def forget():
            assert gateway.stop() == 0
            os.remove(os.path.join(gateway.data, "contract-answers.jsonl"))
            gateway.start()

        first = take(batch(300), 202)
        assert len(set(first["event_ids"])) == 300 and first["status"] == "accepted", first
        forget()
        # Between the two there are others.
        edge.ingest(edge.event())
        again = take(batch(300), 202)
        assert (again["status"], again["event_ids"]) == ("duplicate", first["event_ids"]), again["status"]
        forget()
        assert take(batch(300, severity="high"), 409)["error"]["code"] == "idempotency_conflict"


def sessions(report, gateway, hooks):
    with report.case("a session lasts over a restart, and ends with its key"):
        edge = Edge(gateway)
        asked = {"Authorization": f"Bearer {edge.tokens['viewer']}"}
        status, _, made = edge.send("POST", "/v1/auth/session", b'{"ttl_seconds": 600}', asked)
        assert status == 201 and made["role"] == "viewer" and made["tenant_id"] == edge.id, made
        assert edge.call("GET", "/registry", token=made["session_token"])["items"] == []
        longer = edge.send("POST", "/v1/auth/session", b"{}", {"Authorization": f"Bearer {made['session_token']}"})
        assert longer[0] == 401, "a session makes no session"
        assert gateway.stop() == 0
        gateway.start()
        edge.call("GET", "/registry", token=made["session_token"])
        edge.platform("DELETE", f"/keys/{edge.keys['viewer']}")
        edge.call("GET", "/registry", token=made["session_token"], wanted=(401,))


def streaming(report, gateway, hooks):
    with report.case("a stream goes on behind the event that it is told, in order and without a gap"):
        edge = Edge(gateway)
        ids = [edge.ingest(edge.event(payload={"n": number}))["event_id"] for number in range(30)]
        with Stream(edge) as stream:
            assert stream.next()[0] == "ready"
            ids.append(edge.ingest(edge.event())["event_id"])
            assert stream.of("webhook.event")[1] == ids[-1]
        for start in (0, 11, 29):
            with Stream(edge, **{"Last-Event-ID": ids[start]}) as stream:
                rest = [stream.of("webhook.event")[1] for _ in ids[start + 1 :]]
                assert rest == ids[start + 1 :], f"behind {start}"
        # A UUID of version 7 whose time no clock of nanoseconds reaches.
        with Stream(edge, **{"Last-Event-ID": "ffffffff-ffff-7fff-bfff-ffffffffffff"}) as stream:
            assert stream.next()[0] == "ready"
    with report.case("a payload with line ends is one line of the stream, and goes on as it came"):
        edge = Edge(gateway)
        entry = edge.register(hooks.url())
        payload = '{\n  "text": "a\\nb",\n  "n": 1.50 }'
        head = json.dumps(edge.event())[:-1]
        body = (head + ', "payload": ' + payload + "}").encode()
        with Stream(edge) as stream:
            status, _, said = edge.send("POST", "/v1/webhooks/ingest", body, edge.fields(body, sign=True))
            assert status == 202, said
            assert stream.of("webhook.event")[2]["payload"] == json.loads(payload)
        came = hooks.wait({"url": entry["target_url"]}, 1)[0]
        assert came.body.endswith(b'"payload":' + payload.encode() + b"}"), came.body


def proving(report, hooks, keys):
    proxies = {**keys, "trusted_proxies": ["127.0.0.0/8"]}
    with Gateway([open_source()], **proxies) as gateway:
        with report.case("a trusted proxy's word on a certificate stands for the signature, and for nothing else"):
            edge = Edge(gateway)
            proof = {"X-Forwarded-Client-Cert": "Hash=" + "ab" * 32 + ';Subject="CN=scanner"'}
            call = lambda wanted, **more: edge.call("POST", "/ingest", edge.event(), wanted, **more)  # noqa: E731
            call((202,), **proof)
            call((401,))
            call((401,), **{**proof, "X-Forwarded-Client-Cert": 'Subject="CN=scanner"'})
            call((401,), **proof, token="nobody")
            call((401,), **proof, **{"X-Signature": "0" * 64, "X-Timestamp": str(int(time.time()))})
    with Gateway([open_source()], contract={"enabled": False}) as gateway:
        with report.case("switched off, there is nothing, and no metric of it"):
            status = request(gateway.admin_port, "/v1/webhooks/registry")[0]
            assert status == 404, status
            _, _, metrics = request(gateway.admin_port, "/metrics")
            assert b"webhook_retries_total" not in metrics and b"sluice_" in metrics


def edge(report, gateway, hooks_of, keys):
    hooks = hooks_of()
    with hooks.receiver:
        for group in (repeating, sessions, streaming):
            group(report, gateway, hooks)
        proving(report, hooks, keys)
    with report.case("the health pages say what the gateway stands on"):
        pages = {}
        for path in ("/health", "/ready", "/readyz", "/health/database"):
            status, _, text = request(gateway.admin_port, path, headers={"Authorization": "none"})
            assert status == 200, f"{path}: {status} {text}"
            pages[path] = json.loads(text)
        names = {"status", "timestamp", "uptime", "version", "contract_version", "supported_versions", "dependencies"}
        assert names <= set(pages["/health"]), pages["/health"]
        healthy = {"database": "healthy", "queue": "healthy"}
        assert pages["/ready"]["dependencies"] == healthy, pages["/ready"]
        assert pages["/readyz"]["dependencies"] == {**healthy, "migration": "healthy"}, pages["/readyz"]
        assert {"status", "latency_ms", "pool"} <= set(pages["/health/database"]), pages["/health/database"]
