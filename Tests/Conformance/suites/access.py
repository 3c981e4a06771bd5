#!/usr/bin/env python3
"""Two tenants beside each other in one gateway, keys of every role, and every route of the served document: who is let
in, and that nothing of one tenant is seen or changed with a key of the other.

The routes are taken from the document, so a new one is tried without a change here."""

import base64
import hashlib
import hmac
import itertools
import json
import os
import re
import stat
import subprocess
import tempfile
import time
import uuid

import supportpath  # noqa: F401  (puts the shared modules on the path)
from receiver import Receiver
from report import Report, arguments, one_line, wait_until
from serverutil import (
    BINARY,
    Gateway,
    endpoint,
    github_headers,
    github_source,
    open_source,
    platform_key,
    request,
    sluice,
)

ROLES = ("publisher", "viewer", "operator", "admin")
LADDER = ("viewer", "operator", "admin", "platform")
# In every name and value of the other tenant, and in nothing of one's own.
MARK = "beta7"
# Routes that ask for the contract's envelope before anything else.
ENVELOPED = "/v1/webhooks"


class Bench:
    """A gateway with the tenants `alpha` and `beta7`: sources by the file, all else by the API."""

    def __init__(self, receiver):
        tenants = ("alpha", MARK)
        sources = [open_source(f"{name}-in", tenant=name) for name in tenants]
        sources += [github_source("github", tenant=name, secret=f"{name}-secret") for name in tenants]
        hook = endpoint("own-hook", receiver.url)
        # Every route is tried with every role, which is more than a tenant may ask in a moment.
        self.gateway = Gateway(sources, [hook], contract={"rate_capacity": 100_000, "rate_refill": 100_000})
        self.receiver = receiver
        self.tenants, self.keys, self.own = {}, {}, {}

    def call(self, method, path, token, body=None, headers=None):
        data = None if body is None else json.dumps(body)
        more = self.envelope(path, data) if path.startswith(ENVELOPED) else {}
        fields = {"X-Sluice-Request": "1", "Authorization": f"Bearer {token}" if token else "none"}
        fields.update({**more, **(headers or {})})
        status, answered, text = request(self.gateway.admin_port, path, data, fields, method)
        return status, answered, text.decode()

    def envelope(self, path, body):
        """Of a call for the tenant `alpha`, signed where it must be: what is refused is refused for who calls."""
        tenant, request_id, now = self.tenants["alpha"], str(uuid.uuid4()), str(int(time.time()))
        fields = {"X-Zen-Contract-Version": "v1alpha1", "X-Tenant-Id": tenant["tenant_id"], "X-Request-Id": request_id}
        if body is not None:
            fields["Content-Type"] = "application/json"
        if path.endswith("/ingest"):
            signed = f"{request_id}.{now}.{body or ''}".encode()
            mac = hmac.new(tenant["signing_secret"].encode(), signed, hashlib.sha256).hexdigest()
            fields.update({"X-Timestamp": now, "X-Signature": mac})
        return fields

    def platform(self, method, path, body=None, headers=None, wanted=(200, 201, 202, 204)):
        status, _, text = self.call(method, path, platform_key(self.gateway.admin_port), body, headers)
        assert status in wanted, f"{method} {path}: {status} {one_line(text)}"
        return json.loads(text) if text else None

    def fill(self):
        """Each tenant has an endpoint, an event that was delivered, a dead letter and a refused request."""
        for name in ("alpha", MARK):
            tenant = self.platform("POST", f"/api/v1/tenants/{name}/rotate-secret")
            self.tenants[name] = tenant
            self.keys[name] = {}
            for role in ROLES:
                made = self.platform("POST", "/api/v1/keys", {"tenant_id": tenant["tenant_id"], "role": role})
                self.keys[name][role] = made["token"]
            hook = {"name": f"{name}-hook", "tenant": name, "url": f"{self.receiver.url}/{name}", "uid": f"{name}-uid"}
            dead = {"name": f"{name}-dead", "tenant": name, "url": f"{self.receiver.url}/{name}/dead"}
            ids = [self.platform("POST", "/api/v1/endpoints", one)["id"] for one in (hook, dead)]
            webhook = {"url": f"{self.receiver.url}/{name}/webhook", "events": ["*"], "description": name}
            webhook = self.platform("POST", "/api/v1/webhooks", webhook, {"X-Tenant-Id": name})["webhook_id"]
            # Disabled, so that no event is made for it while others are counted.
            ears = {"url": f"{self.receiver.url}/{name}/ears", "description": name, "enabled": False}
            ears = self.platform("POST", "/api/v1/operational_webhooks", ears, {"X-Tenant-Id": name})["id"]
            entry = {"target_url": f"{self.receiver.url}/{name}/entry", "event_type": "*", "name": name}
            entry = self.platform("POST", "/v1/webhooks/registry", entry, {"X-Tenant-Id": tenant["tenant_id"]})
            said = self.gateway.post(f"/in/{name}/{name}-in", json.dumps({"mine": name}))
            assert said[0] == 202, said
            body = json.dumps({"refused": name}).encode()
            refused = self.gateway.post(f"/in/{name}/github", body, github_headers(body, "wrong"))
            assert refused[0] == 401, refused
            self.own[name] = {"endpoint": ids[0], "event": json.loads(said[2])["id"], "webhook": webhook}
            self.own[name]["operational"] = ears
            self.own[name]["entry"] = entry["webhook_id"]
        for name in ("alpha", MARK):
            own, admin = self.own[name], self.keys[name]["admin"]

            def listed(path, admin=admin):
                return json.loads(self.call("GET", path, admin)[2]).get("items")

            wait_until(lambda: len(listed("/api/v1/deliveries") or []) == 2, 15, f"deliveries of {name}")
            wait_until(lambda: listed("/api/v1/dead-letters"), 15, f"a dead letter of {name}")
            own["rejected"] = wait_until(lambda: listed("/api/v1/rejected"), 15, f"refused requests of {name}")[0]["id"]
            own["source"] = listed("/api/v1/sources")[0]["id"]
            own["tenant"] = self.tenants[name]["id"]
            counted = self.platform("POST", "/api/v1/repairs", {"action": "retry"}, {"X-Tenant-Id": name})
            own["repair"] = counted["id"]
            own["key"] = self.platform("GET", f"/api/v1/keys?tenant={name}")["items"][0]["key_id"]


