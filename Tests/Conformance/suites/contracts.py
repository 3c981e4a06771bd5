#!/usr/bin/env python3
"""Webhooks by contract, against the real process: what a client of each surface may rely on; and the contracts' own
conformance suite, which lies beside the tree (`../shared/contracts/suite.py`), with waits of a second instead of hours.
Each of its cases is counted. What is not to be had here is skipped by name."""

import base64
import hashlib
import hmac
import json
import os
import time
import uuid

import supportpath  # noqa: F401  (puts the shared modules on the path)
import contractedge
import sharedsuite
from receiver import Receiver
from report import Report, arguments, stays_true, wait_until
from serverutil import SHARED, Gateway, open_source, request

SUITE = os.path.join(SHARED, "contracts", "suite.py")
GROUPS = ("ops-center", "operational", "contract")
DELAYS = (0.3, 0.5, 0.8, 1.2, 1.8)
ATTEMPT_SECONDS = 2
OPERATIONAL_DELAYS = (0.3, 0.6, 1.2, 2.4)
HEARTBEAT = 1.5
ORIGIN = "https://console.example.test"
SECONDS_MAX = 180
# Cases that are not done, and why.
APART = {}


def configuration():
    """What the gateway is started with, so that schedules of hours are over in seconds."""
    return {
        "delivery": {"allow": ["127.0.0.0/8"]},
        "ops_center": {
            "retry_delays": [f"{round(1000 * delay)}ms" for delay in DELAYS],
            "attempt_timeout": f"{ATTEMPT_SECONDS}s",
        },
        "operational": {"retry_delays": [f"{round(1000 * delay)}ms" for delay in OPERATIONAL_DELAYS]},
        "contract": {"heartbeat": f"{round(1000 * HEARTBEAT)}ms", "cors_origins": [ORIGIN]},
    }


def shared(report, gateway, group):
    options = ["--retry-delays", ",".join(map(str, DELAYS)), "--attempt-timeout", str(ATTEMPT_SECONDS), "--strict"]
    options += ["--operational-delays", ",".join(map(str, OPERATIONAL_DELAYS)), "--group", group]
    options += ["--heartbeat", str(HEARTBEAT), "--cors-origin", ORIGIN]
    sharedsuite.run(report, gateway, SUITE, options, APART, SECONDS_MAX, f"the group {group}")


class Organization:
    """A tenant of a gateway with keys of each role, as a client of Ops-Center's webhooks."""

    def __init__(self, gateway):
        self.gateway, self.tokens = gateway, {}
        self.id = self.platform("POST", "/tenants", {"name": f"t-{uuid.uuid4().hex[:10]}"})["tenant_id"]
        for role in ("admin", "operator", "viewer"):
            self.tokens[role] = self.platform("POST", "/keys", {"tenant_id": self.id, "role": role})["token"]

    def platform(self, method, path, body=None, headers=None):
        fields = {"X-Sluice-Request": "1", "Content-Type": "application/json", **(headers or {})}
        data = None if body is None else json.dumps(body)
        status, _, text = request(self.gateway.admin_port, "/api/v1" + path, data, fields, method)
        assert status < 300, f"{method} {path}: {status} {text[:300]}"
        return json.loads(text) if text else None

    def call(self, method, path="", body=None, wanted=(200, 202), role="admin"):
        fields = {"Authorization": f"Bearer {self.tokens[role]}"}
        if body is not None:
            fields["Content-Type"] = "application/json"
        data = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body)
        status, _, text = request(self.gateway.admin_port, "/api/v1/webhooks" + path, data, fields, method)
        assert status in wanted, f"{method} {path}: {status} {text[:300]}"
        return json.loads(text)

    def webhook(self, url, events=("*",), **more):
        return self.call("POST", "", {"url": url, "events": list(events), **more})

    def publish(self, event="user.created", data=None):
        return self.call("POST", "/events", {"event": event, "data": data or {}})

    def rows(self, webhook, query=""):
        return self.call("GET", f"/{webhook['webhook_id']}/deliveries{query}")

    def finished(self, webhook, count, seconds=15):
        over = lambda: [row for row in self.rows(webhook, "?limit=500") if row["status"] != "pending"]  # noqa: E731
        return wait_until(lambda: len(over()) >= count and over(), seconds, lambda: f"{count} attempts: {over()}")


