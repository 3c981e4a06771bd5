#!/usr/bin/env python3
"""The contract as it is kept: every request and every answer of each version of it, beside what was written down when
the version was made (Tests/Conformance/golden: contract-VERSION.json, and port-VERSION.json of the ingest port). What
differs is a change of the contract, which needs a version of its own.

usage: contract_golden.py [--write]

`--write` writes the files of versions that have none, and touches no other. What is new each time (ids, times, secrets,
digests, durations) stands as a word in angle brackets, ids with a number of their own, so that the same one is seen
to be the same."""

import argparse
import json
import os
import re
import sys
import time
import uuid

import supportpath  # noqa: F401  (puts the shared modules on the path)
from contractclient import Edge, Stream, signature
from receiver import Receiver
from report import Report, wait_until
from serverutil import ROOT, Gateway, request

FOLDER = os.path.join(ROOT, "Tests", "Conformance", "golden")
VERSIONS = ("v0", "v1alpha1")
SECRET = "a-secret-of-the-source"
INGEST = "/v1/webhooks/ingest"
REGISTRY = "/v1/webhooks/registry"
KEPT = {
    "access-control-allow-headers", "access-control-allow-methods", "access-control-allow-origin",
    "access-control-expose-headers", "access-control-max-age", "allow", "cache-control", "content-security-policy",
    "content-type", "idempotent-replayed", "referrer-policy", "retry-after", "vary", "www-authenticate",
    "x-content-type-options", "x-frame-options", "x-request-id", "x-zen-contract-version",
}
SENT = KEPT | {"user-agent", "x-idempotency-key", "x-signature", "x-tenant-id", "x-timestamp", "x-zen-dry-run"}
UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
PATTERNS = [
    (UUID, "uuid"), (r"(?:evt|key|ep|src|app|rep|aud|dlv|msg)_[0-9A-Za-z]{10,}", "id"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z", None), (r"eyJ[\w-]+\.[\w-]+\.[\w-]+", None),
    (r"\b[0-9a-f]{64}\b", None), (r"https?://127\.0\.0\.1:\d+", None), (r"\bt-[0-9a-f]{10}\b", None),
    (r"whsec_[\w+/=-]+", None), (r"(?<=Hash=)\w+", None),
]
WORDS = ["", "", "<time>", "<token>", "<digest>", "<origin>", "<name>", "<secret>", ""]
# Members and fields that differ from run to run, whatever they look like.
VOLATILE = {
    "latency_ms", "uptime", "secret", "session_token", "next_cursor", "x-timestamp", "version", "pool", "etag",
    "timestamp", "expires_at",
}


class Normal:
    """One run's values as words."""

    def __init__(self):
        self.known = {}

    def text(self, text):
        for (pattern, numbered), word in zip(PATTERNS, WORDS):
            if numbered:
                text = re.sub(pattern, lambda found: self.number(numbered, found.group().lower()), text)
            elif word:
                text = re.sub(pattern, word, text)
        return text

    def number(self, kind, value):
        names = self.known.setdefault(kind, {})
        return f"<{kind} {names.setdefault(value, len(names) + 1)}>"

    def value(self, value, name=""):
        name = name.lower()
        if name in VOLATILE and value is not None and not isinstance(value, (dict, list)):
            return f"<{name}>"
        if name in VOLATILE and isinstance(value, dict):
            return {key: f"<{name}>" for key in value}
        if isinstance(value, dict):
            return {key: self.value(inner, key) for key, inner in sorted(value.items())}
        if isinstance(value, list):
            return [self.value(one, name) for one in value]
        return self.text(value) if isinstance(value, str) else value

    def fields(self, fields, kept):
        lowered = {name.lower(): value for name, value in fields.items()}
        return {name: self.value(lowered[name], name) for name in sorted(kept & set(lowered))}


class Recorder:
    """Calls of one version against one gateway; each is written down under a name."""

    def __init__(self, gateway, version, normal):
        self.gateway, self.version, self.normal, self.rows = gateway, version, normal, {}
        self.edge = Edge(gateway)

    def fields(self, body, sign, drop=(), role="admin", **more):
        fields = self.edge.fields(body, sign=sign, role=role)
        fields["X-Zen-Contract-Version"] = self.version
        fields.update(more)
        return {name: value for name, value in fields.items() if name not in drop}

    def call(self, name, method, path, value=None, sign=False, port=None, raw=None, **more):
        body = raw if raw is not None else None if value is None else json.dumps(value, sort_keys=True).encode()
        fields = self.fields(body, sign, **more)
        status, headers, text = request(port or self.gateway.admin_port, path, body, fields, method)
        said = json.loads(text) if text else None
        self.note(name, method, path, fields, body, status, headers, said)
        return said

    def note(self, name, method, path, fields, body, status, headers, said):
        assert name not in self.rows, name
        shown = {"method": method, "path": self.normal.text(path), "headers": self.normal.fields(fields, SENT)}
        if "Authorization" in fields:
            shown["headers"]["authorization"] = "Bearer <token>"
        if body is not None:
            try:
                shown["body"] = self.normal.value(json.loads(body))
            except ValueError:
                shown["body"] = body.decode()
        answer = {"status": status, "headers": self.normal.fields(dict(headers), KEPT)}
        if said is not None:
            answer["body"] = self.normal.value(said)
        self.rows[name] = {"request": shown, "answer": answer}


def event(number=0, **more):
    made = {
        "source": "scanner", "category": "security", "severity": "high", "event_type": "image.scanned",
        "detected_at": "2026-01-02T03:04:05Z", "payload": {"n": number},
    }
    return {name: value for name, value in {**made, **more}.items() if value is not None}


def envelope(it):
    it.call("version missing", "GET", REGISTRY, drop=["X-Zen-Contract-Version"])
    it.call("version unsupported", "GET", REGISTRY, **{"X-Zen-Contract-Version": "v7"})
    it.call("request id missing", "POST", REGISTRY, {}, drop=["X-Request-Id"])
    it.call("request id invalid", "POST", REGISTRY, {}, **{"X-Request-Id": "17"})
    it.call("tenant missing", "GET", REGISTRY, drop=["X-Tenant-Id"])
    it.call("tenant invalid", "GET", REGISTRY, **{"X-Tenant-Id": "acme"})
    it.call("tenant of another", "GET", REGISTRY, **{"X-Tenant-Id": Edge(it.gateway).id})
    it.call("session missing", "GET", REGISTRY, drop=["Authorization"])
    it.call("session unknown", "GET", REGISTRY, Authorization="Bearer nobody")
    it.call("role too low", "POST", REGISTRY, {"target_url": "https://a.example", "event_type": "*"}, role="viewer")
    it.call("signature missing", "POST", INGEST, event())
    it.call("signature malformed", "POST", INGEST, event(), **{"X-Signature": "ab", "X-Timestamp": "1"})
    it.call("signature wrong", "POST", INGEST, event(), **{
        "X-Signature": "0" * 64, "X-Timestamp": str(int(time.time()))})
    it.call("time stale", "POST", INGEST, event(), **{"X-Signature": "0" * 64, "X-Timestamp": "12"})
    it.call("media type", "POST", INGEST, event(), sign=True, **{"Content-Type": "text/plain"})
    it.call("path unknown", "GET", "/v1/webhooks/nothing")
    it.call("method not allowed", "PUT", REGISTRY, {})
    it.call("preflight", "OPTIONS", REGISTRY, Origin="https://console.example.test",
            **{"Access-Control-Request-Method": "POST"})
    it.call("idempotency key invalid", "POST", REGISTRY, {}, **{"X-Idempotency-Key": "again"})


def sessions(it):
    mine = {"Authorization": f"Bearer {it.edge.tokens['viewer']}", "Content-Type": "application/json"}

    def ask(name, body, fields):
        status, headers, text = request(it.gateway.admin_port, "/v1/auth/session", body, fields, "POST")
        it.note(name, "POST", "/v1/auth/session", fields, body, status, headers, json.loads(text))

    ask("session", b'{"ttl_seconds":600}', mine)
    ask("session too long", b'{"ttl_seconds":99999}', mine)
    ask("session without a key", b"{}", {"Content-Type": "application/json"})


def events(it):
    mine = {"X-Request-Id": str(uuid.uuid4())}
    stamp = str(int(time.time()))
    body = json.dumps(event(), sort_keys=True).encode()
    mine.update({"X-Timestamp": stamp, "X-Signature": signature(it.edge.secret, mine["X-Request-Id"], stamp, body)})
    it.call("ingest", "POST", INGEST, raw=body, **mine)
    it.call("ingest again", "POST", INGEST, raw=body, **mine)
    other = json.dumps(event(1), sort_keys=True).encode()
    mine["X-Signature"] = signature(it.edge.secret, mine["X-Request-Id"], stamp, other)
    it.call("ingest conflict", "POST", INGEST, raw=other, **mine)
    it.call("ingest batch", "POST", INGEST, {"cluster_id": "c", "events": [
        {"id": "1", "source": "s", "type": "pod.crashed", "severity": "low", "namespace": "n", "resource": "r",
         "description": "d", "timestamp": "2026-01-02T03:04:05Z", "details": {"k": "v"}}]}, sign=True)
    it.call("ingest invalid", "POST", INGEST, event(severity="odd", source=None), sign=True)
    it.call("ingest malformed", "POST", INGEST, raw=b'{"a":', sign=True)
    it.call("ingest of another tenant", "POST", INGEST, event(tenant_id=str(uuid.uuid4())), sign=True)


def registry(it, url):
    made = it.call("register", "POST", REGISTRY, {"target_url": url + "/204", "event_type": "order.*"})
    path = f"{REGISTRY}/{made['webhook_id']}"
    it.call("register all of it", "POST", REGISTRY, {
        "name": "n", "target_url": url + "/400", "event_types": ["bad.one", "bad.two"], "secret": "s" * 20,
        "active": False, "schema_version": "2", "rate_limit_bucket": {"name": "b", "capacity": 5, "refill_per_s": 2},
        "retry_policy": {"max_retries": 1, "initial_delay_ms": 100}, "delivery_policy": {"timeout_ms": 2000}})
    it.call("register invalid", "POST", REGISTRY, {
        "target_url": "ftp://x", "retry_policy": {"max_retries": 99}, "odd": 1})
    it.call("register malformed", "POST", REGISTRY, raw=b"{")
    it.call("list", "GET", REGISTRY + "?limit=1")
    it.call("list filtered", "GET", REGISTRY + "?event_type=order.*&active=true")
    it.call("list invalid", "GET", REGISTRY + "?limit=0")
    it.call("show", "GET", path)
    it.call("show unknown", "GET", f"{REGISTRY}/{uuid.uuid4()}")
    it.call("update", "PATCH", path, {"name": "renamed", "delivery_policy": {"sign": True, "timeout_ms": 1500}})
    it.call("update fixed", "PATCH", path, {"secret_ref": "x"})
    gone = it.edge.register(url + "/204", "never")
    it.call("delete", "DELETE", f"{REGISTRY}/{gone['webhook_id']}")
    it.call("delete again", "DELETE", f"{REGISTRY}/{gone['webhook_id']}")
    return made


def deliveries(it, receiver, made):
    entry = it.edge.register(receiver.url + "/400", "bad.*")
    base = "/v1/webhooks/deliveries"
    for kind in ("order.paid", "bad.one"):
        it.edge.ingest(event(event_type=kind))
    ended = lambda entry, status: wait_until(  # noqa: E731
        lambda: it.edge.deliveries(f"?webhook_id={entry['webhook_id']}&status={status}"), 20, f"a delivery {status}")[0]
    good, bad = ended(made, "delivered"), ended(entry, "dlq")
    for name, path in (("delivered", "/204"), ("refused", "/400")):
        came = next(one for one in receiver.snapshot() if one.path.endswith(path))
        it.rows[f"webhook that is {name}"] = {"delivery": {
            "headers": it.normal.fields(dict(came.headers), SENT), "body": it.normal.value(json.loads(came.body))}}
    it.call("deliveries", "GET", f"{base}?webhook_id={made['webhook_id']}&status=delivered")
    it.call("delivery", "GET", f"{base}/{good['delivery_id']}")
    it.call("delivery in the queue", "GET", f"{base}/{bad['delivery_id']}")
    it.call("delivery unknown", "GET", f"{base}/{uuid.uuid4()}")
    it.call("test", "POST", "/v1/webhooks/test", {
        "webhook_id": made["webhook_id"], "event_type": "order.test", "payload": {"a": 1}})
    it.call("test unknown", "POST", "/v1/webhooks/test", {"webhook_id": str(uuid.uuid4())})
    replay = "/v1/webhooks/dlq/replay"
    it.call("replay", "POST", replay, {"reason": "mended", "delivery_ids": [bad["delivery_id"]]})
    it.call("replay of none", "POST", replay, {"reason": "r", "webhook_id": made["webhook_id"]})
    it.call("replay not in the queue", "POST", replay, {"reason": "r", "delivery_ids": [good["delivery_id"]]})
    it.call("replay invalid", "POST", replay, {"delivery_ids": []})
    # What follows is newer than the replay's attempt.
    attempts = lambda: [  # noqa: E731
        one for one in it.edge.call("GET", "/audit?category=delivery&limit=100")["items"]
        if one["webhook_id"] == entry["webhook_id"]]
    wait_until(lambda: len(attempts()) == 2, 20, "the replay was tried")


def stream(it):
    it.edge.register(it.receiver_url + "/204", "stream.*")
    with Stream(it.edge, **{"X-Zen-Contract-Version": it.version}) as stream:
        said = [stream.next()]
        it.edge.ingest(event(event_type="stream.one"))
        said.append(stream.of("webhook.event"))
        while True:
            found = stream.of("webhook.delivery")
            if found[2].get("event_type") == "stream.one" and found[2].get("status") == "delivered":
                said.append(found)
                break
    it.rows["stream"] = {"events": [
        {"event": kind, "id": it.normal.value(mark), "data": it.normal.value(data)} for kind, mark, data in said]}


def audit(it):
    # Failures are sampled where there are many: a tenant of its own has one.
    mine, it.edge = it.edge, Edge(it.gateway)
    it.edge.call("POST", "/ingest", event(), (401,))
    shown(it, "auth_failure")
    it.edge = mine
    for category in ("registration", "dlq_replay", "delivery"):
        shown(it, category)
    it.call("audit for a viewer", "GET", "/v1/webhooks/audit", role="viewer")
    it.call("audit invalid", "GET", "/v1/webhooks/audit?category=odd")


def shown(it, category):
    path = f"/v1/webhooks/audit?category={category}&limit=1"
    wait_until(lambda: it.edge.call("GET", path.removeprefix("/v1/webhooks"))["items"], 10, category)
    it.call(f"audit of {category}", "GET", path)


def health(it):
    for path in ("/health", "/ready", "/readyz", "/health/database"):
        it.call(f"page {path}", "GET", path)


def record(version):
    receiver = Receiver(lambda delivery, number: int(delivery.path.rsplit("/", 1)[1]))
    keys = {"delivery": {"allow": ["127.0.0.0/8"]}, "contract": {
        "cors_origins": ["https://console.example.test"], "rate_capacity": 1000}}
    with receiver, Gateway([], **keys) as gateway:
        it = Recorder(gateway, version, Normal())
        it.receiver_url = receiver.url
        for part in (envelope, sessions, events):
            part(it)
        deliveries(it, receiver, registry(it, receiver.url))
        for part in (stream, audit, health):
            part(it)
    return it.rows


def ingest_port(it):
    """The same envelope on the other port, for the tenant `default`."""
    items = it.edge.platform("GET", "/tenants")["items"]
    tenant = next(one["tenant_id"] for one in items if one["name"] == "default")

    def ask(name, body, secret=SECRET, **more):
        mine, stamp = str(uuid.uuid4()), str(int(time.time()))
        fields = {"X-Tenant-Id": tenant, "X-Request-Id": mine, "X-Timestamp": stamp,
                  "X-Signature": signature(secret, mine, stamp, body), **more}
        it.call(name, "POST", "/in/edge", raw=body, port=it.gateway.port, drop=["Authorization"], **fields)
        return fields

    body = json.dumps(event(), sort_keys=True).encode()
    fields = ask("ingest", body)
    it.call("ingest again", "POST", "/in/edge", raw=body, port=it.gateway.port, drop=["Authorization"], **fields)
    ask("version unsupported", body, **{"X-Zen-Contract-Version": "v7"})
    ask("request id invalid", body, **{"X-Request-Id": "17"})
    ask("tenant of another", body, **{"X-Tenant-Id": str(uuid.uuid4())})
    ask("signature wrong", body, secret="another")
    ask("media type", body, **{"Content-Type": "text/plain"})
    ask("idempotency key of another", body, **{"X-Idempotency-Key": str(uuid.uuid4())})
    ask("no type", b'{"source":"s"}')
    it.call("method not allowed", "PUT", "/in/edge", port=it.gateway.port, drop=["Authorization"])


def record_port(version):
    source = {"name": "edge", "provider": "contract", "secrets": [SECRET]}
    with Gateway([source]) as gateway:
        it = Recorder(gateway, version, Normal())
        ingest_port(it)
        return it.rows


RECORDED = {"contract": record, "port": record_port}


def compare(kept, found):
    lines = [f"`{name}` is gone" for name in kept if name not in found]
    lines += [f"`{name}` is new" for name in found if name not in kept]
    for name in kept:
        if name in found and kept[name] != found[name]:
            lines.append(f"`{name}`: {difference(kept[name], found[name])}")
    return lines


def difference(kept, found, place=""):
    if isinstance(kept, dict) and isinstance(found, dict):
        for name in sorted(set(kept) | set(found)):
            if kept.get(name) != found.get(name) or (name in kept) != (name in found):
                return difference(kept.get(name), found.get(name), f"{place}.{name}" if place else name)
    return f"{place} was {json.dumps(kept)[:160]}, is {json.dumps(found)[:160]}"


def held(rows, path, writes):
    if not os.path.exists(path):
        assert writes, f"{path} is missing; --write makes it"
        os.makedirs(FOLDER, exist_ok=True)
        with open(path, "w") as file:
            json.dump(rows, file, indent=1, sort_keys=True)
            file.write("\n")
    with open(path) as file:
        lines = compare(json.load(file), rows)
    more = "; a change of the contract needs a version of its own (docs/contract.md)"
    assert not lines, "; ".join(lines[:4]) + (f"; {len(lines)} in all" if len(lines) > 4 else "") + more


def found_out(rows):
    """What such a comparison is for: no change of one passes."""
    for change in (
        lambda one: one.pop("show"),
        lambda one: one.update(more=one["show"]),
        lambda one: one["show"]["answer"]["body"].pop("active"),
        lambda one: one["show"]["answer"]["body"].update(more=1),
        lambda one: one["show"]["answer"].update(status=201),
        lambda one: one["ingest"]["request"]["headers"].pop("x-tenant-id"),
        lambda one: one["stream"]["events"][1]["data"].update(severity=7),
        lambda one: one["webhook that is delivered"]["delivery"]["headers"].pop("x-signature"),
    ):
        changed = json.loads(json.dumps(rows))
        change(changed)
        assert len(compare(rows, changed)) == 1, compare(rows, changed)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    report = Report("contract_golden")
    with report.case("the versions that are served are those that are written down"):
        kept = set(os.listdir(FOLDER)) if os.path.isdir(FOLDER) else set()
        wanted = {f"{surface}-{version}.json" for surface in RECORDED for version in VERSIONS}
        assert options.write or kept == wanted, kept ^ wanted
    for surface, recorded in RECORDED.items():
        for version in VERSIONS:
            with report.case(f"{surface}, {version}: every request and answer is as it was written down") as notes:
                rows = json.loads(json.dumps(recorded(version)))
                notes.append(f"{len(rows)}")
                held(rows, os.path.join(FOLDER, f"{surface}-{version}.json"), options.write)
                served = rows["version unsupported"]["answer"]["body"]["error"]["supported_versions"]
                assert served == list(VERSIONS), served
                if surface == "contract":
                    found_out(rows)
    report.finish()


if __name__ == "__main__":
    sys.exit(main())