def operations(bench):
    """(method, path, operation) of the document."""
    document = bench.platform("GET", "/api/v1/openapi.json")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def of_whom(path, ids):
    """The path with the ids of a tenant in the places of its parameters."""
    kind = re.search(r"/api(?:/v1)?/([a-z_-]+)", path)
    names = {"endpoints": "endpoint", "events": "event", "sources": "source", "tenants": "tenant", "keys": "key"}
    names["operational_webhooks"] = "operational"
    names["repairs"] = "repair"
    own = ids[names.get(kind[1], "rejected")] if kind and kind[1] != "deliveries" else ""
    path = path.replace("{id}", own).replace("{event}", ids["event"]).replace("{endpoint}", ids["endpoint"])
    path = path.replace("{webhook_id}", ids["entry" if path.startswith(ENVELOPED) else "webhook"])
    return re.sub(r"\{\w+\}", "nothing", path.replace("{app}", ids["tenant"]))


def roles(report, bench):
    with report.case("every route asks every role, and a stranger is told nothing") as notes:
        tried = 0
        for method, path, operation in operations(bench):
            # Nothing there: what is not refused for the role fails for another reason and changes nothing.
            target = re.sub(r"\{\w+\}", "nothing", path)
            body = None if method == "GET" else ["no", "object"]
            needed, scope = operation.get("x-sluice-role"), operation.get("x-sluice-scope")
            stranger = bench.call(method, target, None, body)
            assert (stranger[0] == 401) == bool(needed), f"{method} {path} for a stranger: {stranger[0]}"
            if not needed:
                continue
            assert stranger[1].get("www-authenticate", "").startswith("Bearer"), f"{method} {path}"
            for role in ROLES:
                status, _, text = bench.call(method, target, bench.keys["alpha"][role], body)
                if needed == "publisher":
                    may = role != "viewer" and scope == "tenant"
                else:
                    may = role in LADDER and LADDER.index(role) >= LADDER.index(needed) and scope == "tenant"
                is_refused = status == 403 and ("forbidden" in text or "insufficient access" in text)
                assert is_refused == (not may), f"{method} {path} for a tenant's {role}: {status} {one_line(text, 160)}"
                assert status < 500 or status == 503, f"{method} {path} for {role}: {status}"
                tried += 1
        assert tried > 150, tried
        notes.append(f"{tried} calls")