class Hooks:
    """Receivers under paths of their own, each with the statuses that it answers one after the other."""

    def __init__(self):
        self.steps, self.receiver = {}, Receiver(self.answer)

    def answer(self, delivery, number):
        steps = self.steps.get(delivery.path.rsplit("/", 1)[1], [204])
        return steps.pop(0) if len(steps) > 1 else steps[0]

    def url(self, *steps):
        name = uuid.uuid4().hex
        if steps:
            self.steps[name] = list(steps)
        return f"{self.receiver.url}/{name}"

    def got(self, webhook):
        path = webhook["url"].rsplit("/", 1)[1]
        return [one for one in self.receiver.snapshot() if one.path.endswith(path)]

    def wait(self, webhook, count, seconds=15):
        return wait_until(lambda: len(self.got(webhook)) >= count and self.got(webhook), seconds, f"{count} deliveries")


def signature(secret, body):
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def sending(report, gateway, hooks):
    with report.case("the data goes out byte by byte, and every attempt sends the same"):
        own = Organization(gateway)
        webhook = own.webhook(hooks.url(500, 503, 204))
        data = '{ "z": 1.50,  "n": 12345678901234567890, "e": "\\u00e9 é", "z2": {"z": 1e400} }'
        said = own.call("POST", "/events", '{"event":"user.created","data":' + data + "}")
        came = hooks.wait(webhook, 3)
        wanted = '{"event":"user.created","timestamp":"' + said["timestamp"] + '","data":' + data + "}"
        assert [one.body for one in came] == [wanted.encode()] * 3, came[0].body
        for one in came:
            assert one.headers["x-webhook-signature"] == signature(webhook["secret"], one.body), one.headers
            others = [name for name in one.headers if name.startswith(("webhook-", "svix-", "sluice-"))]
            assert not others and one.headers["user-agent"] == "Ops-Center-Webhook/1.0", one.headers
        status, _, text = request(
            gateway.admin_port,
            f"/api/v1/webhooks/{webhook['webhook_id']}/deliveries",
            headers={"Authorization": f"Bearer {own.tokens['admin']}"},
        )
        assert status == 200 and f'"payload":{wanted}'.encode() in text, text[:400]
    with report.case("a redirect and a lost connection are tried again, and nobody follows a redirect"):
        own = Organization(gateway)
        other = own.webhook(hooks.url(), ["credit.low"])
        moved = own.webhook(hooks.url((302, {"Location": other["url"]}), 204), ["user.created"])
        lost = own.webhook(hooks.url(b"", 204), ["user.created"])
        own.publish()
        for webhook, status in ((moved, 302), (lost, None)):
            rows = own.finished(webhook, 2)
            assert [(row["status"], row["status_code"]) for row in rows] == [("success", 204), ("failed", status)], rows
            assert rows[1]["error_message"] and rows[0]["error_message"] is None, rows
        assert not hooks.got(other)
    with report.case("a Retry-After neither lengthens a wait nor holds up the next event"):
        own = Organization(gateway)
        slow = {"Retry-After": "600"}
        webhook = own.webhook(hooks.url((429, slow), (503, slow), 204))
        own.publish()
        own.finished(webhook, 1)
        own.publish()
        rows = own.finished(webhook, 3)
        assert [row["status_code"] for row in rows] == [204, 503, 429], rows
    with report.case("an attempt that is not answered in time is over then"):
        own = Organization(gateway)
        webhook = own.webhook(hooks.url("hang", 204))
        own.publish()
        rows = own.finished(webhook, 2)
        late = rows[-1]
        assert late["status"] == "failed" and late["status_code"] is None and late["error_message"], late
        assert 1000 * ATTEMPT_SECONDS - 200 <= late["duration_ms"] <= 1000 * ATTEMPT_SECONDS + 1500, late
        assert rows[0]["status"] == "success", rows


