"""A client of the contract edge, for suites that try it against the real process."""

import hashlib
import hmac
import http.client
import json
import time
import uuid

from serverutil import request


def signature(secret, request_id, stamp, body):
    return hmac.new(secret.encode(), f"{request_id}.{stamp}.".encode() + body, hashlib.sha256).hexdigest()


class Edge:
    """A tenant of a gateway with its keys, and calls with the whole envelope: a new one, or one that is there, which
    gets a new secret."""

    def __init__(self, gateway, tenant=None):
        self.gateway, self.tokens, self.keys = gateway, {}, {}
        if tenant is None:
            made = self.platform("POST", "/tenants", {"name": f"t-{uuid.uuid4().hex[:10]}"})
        else:
            known = next(one for one in self.platform("GET", "/tenants")["items"] if one["name"] == tenant)
            made = {**known, **self.platform("POST", f"/tenants/{known['id']}/rotate-secret")}
        self.id, self.secret = made["tenant_id"], made["signing_secret"]
        for role in ("admin", "operator", "viewer"):
            key = self.platform("POST", "/keys", {"tenant_id": self.id, "role": role})
            self.tokens[role], self.keys[role] = key["token"], key["key_id"]

    def platform(self, method, path, body=None):
        fields = {"X-Sluice-Request": "1", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body)
        status, _, text = request(self.gateway.admin_port, "/api/v1" + path, data, fields, method)
        assert status < 300, f"{method} {path}: {status} {text[:300]}"
        return json.loads(text) if text else None

    def fields(self, body=None, sign=False, role="admin", token=None, **more):
        fields = {
            "X-Zen-Contract-Version": "v1alpha1",
            "X-Tenant-Id": self.id,
            "X-Request-Id": str(uuid.uuid4()),
            "Authorization": f"Bearer {token or self.tokens[role]}",
        }
        if body is not None:
            fields["Content-Type"] = "application/json"
        if sign:
            stamp = str(int(time.time()))
            mac = signature(self.secret, fields["X-Request-Id"], stamp, body)
            fields.update({"X-Timestamp": stamp, "X-Signature": mac})
        return {**fields, **more}

    def send(self, method, path, body=None, fields=None):
        """Status, header fields, JSON."""
        status, headers, text = request(self.gateway.admin_port, path, body, fields or self.fields(body), method)
        return status, headers, json.loads(text) if text else None

    def call(self, method, path, value=None, wanted=(200, 201, 202, 204), **more):
        body = None if value is None else json.dumps(value).encode()
        status, _, answer = self.send(method, "/v1/webhooks" + path, body, self.fields(body, **more))
        assert status in wanted, f"{method} {path}: {status} {answer}"
        return answer

    def event(self, event_type="image.scanned", **more):
        return {"source": "scanner", "category": "security", "severity": "high", "event_type": event_type, **more}

    def ingest(self, value, wanted=(202,), **more):
        return self.call("POST", "/ingest", value, wanted, sign=True, **more)

    def register(self, url, event_type="*", **more):
        return self.call("POST", "/registry", {"target_url": url, "event_type": event_type, **more})

    def deliveries(self, query=""):
        return self.call("GET", f"/deliveries{query}")["items"]


class Stream:
    """Server-sent events of the edge, read one by one."""

    def __init__(self, edge, **more):
        self.connection = http.client.HTTPConnection("127.0.0.1", edge.gateway.admin_port, timeout=20)
        self.connection.request("GET", "/v1/webhooks/events", headers=edge.fields(**more))
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, self.answer.read()

    def next(self):
        """(event, id, data) of the next one."""
        found = {"event": "message", "id": None, "data": ""}
        while True:
            line = self.answer.readline().decode().rstrip("\n")
            if not line and found["event"] != "message":
                return found["event"], found["id"], json.loads(found["data"] or "null")
            name, _, value = line.partition(": ")
            if name in found:
                found[name] = value

    def of(self, kind):
        while True:
            event = self.next()
            if event[0] == kind:
                return event

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