def portal(report, bench):
    with report.case("the token of a portal opens its own application, and no other route") as notes:
        path = f"/api/v1/auth/app-portal-access/{bench.tenants['alpha']['id']}"
        token, tried = bench.platform("POST", path, {})["token"], 0
        for method, path, operation in operations(bench):
            if not operation.get("x-sluice-role"):
                continue
            target = re.sub(r"\{\w+\}", "nothing", path.replace("{app}", bench.tenants["alpha"]["id"]))
            status, _, text = bench.call(method, target, token, None if method == "GET" else ["no", "object"])
            name = operation["operationId"]
            # Operational webhooks are the tenant's own affair.
            may = name.startswith("v1.") and not name.startswith("v1.operational-webhook.")
            may = may and operation["x-sluice-scope"] == "tenant"
            is_refused = status == 403 and ("forbidden" in text or "insufficient access" in text)
            assert is_refused == (not may), f"{method} {path}: {status} {one_line(text, 160)}"
            tried += 1
        assert tried > 60, tried
        assert bench.call("GET", f"/api/v1/app/{bench.tenants['alpha']['id']}", token)[0] == 200
        assert bench.call("GET", f"/api/v1/app/{bench.tenants[MARK]['id']}", token)[0] == 404
        assert bench.call("GET", "/api/v1/events", token, headers={"X-Tenant-Id": "alpha"})[0] == 403
        notes.append(f"{tried} calls")


def listings(report, bench):
    with report.case("a tenant's listings have nothing of another tenant") as notes:
        tried = 0
        for method, path, operation in operations(bench):
            if method != "GET" or "{" in path or operation.get("x-sluice-scope") != "tenant" or "openapi" in path:
                continue
            for role in ("viewer", "admin"):
                limits = [one["schema"]["maximum"] for one in operation["parameters"] if one["name"] == "limit"]
                for query in ["", *(f"?limit={limit}" for limit in limits)]:
                    status, _, text = bench.call("GET", path + query, bench.keys["alpha"][role])
                    assert status in (200, 403), f"{path} for {role}: {status}"
                    assert MARK not in text, f"{path}{query} for {role}: {one_line(text)}"
                    for name, text_of in bench.own[MARK].items():
                        assert text_of not in text, f"{path} for {role} has the other's {name}"
                    tried += status == 200
        assert tried >= 20, tried
        both = bench.platform("GET", "/api/v1/events?limit=1000")["items"]
        assert len(both) == 2, "the platform sees both"
        named = bench.platform("GET", "/api/v1/events?limit=1000", headers={"X-Tenant-Id": MARK})["items"]
        assert [one["id"] for one in named] == [bench.own[MARK]["event"]]
        notes.append(f"{tried} listings")


def foreign_ids(report, bench):
    with report.case("another tenant's ids are not there, whatever is asked of them") as notes:
        before = snapshot(bench)
        tried = 0
        for method, path, operation in operations(bench):
            if "{" not in path:
                continue
            kind = operation.get("x-sluice-scope")
            mixes = [bench.own[MARK]]
            if "{event}" in path:
                mixes += [{**bench.own["alpha"], "event": bench.own[MARK]["event"]}]
                mixes += [{**bench.own["alpha"], "endpoint": bench.own[MARK]["endpoint"]}]
            if "{app}" in path and "{endpoint}" in path:
                mixes += [{**bench.own["alpha"], "endpoint": bench.own[MARK]["endpoint"]}]
            taken = {"name": "taken", "url": "http://127.0.0.1:1/"}
            bodies = [None] if method in ("GET", "DELETE") else [None, {}, taken, {"url": "http://127.0.0.1:1/"}]
            for ids, body, role in itertools.product(mixes, bodies, ("viewer", "operator", "admin")):
                target = of_whom(path, ids)
                status, _, text = bench.call(method, target, bench.keys["alpha"][role], body)
                assert status in ((403,) if kind == "gateway" else (400, 403, 404, 422)), f"{method} {target}: {status}"
                if status == 404:
                    shown = text.replace(target, "")
                    assert MARK not in shown, f"{method} {path}: {one_line(text)}"
                tried += 1
        assert tried > 60 and snapshot(bench) == before, "something of the other tenant changed"
        notes.append(f"{tried} calls")
    with report.case("nor by name, uid, filter, header or in a body"):
        admin = bench.keys["alpha"]["admin"]
        others = bench.own[MARK]
        for ref in (f"{MARK}%2F{MARK}-hook", f"{MARK}-hook", f"{MARK}-uid", others["endpoint"]):
            assert bench.call("GET", f"/api/v1/endpoints/{ref}", admin)[0] == 404, ref
        for tenant in (MARK, bench.tenants[MARK]["tenant_id"], others["tenant"]):
            for path in ("/api/v1/endpoints", "/api/v1/sources"):
                assert bench.call("GET", f"{path}?tenant={tenant}", admin)[0] == 404, tenant
            headed = bench.call("GET", "/api/v1/events", admin, headers={"X-Tenant-Id": tenant})
            assert headed[0] == 404, headed
            made = bench.call(
                "POST", "/api/v1/endpoints", admin, {"name": "x", "url": bench.receiver.url, "tenant": tenant}
            )
            assert made[0] == 404, made
        for order in (
            {"event": others["event"]},
            {"event": others["event"], "endpoint": "alpha-hook"},
            {"event": others["event"], "endpoint": "alpha-hook", "dry_run": False, "states": ["missing"]},
            {"endpoint": others["endpoint"]},
        ):
            for path in ("/api/v1/replays", "/api/replay"):
                order = dict(order)
                if path == "/api/replay":
                    order = {key: value for key, value in order.items() if key in ("event", "endpoint")}
                status, _, text = bench.call("POST", path, admin, order)
                assert status == 404, f"{path} {order}: {status} {one_line(text)}"
        took = bench.call("POST", "/api/v1/rejected/reverify", admin, {"ids": [others["rejected"]], "dry_run": False})
        assert took[0] == 200 and not any(json.loads(took[2]).get(key) for key in ("accepted", "duplicate")), took
        retried = f"/api/v1/deliveries/{others['event']}/alpha-hook/retry"
        assert bench.call("POST", retried, admin)[0] == 404
        assert not [d for d in bench.receiver.snapshot() if "/alpha" in d.path and MARK.encode() in d.body]