def disabling(report, gateway, hooks):
    with report.case("what comes while a webhook is disabled is never sent"):
        own = Organization(gateway)
        webhook, control = own.webhook(hooks.url()), own.webhook(hooks.url())
        place = f"/{webhook['webhook_id']}"
        assert own.call("PATCH", place, {"enabled": False})["enabled"] is False
        assert own.publish(data={"number": 1})["matched"] == 1
        hooks.wait(control, 1)
        assert own.call("PATCH", place, {"enabled": True})["enabled"] is True
        assert own.publish(data={"number": 2})["matched"] == 2
        hooks.wait(control, 2)
        hooks.wait(webhook, 1)
        assert [json.loads(one.body)["data"]["number"] for one in hooks.got(webhook)] == [2]
        assert [row["payload"]["data"]["number"] for row in own.finished(webhook, 1)] == [2]
    with report.case("a webhook that answers 410 is disabled until somebody enables it"):
        own = Organization(gateway)
        webhook = own.webhook(hooks.url(410, 204))
        place = f"/{webhook['webhook_id']}"
        own.publish()
        assert own.finished(webhook, 1)[0]["status_code"] == 410
        wait_until(lambda: own.call("GET", place)["enabled"] is False, 5, "disabled")
        assert own.call("GET", "?enabled_only=true") == [] and own.publish()["matched"] == 0
        moved = own.call("PATCH", place, {"url": webhook["url"] + "?x=1", "description": "moved"})
        assert moved["enabled"] is False and moved["description"] == "moved", moved
        assert own.call("PATCH", place, {"enabled": True, "url": webhook["url"]})["enabled"] is True
        own.publish()
        assert own.finished(webhook, 2)[0]["status"] == "success"
        assert len(hooks.got(webhook)) == 2, "what came between is not sent"
        shown = own.call("GET", place)
        assert (shown["success_count"], shown["failure_count"]) == (1, 1), shown
    with report.case("a test goes to a disabled webhook too, to no other, and is retried and counted"):
        own = Organization(gateway)
        webhook, other = own.webhook(hooks.url(500, 204), ["credit.low"], enabled=False), own.webhook(hooks.url())
        place = f"/{webhook['webhook_id']}"
        own.call("POST", place + "/test", {"event_type": "a.b_1", "test_data": {"x": 1}})
        rows = own.finished(webhook, 2)
        assert [(row["attempt"], row["status"], row["event_type"]) for row in rows] == [
            (2, "success", "a.b_1"),
            (1, "failed", "a.b_1"),
        ], rows
        assert not hooks.got(other) and own.rows(other) == []
        shown = own.call("GET", place)
        assert shown["success_count"] == 1 and shown["last_triggered_at"] and not shown["enabled"], shown


def reading(report, gateway, hooks):
    with report.case("rows are filtered, stand in the order of their making, and page without a gap") as notes:
        own = Organization(gateway)
        webhook = own.webhook(hooks.url(*[500, 204] * 6, 204))
        for number in range(12):
            own.publish(("user.created", "credit.low")[number % 2], {"number": number})
        rows = wait_until(
            lambda: (lambda all: len(all) >= 18 and not [r for r in all if r["status"] == "pending"] and all)(
                own.rows(webhook, "?limit=500")
            ),
            20,
            "all attempts",
        )
        times = [row["created_at"] for row in rows]
        assert times == sorted(times, reverse=True), times
        assert len({row["delivery_id"] for row in rows}) == len(rows)
        for limit in (1, 5, 7):
            paged, before = [], ""
            while True:
                page = own.rows(webhook, f"?limit={limit}{before}")
                paged += page
                if len(page) < limit:
                    break
                before = "&before=" + page[-1]["delivery_id"]
            assert paged == rows, f"pages of {limit}"
        for status in ("success", "failed"):
            assert own.rows(webhook, f"?status={status}") == [row for row in rows if row["status"] == status]
        low = own.rows(webhook, "?event_type=credit.low")
        assert low == [row for row in rows if row["event_type"] == "credit.low"] and low
        assert own.rows(webhook, "?event_type=no.such") == [] and own.rows(webhook, "?status=pending") == []
        other = own.webhook(hooks.url())
        for wrong in ("nonsense", str(uuid.uuid4())):
            own.call("GET", f"/{webhook['webhook_id']}/deliveries?before={wrong}", wanted=(422,))
        own.call("GET", f"/{other['webhook_id']}/deliveries?before={rows[0]['delivery_id']}", wanted=(422,))
        notes.append(f"{len(rows)} rows")
    with report.case("what is to come has a row and is counted, and goes with its webhook"):
        own = Organization(gateway)
        webhook = own.webhook(hooks.url(500))
        own.publish()
        row = wait_until(
            lambda: [row for row in own.rows(webhook, "?status=pending") if row["attempt"] == 6], 15, "the sixth"
        )[0]
        assert row["next_attempt_at"] and row["duration_ms"] is None and row["delivered_at"] is None, row
        stats = own.call("GET", "/stats")
        assert {"pending", "failed"} == {one["status"] for one in stats["stats"]}, stats
        assert stats["totals"]["success_rate"] is None and stats["totals"]["retry_rate"] == 0.8, stats
        came = len(hooks.got(webhook))
        own.call("DELETE", f"/{webhook['webhook_id']}")
        assert own.call("GET", "/stats") == {
            "stats": [],
            "totals": {"failure_count": 0, "retry_rate": None, "success_count": 0, "success_rate": None},
        }
        stays_true(lambda: len(hooks.got(webhook)) == came, DELAYS[-1] + 0.7, "an attempt at what was deleted")


