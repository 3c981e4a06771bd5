"""Callers of the control API that remember what they were promised: each makes, changes and removes tenants, endpoints,
keys, event types and webhooks of its own, one call after the other over one connection, and publishes events between.

Invariant: a caller has at most one call that was sent and not answered, so that what there is afterwards is the state
after its last answer, or after the call that was under way, and nothing between."""

import copy
import http.client
import json
import random
import threading

PREFIX = "/api/v1"
KINDS = (
    ["tenant"] * 3 + ["endpoint"] * 6 + ["batch"] * 3 + ["patch"] * 5 + ["disable"] * 2 + ["remove"] * 3
    + ["key"] * 2 + ["revoke"] + ["rename"] * 2 + ["drop"] + ["type"] * 2 + ["archive"] + ["hook"] * 2 + ["svix"] * 2
    + ["publish"] * 9
)
EMPTY = {"tenants": {}, "endpoints": {}, "keys": {}, "types": {}, "hooks": {}}


class Refused(Exception):
    """An answer that is no 2xx, to a call that is right."""


class Caller(threading.Thread):
    """`mark` begins the name of everything that it makes. `budget` gives leave for each change, until it gives none."""

    def __init__(self, port, key, mark, target, seed, budget):
        super().__init__(daemon=True)
        self.port, self.key, self.mark, self.target = port, key, mark, target
        self.random, self.budget = random.Random(seed), budget
        # What there is after the last answer; what there is too when the call under way counts.
        self.certain, self.possible = copy.deepcopy(EMPTY), None
        self.removed_endpoints, self.tokens, self.revoked = set(), {}, set()
        # Event name → paths that it has to arrive at.
        self.published, self.sent = {}, set()
        self.answered, self.number, self.broken = 0, 0, None
        self.connection = None

    def run(self):
        try:
            while self.budget():
                kind = self.random.choice(KINDS)
                getattr(self, "do_" + kind)()
                self.answered += 1
        except (OSError, http.client.HTTPException):
            pass  # killed
        except Exception as error:
            self.broken = f"{type(error).__name__}: {error}"

    # calls

    def call(self, method, path, body=None, headers=None):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        fields = {"Authorization": f"Bearer {self.key}", "X-Sluice-Request": "1", "Content-Type": "application/json"}
        text = None if body is None else json.dumps(body)
        self.connection.request(method, PREFIX + path, text, {**fields, **(headers or {})})
        answer = self.connection.getresponse()
        said = answer.read()
        if not 200 <= answer.status < 300:
            raise Refused(f"{method} {path}: {answer.status} {said[:300]!r}")
        return json.loads(said) if said else None

    def change(self, after, method, path, body=None, headers=None):
        """A call after which there is `after`."""
        self.possible = after
        said = self.call(method, path, body, headers)
        self.certain, self.possible = after, None
        return said

    def name(self, kind):
        self.number += 1
        return f"{self.mark}-{kind}{self.number}"

    def copy(self):
        return copy.deepcopy(self.certain)

    def some(self, kind):
        """One of those there are; None when there is none."""
        there = sorted(self.certain[kind])
        return self.random.choice(there) if there else None

    def tenant(self):
        there = self.some("tenants")
        if there is None:
            self.do_tenant()
            there = self.some("tenants")
        return there

    # tenants

    def do_tenant(self):
        name, after = self.name("t"), self.copy()
        # What is published into it has to arrive here.
        after["tenants"][name] = f"u-{name}"
        self.change(after, "POST", "/tenants", {"name": name, "uid": f"u-{name}"})
        self.do_endpoint(name, "stays")

    def do_rename(self):
        old = self.tenant()
        uid, new, after = self.certain["tenants"][old], self.name("t"), self.copy()
        for kind in after:
            after[kind] = {
                (new, *key[1:]) if isinstance(key, tuple) and key[0] == old else new if key == old else key: value
                for key, value in after[kind].items()
            }
        self.change(after, "PATCH", f"/tenants/{uid}", {"name": new})

    def do_drop(self):
        if len(self.certain["tenants"]) < 3:
            return self.do_tenant()
        name = self.some("tenants")
        uid, after = self.certain["tenants"][name], self.copy()
        gone = [key for key in after["keys"] if key[0] == name]
        for kind in after:
            after[kind] = {
                key: value for key, value in after[kind].items() if key != name and not (
                    isinstance(key, tuple) and key[0] == name)
            }
        # From the moment of the call on nobody has a right to what was published into it.
        self.published = {event: paths for event, paths in self.published.items() if f"/{uid}/" not in paths[0]}
        self.change(after, "DELETE", f"/tenants/{uid}?with_resources=true")
        self.revoked |= {key[1] for key in gone}

    # endpoints

    def draft(self, tenant, name):
        uid = self.certain["tenants"][tenant]
        draft = {"name": name, "tenant": tenant, "url": f"{self.target}/{uid}/{name}", "types": ["never"]}
        if name == "stays":
            draft.update({"types": ["crash.event"], "retry": {"delays": ["100ms", "300ms"] + ["1s"] * 30}})
        return draft

    @staticmethod
    def shown(draft):
        return [draft["url"], draft["types"], draft.get("concurrency", 0)]

    def do_endpoint(self, tenant=None, name=None):
        tenant = tenant or self.tenant()
        draft, after = self.draft(tenant, name or self.name("e")), self.copy()
        draft["concurrency"] = self.random.randint(1, 30)
        after["endpoints"][(tenant, draft["name"])] = self.shown(draft)
        self.change(after, "POST", "/endpoints", draft)

    def do_batch(self):
        tenant, after = self.tenant(), self.copy()
        drafts = [self.draft(tenant, self.name("b")) for _ in range(self.random.randint(2, 20))]
        for draft in drafts:
            draft["concurrency"] = self.random.randint(1, 30)
            after["endpoints"][(tenant, draft["name"])] = self.shown(draft)
        self.change(after, "POST", "/endpoints", {"endpoints": drafts})

    def other(self):
        """An endpoint that nothing is published for."""
        there = sorted(key for key in self.certain["endpoints"] if key[1] != "stays" and "/" not in key[1])
        return self.random.choice(there) if there else None

    def place(self, key):
        return f"/endpoints/{key[0]}%2F{key[1]}"

    def do_patch(self):
        key = self.other()
        if key is None:
            return self.do_batch()
        after, concurrency = self.copy(), self.random.randint(31, 60)
        after["endpoints"][key] = [after["endpoints"][key][0], ["never", "neither"], concurrency]
        self.change(after, "PATCH", self.place(key), {"concurrency": concurrency, "types": ["never", "neither"]})

    def do_disable(self):
        key = self.other()
        if key is None:
            return self.do_batch()
        self.change(self.copy(), "POST", self.place(key) + self.random.choice(["/disable", "/enable"]))

    def do_remove(self):
        key = self.other()
        if key is None:
            return self.do_batch()
        after = self.copy()
        del after["endpoints"][key]
        self.change(after, "DELETE", self.place(key))

    # keys

    def do_key(self):
        tenant, name, after = self.tenant(), self.name("k"), self.copy()
        role = self.random.choice(["viewer", "operator", "admin"])
        after["keys"][(tenant, name)] = role
        said = self.change(after, "POST", "/keys", {"tenant_id": tenant, "role": role, "name": name})
        self.tokens[name] = (said["token"], said["key_id"])

    def do_revoke(self):
        key = self.some("keys")
        if key is None:
            return self.do_key()
        after = self.copy()
        del after["keys"][key]
        self.change(after, "DELETE", f"/keys/{self.tokens[key[1]][1]}")
        self.revoked.add(key[1])

    # the other surfaces

    def do_type(self):
        name, after = self.name("y"), self.copy()
        after["types"][name] = ["made", False]
        self.change(after, "POST", "/event-type", {"name": name, "description": "made"})

    def do_archive(self):
        name = self.some("types")
        if name is None:
            return self.do_type()
        after = self.copy()
        after["types"][name] = ["put away", True]
        self.change(after, "PUT", f"/event-type/{name}", {"description": "put away", "archived": True})

    def do_hook(self):
        tenant, after = self.tenant(), self.copy()
        about = self.name("h")
        after["hooks"][(tenant, about)] = False
        body = {"url": f"{self.target}/hooks/{about}", "events": ["*"], "description": about, "enabled": False}
        self.change(after, "POST", "/webhooks", body, {"X-Tenant-Id": tenant})

    def do_svix(self):
        tenant, name, after = self.tenant(), self.name("s"), self.copy()
        url = f"{self.target}/svix/{name}"
        # Its name in the registry is its id, which only the answer says: found again by its URL.
        after["endpoints"][(tenant, url)] = [url, [], 0]
        self.change(after, "POST", f"/app/{self.certain['tenants'][tenant]}/endpoint", {"url": url, "disabled": True})

    # events

    def do_publish(self):
        tenant = self.tenant()
        uid = self.certain["tenants"][tenant]
        name = self.name("v")
        body = {"type": "crash.event", "payload": {"event": name}, "event_id": name}
        self.sent.add(name)
        self.call("POST", "/events", body, {"X-Tenant-Id": tenant})
        self.published[name] = [f"/{uid}/stays"]
