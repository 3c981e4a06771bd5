#!/usr/bin/env python3
"""Putting a bad day right: dead letters counted, retried, forwarded and cancelled in bulk, at a pace, over kill -9;
what became of an event and why; what the gateway tells of its own condition; alerts and the dashboard."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading

import supportpath  # noqa: F401  (puts the shared modules on the path)
from certificates import SERVER, make
from receiver import Receiver
from report import Report, arguments, wait_until
from serverutil import (
    ROOT,
    Gateway,
    endpoint,
    free_port,
    github_headers,
    github_source,
    open_source,
    request,
    sluice,
)


class Hook(Receiver):
    """An endpoint whose answer the test sets."""

    def __init__(self):
        self.status = 200
        super().__init__(lambda delivery, number: self.status)


def call(gateway, method, path, value=None, expect=None, key=None):
    """(status, JSON of the answer)."""
    body = None if value is None else json.dumps(value)
    headers = {"X-Sluice-Request": "1"} if method != "GET" else {}
    if body:
        headers["Content-Type"] = "application/json"
    if key:
        headers["Authorization"] = "Bearer " + key
    status, _, answer = request(gateway.admin_port, path, body, headers, method)
    if expect:
        assert status == expect, f"{method} {path}: {status} {answer[:400]!r}"
    return status, json.loads(answer) if answer else None


def repair(gateway, **order):
    """The repair at its end."""
    begun = call(gateway, "POST", "/api/v1/repairs", order, 202)[1]
    return ended(gateway, begun)


def ended(gateway, begun):
    def look():
        now = call(gateway, "GET", f"/api/v1/repairs/{begun['id']}", expect=200)[1]
        return now if now["state"] != "running" else None

    return wait_until(look, 30, "the repair does not end")


def send(gateway, count, kind="push", source="test"):
    ids = []
    for number in range(count):
        body = json.dumps({"n": number, "type": kind}).encode()
        status, _, answer = gateway.post(f"/in/{source}", body, {"Content-Type": "application/json"})
        assert status in (200, 202), status
        ids.append(json.loads(answer)["id"])
    return ids


def open_counts(gateway, name):
    """Pending and dead ones as the store has them, which is a moment behind the dispatcher."""
    path = f"/api/v1/deliveries?endpoint={name}&limit=1000&state="
    return tuple(len(call(gateway, "GET", path + state, expect=200)[1]["items"]) for state in ("pending", "dead"))


def typed_source(name="test"):
    return open_source(name, event={"type": "json:$.type"})


def in_bulk(report):
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder, Hook() as bad, Hook() as good:
        bad.status = 401
        gateway = Gateway(
            [typed_source()],
            [endpoint("bad", bad.url), endpoint("good", good.url, types=["none"])],
            folder=folder,
        )
        with gateway:
            with report.case("dead letters are counted by endpoint, class and reason"):
                ids = send(gateway, 12) + send(gateway, 3, "other")
                wait_until(lambda: open_counts(gateway, "bad") == (0, 15), 20, "the dead letters")
                counted = call(gateway, "GET", "/api/v1/dead-letters/counts", expect=200)[1]["items"]
                assert len(counted) == 1 and counted[0]["total"] == 15, counted
                wanted = {"class": "authentication", "count": 15, "reason": "permanent_answer"}
                assert counted[0]["counts"] == [wanted], counted
                said = sluice("deliveries", "dead", "--admin", f"127.0.0.1:{gateway.admin_port}", check=0).stdout
                assert "15  authentication  permanent_answer" in said, said
                query = "/api/v1/dead-letters?class=authentication&status=4xx"
                listed = call(gateway, "GET", query, expect=200)[1]["items"]
                assert len(listed) == 15 and listed[0]["class"] == "authentication", listed[:1]
                assert not call(gateway, "GET", "/api/v1/dead-letters?class=tls", expect=200)[1]["items"]

            with report.case("a count changes nothing; the retry takes what was counted, by its filter"):
                order = {"action": "retry", "endpoint": "bad", "type": "oth*", "class": "authentication"}
                counted = repair(gateway, **order)
                assert (counted["matched"], counted["done"], counted["dry_run"]) == (3, 0, True), counted
                assert open_counts(gateway, "bad") == (0, 15)
                bad.status = 200
                done = repair(gateway, dry_run=False, **order)
                assert (done["state"], done["matched"], done["done"]) == ("finished", 3, 3), done
                wait_until(lambda: open_counts(gateway, "bad") == (0, 12), 20, "the deliveries")

            with report.case("events that are named, and no others"):
                counted = repair(gateway, action="retry", endpoint="bad", events=[ids[0], ids[5], ids[13]])
                assert (counted["matched"], counted["events"]) == (2, 3), counted
                status, answer = call(
                    gateway, "POST", "/api/v1/repairs", {"action": "retry", "endpoint": "bad", "events": ["evt_1"]})
                assert (status, answer["code"]) == (404, "no_such_event"), answer
                # Of this log by its first letters, and behind its end.
                for digits in ("fzzzzzzzzzzzz", "fzzzzzzzzzzzy", "0zzzzzzzzzzzz"):
                    order = {"action": "retry", "endpoint": "bad", "events": [ids[0][:12] + digits]}
                    status, answer = call(gateway, "POST", "/api/v1/repairs", order)
                    assert (status, answer["code"]) == (404, "no_such_event"), answer

            with report.case("forwarded to another endpoint under the same id; the dead letter stays"):
                done = repair(gateway, action="forward", endpoint="bad", to="good", dry_run=False)
                assert (done["state"], done["done"]) == ("finished", 12), done
                wait_until(lambda: good.count() == 12, 20, "what was forwarded")
                got = {one.id for one in good.snapshot()}
                assert got == set(ids[:12]) and open_counts(gateway, "bad") == (0, 12)

            with report.case("the command line counts first, and does it with --yes"):
                admin = ["--admin", f"127.0.0.1:{gateway.admin_port}"]
                said = sluice("repairs", "retry", "--endpoint", "bad", *admin, check=0).stdout
                assert "12 deliveries would be taken; --yes does it" in said, said
                said = sluice("repairs", "retry", "--endpoint", "bad", "--yes", *admin, check=0).stdout
                assert "12 done of 12" in said and "finished" in said, said
                wait_until(lambda: open_counts(gateway, "bad") == (0, 0), 20, "the deliveries")
                assert "retry  finished" in sluice("repairs", "list", *admin, check=0).stdout

            with report.case("all of it is in the audit log, the end too"):
                entries = call(gateway, "GET", "/api/v1/audit?limit=50", expect=200)[1]["items"]
                said = [e.get("detail", "") for e in entries if e["action"] == "replay"]
                assert any("forward" in d for d in said) and any("finished" in d for d in said), said

            with report.case("orders that cannot be are refused with their place"):
                for order, path in [
                    ({"action": "forward", "endpoint": "bad", "to": "bad"}, "to"),
                    ({"action": "retry", "status": "9xx"}, "status"),
                    ({"action": "retry", "states": ["delivered"]}, "endpoint"),
                ]:
                    status, answer = call(gateway, "POST", "/api/v1/repairs", order)
                    assert status == 422 and answer["errors"][0]["path"] == path, (order, answer)
                assert call(gateway, "POST", "/api/v1/repairs", {"action": "retry", "endpoint": "nobody"})[0] == 404
                assert call(gateway, "GET", "/api/v1/repairs/rpr_0")[1]["code"] == "no_such_repair"


def cancelling(report):
    with Hook() as receiver:
        receiver.status = 503
        hook = endpoint("slow", receiver.url, retry={"delays": ["1h", "1h"]})
        with Gateway([typed_source()], [hook]) as gateway:
            ids = send(gateway, 6) + send(gateway, 2, "other")
            wait_until(lambda: open_counts(gateway, "slow") == (8, 0), 20, "what waits")
            with report.case("one pending delivery is given up, once"):
                path = f"/api/v1/deliveries/{ids[0]}/slow/cancel"
                done = call(gateway, "POST", path, expect=200)[1]
                assert (done["state"], done["reason"], done["class"]) == ("dead", "cancelled", "local"), done
                assert call(gateway, "POST", path)[1]["code"] == "not_pending"
                assert open_counts(gateway, "slow") == (7, 1)
            with report.case("those of a filter are given up, and come back by a retry"):
                counted = repair(gateway, action="cancel", endpoint="slow", type="other")
                assert counted["matched"] == 2, counted
                done = repair(gateway, action="cancel", endpoint="slow", type="other", dry_run=False)
                assert done["done"] == 2 and open_counts(gateway, "slow") == (5, 3), done
                receiver.status = 200
                done = repair(gateway, action="retry", reason="cancelled", dry_run=False)
                assert done["done"] == 3, done
                wait_until(lambda: open_counts(gateway, "slow") == (5, 0), 20, "the deliveries")


def disabled_endpoints(report):
    with Hook() as receiver:
        receiver.status = 404
        with Gateway([open_source()], [endpoint("one", receiver.url), endpoint("two", receiver.url)]) as gateway:
            ids = send(gateway, 2)
            wait_until(lambda: open_counts(gateway, "one")[1] + open_counts(gateway, "two")[1] == 4, 20, "dead letters")
            call(gateway, "POST", "/api/v1/endpoints/one/disable", expect=200)
            with report.case("nothing is sent again to a disabled endpoint, by no route"):
                order = {"endpoint": "one", "states": ["dead"], "dry_run": False}
                for path, value in [
                    ("/api/v1/replays", order),
                    ("/api/v1/replays", {**order, "event": ids[0]}),
                    (f"/api/v1/deliveries/{ids[0]}/one/retry", None),
                    ("/api/v1/repairs", {"action": "retry", "endpoint": "one", "dry_run": False}),
                ]:
                    status, answer = call(gateway, "POST", path, value)
                    assert status == 409 and answer["code"] == "endpoint_stopped", (path, status, answer)
                assert open_counts(gateway, "one") == (0, 2)
            with report.case("a replay of all passes the disabled ones by, and says how many"):
                receiver.status = 200
                done = call(gateway, "POST", "/api/v1/replays", {"states": ["dead"], "dry_run": False}, 200)[1]
                assert (done["accepted"], done["stopped"]) == (2, 2), done
                wait_until(lambda: open_counts(gateway, "two") == (0, 0), 20, "the deliveries")
                assert open_counts(gateway, "one") == (0, 2)


def killed(report):
    with report.case("a repair that was promised is finished after kill -9, at its pace"):
        folder = tempfile.mkdtemp(prefix="sluice-test-")
        try:
            with Hook() as receiver:
                receiver.status = 404
                gateway = Gateway([open_source()], [endpoint("hook", receiver.url)], folder=folder)
                with gateway:
                    ids = send(gateway, 40)
                    wait_until(lambda: open_counts(gateway, "hook") == (0, 40), 20, "the dead letters")
                    receiver.status = 200
                    before = receiver.count()
                    order = {"action": "retry", "endpoint": "hook", "per_second": 10, "dry_run": False}
                    begun = call(gateway, "POST", "/api/v1/repairs", order, 202)[1]
                    wait_until(lambda: receiver.count() > before + 3, 20, "the first of them")
                    gateway.kill()
                    gateway.expect_clean = False
                assert receiver.count() < before + 40, "all were sent before the kill"
                with Gateway([open_source()], [endpoint("hook", receiver.url)], folder=folder) as gateway:
                    done = ended(gateway, begun)
                    assert done["state"] == "finished", done
                    wait_until(lambda: open_counts(gateway, "hook") == (0, 0), 20, "the deliveries")
                    sent = [one.id for one in receiver.snapshot()[before:]]
                    assert set(sent) == set(ids), f"{len(set(sent))} of {len(ids)}"
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def trace(gateway, event, expect=200, key=None):
    answer = call(gateway, "GET", f"/api/v1/events/{event}/trace", expect=expect, key=key)[1]
    return answer, {one["endpoint"]["name"]: one for one in answer.get("endpoints", [])}


def codes(steps):
    return [step["code"] for step in steps]


def why(report):
    with Hook() as good, Hook() as bad, Hook() as late:
        bad.status = 503
        sources = [typed_source(), typed_source("other"), github_source()]
        hooks = [
            endpoint("all", good.url),
            endpoint("other-source", good.url, sources=["other"]),
            endpoint("other-type", good.url, types=["invoice.*"]),
            endpoint("eu", good.url, channels=["eu"]),
            endpoint("failing", bad.url, retry={"delays": ["1h"]}),
            endpoint("off", good.url, disabled=True),
            endpoint("paused", good.url),
        ]
        with Gateway(sources, hooks) as gateway:
            call(gateway, "POST", "/api/v1/endpoints/paused/pause", expect=200)
            event = send(gateway, 1)[0]
            wait_until(lambda: trace(gateway, event)[1]["failing"]["outcome"] == "pending", 20, "the failure")
            wait_until(lambda: trace(gateway, event)[1]["all"]["outcome"] == "delivered", 20, "the delivery")
            with report.case("a trace says of each endpoint whether it wants the event, and why not"):
                whole, at = trace(gateway, event)
                assert whole["event"]["id"] == event and "next" not in whole
                assert codes(whole["receipt"])[:2] == ["received", "unverified"], whole["receipt"]
                for name, code in [("other-source", "source"), ("other-type", "type"), ("eu", "channel")]:
                    assert at[name]["outcome"] == "not_matched", at[name]
                    assert codes(at[name]["why"]) == [f"not_matched_{code}"], at[name]
                assert "invoice.*" in at["other-type"]["why"][0]["detail"]
            with report.case("it has the attempts, what holds an endpoint, and until when"):
                failing = at["failing"]
                assert failing["attempts"][0]["status"] == 503 and failing["delivery"]["state"] == "pending"
                retry = next(step for step in failing["why"] if step["code"] == "retry")
                assert retry["until"] > whole["event"]["received_at"], retry
                assert at["off"]["outcome"] == "waiting" and "disabled" in codes(at["off"]["why"]), at["off"]
                assert at["paused"]["outcome"] == "waiting" and "paused" in codes(at["paused"]["why"]), at["paused"]
            with report.case("an endpoint that is made later, and one that is cancelled"):
                made = {"name": "young", "url": late.url}
                call(gateway, "POST", "/api/v1/endpoints", made, 201)
                assert codes(trace(gateway, event)[1]["young"]["why"]) == ["made_later"]
                call(gateway, "POST", f"/api/v1/deliveries/{event}/failing/cancel", expect=200)
                dead = trace(gateway, event)[1]["failing"]
                assert dead["outcome"] == "dead" and codes(dead["why"]) == ["cancelled"], dead
            with report.case("a page holds so many endpoints, and says where it goes on"):
                names, cursor = [], ""
                while True:
                    page = call(gateway, "GET", f"/api/v1/events/{event}/trace?limit=3{cursor}", expect=200)[1]
                    assert len(page["endpoints"]) <= 3
                    names += [one["endpoint"]["name"] for one in page["endpoints"]]
                    if "next" not in page:
                        break
                    cursor = f"&cursor={page['next']}"
                assert len(names) == 8 and len(set(names)) == 8, names
            with report.case("of a refused request it says why it was refused"):
                body = b'{"refused": true}'
                assert gateway.post("/in/github", body, github_headers(body, secret="wrong"))[0] == 401
                refused = wait_until(lambda: gateway.api("/api/v1/rejected")["items"], 10, "the refused request")[0]
                said, _ = trace(gateway, refused["id"])
                assert said["rejected"]["id"] == refused["id"] and said["endpoints"] == []
                assert codes(said["receipt"])[0] == "refused" and refused["reason"] in said["receipt"][0]["detail"]
                assert call(gateway, "GET", "/api/v1/events/evt_0/trace")[0] == 404
            with report.case("the command line says it in words"):
                admin = ["--admin", f"127.0.0.1:{gateway.admin_port}"]
                said = sluice("events", "why", event, *admin, check=0).stdout
                assert "not_matched_type" in said and "all  delivered" in said and "attempt 1" in said, said
                said = sluice("events", "why", event, "--endpoint", "eu", *admin, check=0).stdout
                assert "channels `eu`" in said and "billing" not in said, said
                assert "refused" in sluice("events", "why", refused["id"], *admin, check=0).stdout


def conditions(report):
    with Hook() as ears, Hook() as usual:
        marks = {"refused_share": 50, "refused_count": 5, "free_space": "1024TiB", "lagging": "1s"}
        operational = {"operational": {"retry_delays": ["100ms"]}}
        slow = threading.Event()
        stuck = Receiver(lambda delivery, number: slow.wait(30) and 200 or 200)
        with stuck:
            hooks = [endpoint("stuck", stuck.url, concurrency=1)]
            with Gateway([github_source(), open_source()], hooks, conditions=marks, **operational) as gateway:
                base = "/api/v1/operational_webhooks"
                types = call(gateway, "GET", f"{base}/event_types?conditions=true", expect=200)[1]
                names = [one["name"] for one in types]
                call(gateway, "POST", base, {"url": ears.url, "event_types": names}, 201)
                call(gateway, "POST", base, {"url": usual.url}, 201)

                def heard(kind, state):
                    return next(
                        (
                            one["data"]
                            for one in (json.loads(d.body) for d in ears.snapshot())
                            if one["type"] == kind and one["data"]["state"] == state
                        ),
                        None,
                    )

                with report.case("the four conditions are types of their own, with examples, as are failing endpoints"):
                    assert sorted(names) == [
                        "certificate.expiring", "endpoint.failing", "log.space_low", "queue.lagging",
                        "source.verification_failing",
                    ]
                    conditions = [one for one in types if one["name"] != "endpoint.failing"]
                    assert all(one["example"]["data"]["state"] == "begun" for one in conditions)
                with report.case("a source whose requests are refused, once"):
                    for number in range(12):
                        body = json.dumps({"n": number}).encode()
                        assert gateway.post("/in/github", body, github_headers(body, secret="wrong"))[0] == 401
                    data = wait_until(lambda: heard("source.verification_failing", "begun"), 20, "the condition")
                    assert data["source"] == "github" and data["refused"] >= 5, data
                with report.case("an endpoint that lags, and that it does no more"):
                    send(gateway, 3)
                    data = wait_until(lambda: heard("queue.lagging", "begun"), 30, "the condition")
                    assert data["oldest_seconds"] >= 1 and data["endpoint_kind"] == "endpoint", data
                    slow.set()
                    wait_until(lambda: heard("queue.lagging", "ended"), 30, "the end of it")
                with report.case("each is told once, to those alone that name it, and is no event of its own"):
                    kinds = [json.loads(d.body)["type"] for d in ears.snapshot()]
                    assert kinds.count("source.verification_failing") == 1, kinds
                    assert usual.count() == 0, [d.body for d in usual.snapshot()]
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
            with Gateway([open_source()], hooks, folder=folder, conditions=marks, **operational) as gateway:
                call(gateway, "POST", base, {"url": ears.url, "event_types": ["log.space_low"]}, 201)
            with Gateway([open_source()], hooks, folder=folder, conditions=marks, **operational) as gateway:
                with report.case("what holds at a start is told then"):
                    data = wait_until(lambda: heard("log.space_low", "begun"), 20, "the condition")
                    assert data["free_bytes"] < data["threshold_bytes"], data


def monitoring(report):
    folder = os.path.join(ROOT, "docs", "monitoring")
    with open(os.path.join(folder, "alerts.yaml")) as file:
        alerts = file.read()
    with open(os.path.join(folder, "dashboard.json")) as file:
        drawn = json.load(file)
    expressions = re.findall(r"expr:\s*\|?\s*(.+?)\n(?=\s+(?:for|labels):)", alerts, re.DOTALL)
    assert len(expressions) == alerts.count("- alert: "), f"{len(expressions)} expressions of the alerts are read"
    with open(os.path.join(folder, "contract-alerts.yaml")) as file:
        contract = file.read()
    own = re.findall(r"expr:\s*\|?\s*(.+?)\n(?=\s+(?:for|labels):)", contract, re.DOTALL)
    assert len(own) == contract.count("- alert: ") == 4, f"{len(own)} expressions of the contract's alerts are read"
    expressions += [t["expr"] for p in drawn["panels"] for t in p.get("targets", [])]
    expressions += [v["query"]["query"] for v in drawn["templating"]["list"] if v["type"] == "query"]
    with report.case("the dashboard is what its script writes") as notes:
        script = os.path.join(ROOT, "scripts", "make_dashboard.py")
        done = subprocess.run([sys.executable, "-B", script, "--check"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        notes.append(f"{len(drawn['panels'])} panels")
    with report.case("every metric and label that alerts and dashboard name is on a running gateway") as notes:
        root = make("Root", authority=True)
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as place, Hook() as hook:
            pair = make("first", root, names=["localhost"], purposes=[SERVER]).write(place, "first")
            files = dict(zip(("certificate", "key"), pair))
            listen = [{"address": f"127.0.0.1:{free_port()}", "tls": files}]
            with Gateway([github_source(), open_source()], [endpoint("hook", hook.url)], listen=listen) as gateway:
                send(gateway, 1)
                body = b"{}"
                gateway.post("/in/github", body, github_headers(body, secret="wrong"))
                wait_until(lambda: gateway.metric_sum("sluice_delivery_events_total") > 0, 20, "a delivery")
                request(gateway.admin_port, "/v1/webhooks/registry")
                declared = set(re.findall(r"# TYPE (\S+) ", request(gateway.admin_port, "/metrics")[2].decode()))
                series = gateway.metrics()
        bases = {}
        for one in series:
            name, _, rest = one.partition("{")
            bases.setdefault(name, set()).update(re.findall(r'(\w+)="', rest))
        tried = set()
        for expression in expressions:
            for name, _, matchers in re.findall(r"(sluice_[a-z_]+)(\{(.*?)\})?", expression):
                assert name in bases, f"{name} is on no gateway: {expression}"
                for label in re.findall(r"(\w+)\s*[=!]~?", matchers):
                    assert label in bases[name] | {"instance"}, f"{name} has no label {label}: {expression}"
                tried.add(name)
        assert len(expressions) > 50 and len(tried) > 30, (len(expressions), len(tried))
        kinds = "policy|breaker|filtered|limited|prepar|redact|delivery_failures|trace"
        policies = {name for name in bases if re.search(kinds, name)}
        assert len(policies) >= 8, policies
        assert policies <= tried, f"neither alerts nor the dashboard name {sorted(policies - tried)}"
        for name in ("WebhookHighFailureRate", "WebhookDLQSize", "WebhookHighLatency", "WebhookQueueBacklog",
                     "WebhookSecurityIssue", "HighErrorRate", "SignatureFailures", "DeliveryLatencyP95"):
            assert f"alert: {name}\n" in alerts, name
        for expression in own:
            names = re.findall(r"(?:http|webhook|dlq|delivery_latency)_[a-z_]+", expression)
            assert names and all(name.removesuffix("_bucket") in declared for name in names), expression
        notes.append(f"{len(tried)} metrics in {len(expressions)} expressions")
    with report.case("every alert has its line on the page"):
        with open(os.path.join(folder, "README.md")) as file:
            page = file.read()
        for name in re.findall(r"- alert: (\w+)", alerts + contract):
            assert f"`{name}`" in page, name


def main():
    options = arguments(__doc__, only="")
    report = Report("repair")
    for group in (in_bulk, cancelling, disabled_endpoints, killed, why, conditions, monitoring):
        if not options.only or group.__name__ == options.only:
            group(report)
    report.finish()


if __name__ == "__main__":
    main()