def beside(report, gateway, hooks):
    with report.case("webhooks are in no list of an application, and in the operator's with their family"):
        own = Organization(gateway)
        webhook = own.webhook(hooks.url())
        token = {"Authorization": f"Bearer {own.tokens['admin']}"}
        app = own.platform("GET", "/tenants", headers=token)["items"][0]["id"]
        assert own.platform("GET", f"/app/{app}/endpoint", headers=token)["data"] == []
        listed = own.platform("GET", "/endpoints", headers=token)["items"]
        assert [(one["url"], one["family"]) for one in listed] == [(webhook["url"], "ops-center")], listed
        change = json.dumps({"types": ["user.*"], "sources": []})
        fields = {**token, "X-Sluice-Request": "1"}
        path = f"/api/v1/endpoints/{listed[0]['id']}"
        status, _, text = request(gateway.admin_port, path, change, fields, "PATCH")
        assert status == 422 and b"sources" in text and b"types[0]" in text, f"{status} {text}"
        assert webhook["secret"].encode() not in json.dumps(listed).encode()
    with report.case("other events of the tenant go past a webhook, and its own past other endpoints"):
        own = Organization(gateway)
        webhook = own.webhook(hooks.url())
        token = {"Authorization": f"Bearer {own.tokens['admin']}"}
        app = own.platform("GET", "/tenants", headers=token)["items"][0]["id"]
        regular = own.platform("POST", f"/app/{app}/endpoint", {"url": hooks.url()}, token)
        own.platform("POST", f"/app/{app}/msg", {"eventType": "user.created", "payload": {"by": "svix"}})
        own.publish(data={"by": "ops"})
        assert json.loads(hooks.wait(regular, 1)[0].body) == {"by": "svix"}
        assert json.loads(hooks.wait(webhook, 1)[0].body)["data"] == {"by": "ops"}
        own.finished(webhook, 1)
        assert len(hooks.got(regular)) == len(hooks.got(webhook)) == 1
    with report.case("the platform's key acts for the tenant that it names, and for `default` else"):
        own = Organization(gateway)
        webhook = own.webhook(hooks.url())
        headers = {"X-Tenant-Id": own.id}
        shown = own.platform("GET", "/webhooks", headers=headers)
        assert [one["webhook_id"] for one in shown] == [webhook["webhook_id"]]
        made = own.platform("POST", "/webhooks", {"url": hooks.url(), "events": ["credit.low"]})
        assert made["organization_id"] != own.id
        assert made["webhook_id"] in [one["webhook_id"] for one in own.platform("GET", "/webhooks")]
        assert own.platform("POST", "/webhooks/events", {"event": "credit.low", "data": {}})["matched"] == 1
        own.call("GET", f"/{made['webhook_id']}", wanted=(404,))


