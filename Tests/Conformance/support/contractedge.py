"""The contract edge, /v1/webhooks, in what its own suite does not see: lost answers, sessions, the stream
without a gap, certificates that a proxy has seen, switched off, and what docs/contract.md has to paste. A part of the
suite `contracts`."""

import email.message
import json
import os
import re
import shutil
import subprocess
import sys
import time
import uuid

from contractclient import Edge, Stream
from report import Skip
from serverutil import ROOT, Gateway, open_source, request


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


UUIDGEN = """#!/bin/sh
exec "{python}" -c "import uuid; print(uuid.uuid4())"
"""


def pasted(folder, script):
    """What a shell shows of it; where there is no uuidgen, Python's UUIDs."""
    path = os.environ["PATH"]
    if shutil.which("uuidgen") is None:
        tools = os.path.join(folder, "tools")
        os.makedirs(tools)
        with open(os.path.join(tools, "uuidgen"), "w") as file:
            file.write(UUIDGEN.format(python=sys.executable))
        os.chmod(file.name, 0o700)
        path = f"{tools}:{path}"
    environment = {**os.environ, "PATH": path}
    run = subprocess.run(
        ["bash", "-euc", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=30)
    assert run.returncode == 0, run.stderr[-400:]
    return run.stdout


def pasting(report, hooks, keys):
    """The blocks of docs/contract.md as they stand there, but for the addresses of gateway, data folder and target."""
    with open(os.path.join(ROOT, "docs", "contract.md")) as file:
        blocks = re.findall(r"```(sh|python)\n(.*?)```", file.read(), re.DOTALL)
    shell = [text for kind, text in blocks if kind == "sh"]
    python = [text for kind, text in blocks if kind == "python"]
    with Gateway([open_source()], **keys) as gateway:
        with report.case("docs/contract.md: its curl works when pasted"):
            lacks = [name for name in ("jq", "curl", "openssl") if shutil.which(name) is None]
            if lacks:
                raise Skip(f"not here: {', '.join(lacks)}")
            assert len(shell) == 3 and "curl -N" in shell[2], "the blocks are not where this looks for them"
            target = hooks.url()
            script = "".join(shell[:2]) + "echo; echo \"$TENANT $SECRET $TOKEN\"\n" + shell[2].replace(
                "curl -N", "curl -N -s -m 3", 1).rstrip("\n") + " || true\n"
            for old, new in (("http://127.0.0.1:8081", f"http://127.0.0.1:{gateway.admin_port}"),
                             ("sluice-data", gateway.data), ("https://example.com/hook", target)):
                assert old in script, old
                script = script.replace(old, new)
            lines = pasted(gateway.folder, script).splitlines()
            assert any('"status":"accepted"' in line for line in lines), lines
            assert "event: ready" in lines, lines
            tenant, secret, token = next(line for line in lines if re.fullmatch(r"\S{36} \S+ \S+", line)).split()
            shown = next(json.loads(line)["secret"] for line in lines if '"secret":' in line)
            came = hooks.wait({"url": target}, 1)[0]
            assert json.loads(came.body)["payload"] == {"finding": "F-17"}, came.body
        with report.case("docs/contract.md: its Python too, for senders and for receivers"):
            names = {}
            exec(compile("\n".join(python), "docs/contract.md", "exec"), names)
            admin, event = f"http://127.0.0.1:{gateway.admin_port}", {
                "source": "s", "category": "c", "severity": "low", "event_type": "image.python"}
            made = names["ingest"](admin, tenant, token, secret, event)
            came = hooks.wait({"url": target}, 2)[1]
            assert json.loads(came.body)["event_id"] == made, came.body
            fields = email.message.Message()
            for name, value in came.headers.items():
                fields[name] = value
            assert names["is_genuine"](fields, came.body, shown) and not names["is_genuine"](fields, b"{}", shown)


def edge(report, gateway, hooks_of, keys):
    hooks = hooks_of()
    with hooks.receiver:
        for group in (repeating, sessions, streaming):
            group(report, gateway, hooks)
        proving(report, hooks, keys)
        pasting(report, hooks, keys)
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