def snapshot(bench):
    headers = {"X-Tenant-Id": MARK}
    paths = ("endpoints", "sources", "rejected", "events", "dead-letters")
    found = {path: bench.platform("GET", f"/api/v1/{path}?limit=1000", headers=headers)["items"] for path in paths}
    for path in ("webhooks", "operational_webhooks"):
        found[path] = bench.platform("GET", f"/api/v1/{path}", headers=headers)
    named = {"X-Tenant-Id": bench.tenants[MARK]["tenant_id"]}
    found["entries"] = bench.platform("GET", "/v1/webhooks/registry", headers=named)["items"]
    for one in found["endpoints"]:
        one.pop("status")
    return found


def keys(report, bench):
    with report.case("a key ends with its revocation, and a tenant's keys with the tenant"):
        made = bench.platform("POST", "/api/v1/tenants", {"name": "gone", "uid": "customer-9"})
        assert len(made["signing_secret"]) >= 32 and re.fullmatch(r"[0-9a-f-]{36}", made["tenant_id"]), made
        first = bench.platform("POST", "/api/v1/keys", {"tenant_id": made["tenant_id"], "role": "viewer", "name": "ci"})
        second = bench.platform("POST", "/api/v1/keys", {"tenant_id": "gone", "role": "admin"})
        assert re.fullmatch(r"sluice_[0-9A-Za-z]{49}", first["token"]), "the token's form"
        assert bench.call("GET", "/api/v1/endpoints", first["token"])[0] == 200
        shown = bench.platform("GET", f"/api/v1/keys/{first['key_id']}")
        assert shown["last_used_at"] and "token" not in shown and shown["tenant"]["name"] == "gone", shown
        bench.platform("DELETE", f"/api/v1/keys/{first['key_id']}", wanted=(204,))
        assert bench.call("GET", "/api/v1/endpoints", first["token"])[0] == 401
        hook = {"name": "h", "url": bench.receiver.url}
        assert bench.call("POST", "/api/v1/endpoints", second["token"], hook)[0] == 201
        refused = bench.platform("DELETE", "/api/v1/tenants/customer-9", wanted=(409,))
        assert refused["code"] == "tenant_in_use", refused
        bench.platform("DELETE", "/api/v1/tenants/customer-9?with_resources=true", wanted=(204,))
        assert bench.call("GET", "/api/v1/endpoints", second["token"])[0] == 401
    with report.case("what the file has a part of is the file's"):
        for method, body in (("PATCH", {"name": "x"}), ("DELETE", None)):
            answer = bench.platform(method, "/api/v1/tenants/alpha", body, wanted=(409,))
            assert answer["code"] == "managed_by_manifest", answer
        assert bench.platform("DELETE", "/api/v1/tenants/default", wanted=(409,))["code"] == "conflict"
    with report.case("keys last over a restart, and no token is in a file but the platform's own"):
        gateway = bench.gateway
        tokens = [token for tokens in bench.keys.values() for token in tokens.values()]
        assert gateway.stop() == 0
        for root, _, files in os.walk(gateway.data):
            for name in files:
                path = os.path.join(root, name)
                with open(path, "rb") as file:
                    text = file.read()
                assert not any(token.encode() in text for token in tokens), path
                if name in ("platform.key", "keys.secret"):
                    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, path
        gateway.start()
        assert platform_key(gateway.admin_port) not in gateway.output(), "the key is said by the first start alone"
        assert bench.call("GET", "/api/v1/endpoints", bench.keys["alpha"]["viewer"])[0] == 200
        assert bench.platform("GET", "/api/v1/tenants/alpha")["id"] == bench.tenants["alpha"]["id"]