def lasting(report, gateway, hooks):
    with report.case("counts, rows and what is to come last over a restart"):
        own = Organization(gateway)
        webhook, broken = own.webhook(hooks.url()), own.webhook(hooks.url(500), ["credit.low"])
        own.publish()
        own.publish("credit.low")
        own.finished(webhook, 2)
        place = f"/{webhook['webhook_id']}"
        before = own.call("GET", place), own.rows(webhook)
        gateway.stop()
        gateway.start()
        assert (own.call("GET", place), own.rows(webhook)) == before
        assert before[0]["success_count"] == 2 and before[0]["last_triggered_at"], before[0]
        rows = own.finished(broken, 6, 20)
        assert [row["attempt"] for row in rows] == [6, 5, 4, 3, 2, 1], rows
        wait_until(lambda: own.call("GET", f"/{broken['webhook_id']}")["failure_count"] == 1, 5, "given up")
    with report.case("no secret is in the log, the metrics or another answer than that of its making"):
        own = Organization(gateway)
        secret = own.webhook(hooks.url())["secret"]
        own.publish()
        _, _, metrics = request(gateway.admin_port, "/metrics")
        audit = own.platform("GET", "/audit?limit=1000")
        assert len(secret) >= 32 and secret.encode() not in metrics
        assert secret not in json.dumps(audit) and secret not in gateway.output()


def ops_center(report, gateway):
    hooks = Hooks()
    answer = hooks.answer

    def script(delivery, number):
        step = answer(delivery, number)
        if step == "hang":
            time.sleep(ATTEMPT_SECONDS + 1.5)
            return 204
        return step

    hooks.receiver.script = script
    with hooks.receiver:
        for group in (sending, disabling, reading, beside, lasting):
            group(report, gateway, hooks)