def command_line(report, bench):
    with report.case("the command line finds the key of its data folder, and says what to do without one"):
        gateway = bench.gateway
        config = sluice("status", "--config", gateway.config_path, "--json", check=0)
        assert json.loads(config.stdout)["ready"]
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as elsewhere:
            done = subprocess.run(
                [BINARY, "status", "--admin", f"127.0.0.1:{gateway.admin_port}"],
                cwd=elsewhere,
                capture_output=True,
                text=True,
                timeout=30,
            )
        assert done.returncode == 1 and "SLUICE_KEY" in done.stderr, one_line(done.stderr)
        viewer = {"SLUICE_KEY": bench.keys["alpha"]["viewer"]}
        listed = sluice("endpoints", "list", "--config", gateway.config_path, environment=viewer, check=0)
        assert "alpha-hook" in listed.stdout and MARK not in listed.stdout, listed.stdout
        refused = sluice("reload", "--config", gateway.config_path, environment=viewer, check=1)
        assert "platform" in refused.stderr, refused.stderr


def following(report, bench):
    with report.case("a tenant follows its own events, past those of others and without their ids"):
        viewer, own = bench.keys["alpha"]["viewer"], bench.own["alpha"]["event"]
        others = {bench.own[MARK]["event"]}

        def page(path, after):
            status, _, text = bench.call("GET", f"{path}?after={after}", viewer)
            assert status == 200 and not any(other in text for other in others), f"{status} {one_line(text)}"
            found = json.loads(text)
            return [one["id"] for one in found.get("items", found.get("events"))], found["next"]

        def post(tenant, number):
            answer = bench.gateway.post(f"/in/{tenant}/{tenant}-in", json.dumps({"followed": number}))[2]
            return json.loads(answer)["id"]

        for number, path in enumerate(("/api/v1/events", "/api/events")):
            after = own
            for round in range(3):
                others.add(post(MARK, f"{number} {round}"))
                found, after = page(path, after)
                assert found == [], found
            own = post("alpha", number)
            assert page(path, after)[0] == [own]
            assert page(path, own) == ([], own), "behind the last event there is nothing yet"
    with report.case("a place that nobody was given is behind the end, or no place"):
        end = base64.urlsafe_b64encode(f"f.{2**64 - 1}".encode()).decode().rstrip("=")
        last = own[:-13] + "f" + 12 * "z"
        for place, wanted in ((end, 200), (last, 200), ("Zi54", 404), ("evt_nothing", 404)):
            for path in ("/api/v1/events", "/api/events"):
                status, _, text = bench.call("GET", f"{path}?after={place}", viewer)
                assert status == wanted, f"{place}: {status} {one_line(text)}"
        assert bench.call("GET", f"/api/v1/events/{last}", viewer)[0] == 404
        again = bench.call("POST", "/api/v1/replays", bench.keys["alpha"]["operator"], {"event": last})
        assert again[0] == 404, again
        assert bench.call("GET", "/api/v1/events", viewer)[0] == 200, "it still runs"


def main():
    arguments(__doc__)
    report = Report("access")

    def script(delivery, number):
        return 404 if delivery.path.endswith("/dead") else 204

    with Receiver(script) as receiver:
        bench = Bench(receiver)
        with bench.gateway:
            with report.case("two tenants, each with one of everything"):
                bench.fill()
            for group in (roles, portal, listings, foreign_ids, keys, command_line, following):
                group(report, bench)
    report.finish()


if __name__ == "__main__":
    main()