class Ears:
    """The operational webhooks of an organization: endpoints on receivers of their own."""

    base = "/api/v1/operational_webhooks"

    def __init__(self, own, hooks):
        self.own, self.hooks = own, hooks

    def call(self, method, path="/", body=None, wanted=(200, 201, 204)):
        fields = {"Authorization": f"Bearer {self.own.tokens['admin']}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body)
        status, _, text = request(self.own.gateway.admin_port, self.base + path, data, fields, method)
        assert status in wanted, f"{method} {path}: {status} {text[:300]}"
        return json.loads(text) if text else None

    def new(self, *steps, **more):
        return self.call("POST", "/", {"url": self.hooks.url(*steps), **more})

    def heard(self, endpoint):
        return [json.loads(one.body) for one in self.hooks.got(endpoint)]

    def wait(self, endpoint, count, seconds=15):
        """Types and endpoints of what came, once there is so much."""
        return wait_until(
            lambda: len(self.heard(endpoint)) >= count and self.heard(endpoint), seconds,
            lambda: f"{count} operational events: {[one['type'] for one in self.heard(endpoint)]}",
        )


def verified(one, secret):
    signed = f"{one.headers['webhook-id']}.{one.headers['webhook-timestamp']}.".encode() + one.body
    mac = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    return one.headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()


def telling(report, gateway, hooks):
    with report.case("an operational event has one id and body for all, and each endpoint's signature and fields"):
        own = Organization(gateway)
        ears = Ears(own, hooks)
        first, second = ears.new(500, 204, headers={"X-Own": "ä b"}), ears.new()
        own.webhook(hooks.url())
        came = hooks.wait(first, 2) + hooks.wait(second, 1)
        assert len({one.headers["webhook-id"] for one in came}) == 1 and len({one.body for one in came}) == 1
        assert all(one.headers["user-agent"] == "Sluice-Operational/1.0" for one in came), came[0].headers
        assert [verified(one, first["secret"]) for one in came] == [True, True, False], came[0].headers
        assert verified(came[2], second["secret"])
        assert ["x-own" in one.headers for one in came] == [True, True, False]
        assert set(json.loads(came[0].body)) == {"type", "timestamp", "data"}
        assert came[0].headers["content-type"] == "application/json"
    with report.case("a 410 disables a webhook, which is told once; enabling it by hand is an update"):
        own = Organization(gateway)
        ears = Ears(own, hooks)
        types = ["endpoint.updated", "endpoint.disabled", "message.attempt.exhausted"]
        endpoint, all_types = ears.new(event_types=types), ears.new()
        webhook = own.webhook(hooks.url(410))
        own.publish()
        disabled = next(one for one in ears.wait(endpoint, 2) if one["type"] == "endpoint.disabled")["data"]
        assert disabled["reason"] == "gone" and disabled["last_attempt"]["status_code"] == 410, disabled
        place = f"/{webhook['webhook_id']}"
        assert own.call("GET", place)["enabled"] is False
        own.call("PATCH", place, {"enabled": True})
        updated = next(one for one in ears.wait(endpoint, 3) if one["type"] == "endpoint.updated")["data"]
        assert updated["changes"] == {"enabled": {"old": False, "new": True}} and updated["enabled"] is True, updated
        assert updated["actor"].startswith("key_"), updated
        text = "".join(json.dumps(one) for one in ears.wait(all_types, 4))
        for secret in (webhook["secret"], endpoint["secret"], own.tokens["admin"]):
            assert secret not in text
    with report.case("a recovery is told once, and says since when"):
        own = Organization(gateway)
        ears = Ears(own, hooks)
        endpoint = ears.new(event_types=["message.attempt.failing", "message.attempt.recovered"])
        webhook = own.webhook(hooks.url(500, 204))
        event = own.publish()["event_id"]
        own.finished(webhook, 2)
        own.publish()
        own.finished(webhook, 3)
        failing, recovered = ears.wait(endpoint, 2)
        assert failing["type"] == "message.attempt.failing" and recovered["type"] == "message.attempt.recovered"
        data = recovered["data"]
        assert (data["message_id"], data["attempt"], data["last_attempt"]["error"]) == (event, 2, None), data
        assert data["failing_since"] <= data["last_attempt"]["at"], data
        stays_true(lambda: len(ears.heard(endpoint)) == 2, 1, "one recovery")
    with report.case("an operational endpoint that says 410 is tried again, and nothing is told of it"):
        own = Organization(gateway)
        ears = Ears(own, hooks)
        gone, control = ears.new(410, 404, 204), ears.new()
        webhook = own.webhook(hooks.url())
        hooks.wait(gone, 3)
        assert ears.call("GET", f"/{gone['id']}")["enabled"] is True
        own.call("PATCH", f"/{webhook['webhook_id']}", {"description": "x"})
        hooks.wait(gone, 4)
        assert [one["type"] for one in ears.wait(control, 2)] == ["endpoint.created", "endpoint.updated"]
        stays_true(lambda: len(ears.heard(control)) == 2, 0.7, "nothing about itself")


def watching(report, gateway, hooks):
    with report.case("endpoints of the other surfaces are told of too, another tenant's are not"):
        own, other = Organization(gateway), Organization(gateway)
        ears = Ears(own, hooks)
        endpoint = ears.new()
        other.webhook(hooks.url())
        token = {"Authorization": f"Bearer {own.tokens['admin']}"}
        app = own.platform("GET", "/tenants", headers=token)["items"][0]["id"]
        outbound = own.platform("POST", f"/app/{app}/endpoint", {"url": hooks.url()}, token)
        made = own.platform("POST", "/endpoints", {"name": "mine", "url": hooks.url()}, token)
        own.platform("POST", f"/endpoints/{made['id']}/disable", headers=token)
        heard = ears.wait(endpoint, 3)
        told = [(one["type"], one["data"]["endpoint_kind"], one["data"]["endpoint_id"]) for one in heard]
        assert told == [
            ("endpoint.created", "outbound", outbound["id"]),
            ("endpoint.created", "endpoint", made["id"]),
            ("endpoint.updated", "endpoint", made["id"]),
        ], told
        assert heard[2]["data"]["changes"] == {"disabled": {"old": False, "new": True}}, heard[2]
    with report.case("an operational endpoint is in no other list, and no other route reaches it"):
        own = Organization(gateway)
        ears = Ears(own, hooks)
        endpoint = ears.new()
        own.webhook(hooks.url())
        ears.wait(endpoint, 1)
        token = {"Authorization": f"Bearer {own.tokens['admin']}"}
        app = own.platform("GET", "/tenants", headers=token)["items"][0]["id"]
        listed = own.platform("GET", "/endpoints", headers=token)["items"]
        assert [one["family"] for one in listed] == ["ops-center"], listed
        assert own.platform("GET", f"/app/{app}/endpoint", headers=token)["data"] == []
        assert own.platform("GET", "/deliveries", headers=token)["items"] == []
        assert own.call("GET") and all(one["webhook_id"] != endpoint["id"] for one in own.call("GET"))
    with report.case("statistics count each message at each endpoint, and add up"):
        own = Organization(gateway)
        ears = Ears(own, hooks)
        ears.new()
        good, bad = own.webhook(hooks.url()), own.webhook(hooks.url(400))
        for _ in range(3):
            own.publish()
        own.finished(good, 3), own.finished(bad, 3)
        stats = ears.call("GET", "/stats")
        assert stats["messages"] == {"total": 6, "succeeded": 3, "pending": 0, "exhausted": 3}, stats
        assert stats["attempts"] == {"total": 6, "succeeded": 3, "failed": 3} and stats["success_rate"] == 0.5, stats
        by_id = {one["endpoint_id"]: one for one in stats["endpoints"]}
        assert set(by_id) == {good["webhook_id"], bad["webhook_id"]}, stats
        assert by_id[good["webhook_id"]]["success_rate"] == 1 and by_id[bad["webhook_id"]]["last_attempt_at"]
        old = ears.call("GET", "/stats?since=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00Z")
        assert old["messages"]["total"] == 0 and old["success_rate"] is None, old
    with report.case("each of many messages that fail at once is told once, and the others go on meanwhile") as notes:
        own = Organization(gateway)
        ears = Ears(own, hooks)
        endpoint = ears.new(event_types=["message.attempt.exhausted"])
        good, bad = own.webhook(hooks.url(), ["credit.low"]), own.webhook(hooks.url(400), ["user.created"])
        count = 300
        for number in range(count):
            own.publish("user.created", {"number": number})
        own.publish("credit.low")
        hooks.wait(good, 1)
        told = [one["data"]["message_id"] for one in ears.wait(endpoint, count, 60)]
        assert len(set(told)) == count, len(set(told))
        assert {one["data"]["endpoint_id"] for one in ears.heard(endpoint)} == {bad["webhook_id"]}
        stays_true(lambda: len(ears.heard(endpoint)) == count, 1, "each once")
        notes.append(f"{count} messages")


def keeping(report, gateway, hooks):
    with report.case("endpoints and what they have not had last over a kill, and the events' ids with them"):
        own = Organization(gateway)
        ears = Ears(own, hooks)
        endpoint = ears.new(500, 204, rate_limit=7, description="d")
        own.webhook(hooks.url())
        first = hooks.wait(endpoint, 1)[0]
        gateway.kill()
        gateway.start()
        again = hooks.wait(endpoint, 2, 30)[1]
        assert again.headers["webhook-id"] == first.headers["webhook-id"] and again.body == first.body
        assert verified(again, endpoint["secret"])
        shown = ears.call("GET", f"/{endpoint['id']}")
        assert "secret" not in shown and (shown["rate_limit"], shown["description"]) == (7, "d"), shown
        own.webhook(hooks.url())
        ears.wait(endpoint, 3)


def operational(report, gateway):
    hooks = Hooks()
    with hooks.receiver:
        for group in (telling, watching, keeping):
            group(report, gateway, hooks)


def main():
    arguments(__doc__)
    report = Report("contracts")
    with Gateway([open_source()], **configuration()) as gateway:
        ops_center(report, gateway)
        operational(report, gateway)
        contractedge.edge(report, gateway, Hooks, configuration())
    lacks = sharedsuite.missing(SUITE, "../shared/contracts/suite.py", "requests")
    if lacks:
        report.skip("the conformance suite", f"not here: {', '.join(lacks)}")
        return report.finish()
    # A gateway for each group: sign-ins that fail are limited for an address.
    for group in GROUPS:
        with Gateway([open_source()], **configuration()) as gateway:
            shared(report, gateway, group)
    # And the edge as it is when nobody has set anything.
    with Gateway([open_source()], delivery={"allow": ["127.0.0.0/8"]}) as gateway:
        options = ["--group", "contract"]
        sharedsuite.run(report, gateway, SUITE, options, APART, SECONDS_MAX, "the group contract with the defaults")
    report.finish()


if __name__ == "__main__":
    main()
