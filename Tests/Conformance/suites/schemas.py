#!/usr/bin/env python3
"""JSON Schemas of events, from outside: what breaks one is refused and says where, by source, by type, in lists and
compressed; observed sources keep it; it can be verified again; published events by their type; trials before saving."""

import datetime
import gzip
import hashlib
import hmac
import json
import os
import subprocess
import tempfile

import supportpath  # noqa: F401  (puts the shared modules on the path)
from receiver import Receiver
from report import Report, arguments, one_line, wait_until
from serverutil import BINARY, Gateway, endpoint, open_source, platform_key, request, sluice

ORDER = {
    "type": "object",
    "required": ["id", "amount"],
    "properties": {
        "id": {"type": "string", "pattern": "^o_[0-9]+$"},
        "amount": {"type": "number", "multipleOf": 0.01, "minimum": 0},
        "note": {"type": "string", "maxLength": 8},
    },
}
SECRET = "s3cret-s3cret"


def call(gateway, method, path, body=None, token=None, fields=None):
    fields = {
        "X-Sluice-Request": "1", "Authorization": f"Bearer {token or platform_key(gateway.admin_port)}",
        **(fields or {}),
    }
    data = None if body is None else json.dumps(body)
    status, _, text = request(gateway.admin_port, path, data, fields, method)
    return status, json.loads(text) if text else None


def answered(gateway, method, path, body=None, wanted=(200, 201, 202)):
    status, value = call(gateway, method, path, body)
    assert status in wanted, f"{method} {path}: {status} {one_line(json.dumps(value))}"
    return value


def post(gateway, source, body, headers=None):
    status, _, text = gateway.post(f"/in/{source}", body, headers)
    return status, json.loads(text)


def signed(body, **headers):
    text = body if isinstance(body, bytes) else body.encode()
    return {"X-Sig": hmac.new(SECRET.encode(), text, hashlib.sha256).hexdigest(), **headers}


def partner(name, **more):
    scheme = {"header": "X-Sig", "encoding": "hex", "signed": "{body}"}
    return {"name": name, "provider": "generic", "secrets": [SECRET], "scheme": scheme, **more}


def good(number, **more):
    return json.dumps({"id": f"o_{number}", "amount": 19.99, **more})


def sources(report):
    with report.case("what a genuine request breaks is refused with its place; a forgery hears of no schema"):
        with Receiver() as receiver:
            plain = {"event": {"type": ["json:$.kind"]}}
            made = [
                partner("in", schema=ORDER),
                open_source("typed", schemas={"order": ORDER, "any": True}, schema=False, **plain),
                open_source("free"),
            ]
            with Gateway(made, [endpoint("all", receiver.url)]) as gateway:
                body = good(1)
                status, value = post(gateway, "in", body, signed(body))
                assert status == 202 and value["status"] == "accepted", value
                body = json.dumps({"id": "o_x", "amount": 1.005, "note": "confidential"})
                status, value = post(gateway, "in", body, signed(body))
                assert status == 422 and value["reason"] == "schema_violation", (status, value)
                keys = ("schema_path", "keyword", "message")
                said = {one["path"]: tuple(one[key] for key in keys) for one in value["violations"]}
                assert said == {
                    "/id": ("#/properties/id/pattern", "pattern", "must match the expression ^o_[0-9]+$"),
                    "/amount": ("#/properties/amount/multipleOf", "multipleOf", "must be a multiple of 0.01"),
                    "/note": ("#/properties/note/maxLength", "maxLength", "must have at most 8 characters"),
                }, said
                assert "confidential" not in json.dumps(value)
                status, value = post(gateway, "in", body, signed("other"))
                assert status == 401 and value == {"status": "rejected", "reason": "signature_mismatch"}, value
                status, value = post(gateway, "in", "no JSON", signed("no JSON"))
                assert status == 422 and value == {"status": "rejected", "reason": "body_not_json"}, value
                for kind, wanted in (("order", 422), ("any", 202), ("other", 422)):
                    status, value = post(gateway, "typed", json.dumps({"kind": kind}))
                    assert status == wanted, (kind, status, value)
                assert post(gateway, "free", "no JSON")[0] == 202
                wait_until(lambda: len(receiver.snapshot()) == 3, 15, "what was kept is delivered")
                count = gateway.metric_sum("sluice_rejections_total", source="in", reason="schema_violation")
                assert count == 1, count
                wait_until(
                    lambda: [one["reason"] for one in answered(gateway, "GET", "/api/v1/rejected?source=in")["items"]]
                    == ["body_not_json", "signature_mismatch", "schema_violation"], 15, "listed with the refused")
                assert answered(gateway, "GET", "/api/v1/sources/in")["schemas"] == ["*"]

    with report.case("many broken rules: ten are said; a connection goes on behind them"):
        with Gateway([open_source("in", schema={"items": {"type": "string"}})]) as gateway:
            status, value = post(gateway, "in", json.dumps(list(range(500))))
            assert status == 422 and len(value["violations"]) == 10, value
            assert post(gateway, "in", '["a"]')[0] == 202

    with report.case("a list is taken whole or not at all, and says which event; compressed bodies are read"):
        decoded = {"header": "X-Sig", "encoding": "hex", "signed": "{body}", "content_coding": "decoded"}
        made = [
            open_source("list", split="json:$", schema=ORDER),
            {**partner("packed", schema=ORDER), "scheme": decoded},
        ]
        with Gateway(made) as gateway:
            status, value = post(gateway, "list", f"[{good(1)},{good(2)}]")
            assert status == 202 and value["events"] == 2, value
            status, value = post(gateway, "list", f'[{good(3)},{{"id":"o_4"}}]')
            assert status == 422 and [one["event"] for one in value["violations"]] == [1], value
            assert len(answered(gateway, "GET", "/api/v1/events?source=list")["items"]) == 3
            for body, wanted in ((good(5), 202), ("{}", 422)):
                packed = gzip.compress(body.encode())
                headers = signed(body, **{"Content-Encoding": "gzip"})
                status, value = post(gateway, "packed", packed, headers)
                assert status == wanted, (status, value)

    with report.case("a source that observes keeps what breaks its schema, with the verdict"):
        with Receiver() as receiver:
            made = [partner("in", schema=ORDER, mode="observe")]
            with Gateway(made, [endpoint("all", receiver.url)]) as gateway:
                status, value = post(gateway, "in", "{}", signed("{}"))
                assert status == 202, (status, value)
                wait_until(lambda: len(receiver.snapshot()) == 1, 15, "delivered")
                assert gateway.metric_sum("sluice_observed_rejections_total", reason="schema_violation") == 1

    with report.case("a challenge is answered, whatever the schema says"):
        slack = {"name": "slack", "provider": "slack", "secrets": [SECRET], "schema": ORDER}
        with Gateway([slack]) as gateway:
            body = json.dumps({"type": "url_verification", "challenge": "c0ffee"})
            now = str(int(datetime.datetime.now().timestamp()))
            mac = hmac.new(SECRET.encode(), f"v0:{now}:{body}".encode(), hashlib.sha256).hexdigest()
            headers = {"X-Slack-Request-Timestamp": now, "X-Slack-Signature": "v0=" + mac}
            status, _, text = gateway.post("/in/slack", body, headers)
            assert status == 200 and b"c0ffee" in text, (status, text)


def repair(report):
    with report.case("`events reverify` takes what a corrected schema takes, and nothing before"):
        folder = tempfile.mkdtemp(prefix="sluice-schemas-")
        body = json.dumps({"id": "o_1"})
        outcome = {}
        for schema in (ORDER, {**ORDER, "required": ["id"]}):
            with Gateway([partner("in", schema=schema), open_source("open", schema=schema)], folder=folder) as gateway:
                if not outcome:
                    assert post(gateway, "in", body, signed(body))[0] == 422
                    assert post(gateway, "open", body)[0] == 422
                    wait_until(
                        lambda: len(answered(gateway, "GET", "/api/v1/rejected")["items"]) == 2, 15, "both are kept")
                outcome = answered(gateway, "POST", "/api/v1/rejected/reverify", {"dry_run": False})
                if schema is ORDER:
                    assert outcome["accepted"] == 0 and outcome["rejected"] == {"schema_violation": 2}, outcome
        assert outcome["accepted"] == 2, outcome


def publishing(report):
    with report.case("published events by their type's newest schema, once the type says so; in each surface's form"):
        with Gateway([open_source("in")], publish=True) as gateway:
            loose = {"type": "object"}
            path = "/api/v1/event-type"
            draft = {"name": "order.created", "description": "", "schemas": {"2": loose, "10": ORDER}}
            made = answered(gateway, "POST", path, draft)
            assert "enforceSchema" not in made, made
            answered(gateway, "POST", "/api/v1/app", {"name": "a", "uid": "a"})
            events, messages = "/api/v1/events", "/api/v1/app/a/msg"
            wrong = {"id": "o_1", "note": "short"}
            event = {"type": "order.created", "payload": wrong}
            message = {"eventType": "order.created", "payload": wrong}
            assert call(gateway, "POST", events, event)[0] in (200, 202)
            assert call(gateway, "POST", messages, message)[0] == 202
            changed = answered(gateway, "PATCH", path + "/order.created", {"enforceSchema": True})
            assert changed["enforceSchema"] is True, changed
            # An SDK that does not know the field leaves it as it is.
            kept = {key: value for key, value in changed.items() if key != "enforceSchema"}
            assert answered(gateway, "PUT", path + "/order.created", kept)["enforceSchema"] is True
            for port in (gateway.admin_port, gateway.port):
                fields = {
                    "X-Sluice-Request": "1", "Authorization": f"Bearer {platform_key(gateway.admin_port)}",
                    "Content-Type": "application/json",
                }
                status, _, text = request(port, events, json.dumps(event), fields, "POST")
                value = json.loads(text)
                assert status == 422 and value["code"] == "schema_violation", (port, status, value)
                assert value["errors"] == [{"path": "payload", "reason": "must have `amount` (`#/required`)"}], value
                status, _, text = request(port, messages, json.dumps(message), fields, "POST")
                value = json.loads(text)
                assert status == 422 and value["detail"][0]["loc"] == ["body", "payload"], (port, status, value)
                right = {"type": "order.created", "payload": {"id": "o_1", "amount": 5}}
                status, _, text = request(port, events, json.dumps(right), fields, "POST")
                assert status in (200, 202), (port, status, text)
                status, _, text = request(port, events, json.dumps({**event, "type": "other"}), fields, "POST")
                assert status in (200, 202), (port, status, text)
            answered(gateway, "PATCH", path + "/order.created", {"enforceSchema": False})
            assert call(gateway, "POST", events, event)[0] in (200, 202)
            for schemas, said in (({"1": {"pattern": "(?=a)"}}, "RE2"), (None, "needs a schema")):
                draft = {"name": "bad", "description": "", "schemas": schemas, "enforceSchema": True}
                status, value = call(gateway, "POST", path, draft)
                assert status == 422 and said in json.dumps(value), (status, value)


def refusals(report):
    with report.case("a schema that is wrong or costs too much is refused with its line, its place and the reason"):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "bad.json"), "w") as file:
                file.write('{"$ref":"https://example.com/other.json"}')
            for schema, said in (
                ('{ type: text }', "`#/type` must be one of"),
                ("file:bad.json", "another document, which is not fetched"),
                ("file:none.json", "there is no such file"), ('{ pattern: "(a" }', "no expression that RE2 takes"),
                ('{ $ref: "#" }', "a check would never end"), ("text", "is not JSON"),
            ):
                path = os.path.join(folder, "sluice.yaml")
                with open(path, "w") as file:
                    file.write(
                        "sources:\n  - name: in\n    provider: generic\n    unverified: true\n"
                        f"    schemas:\n      order: {schema}\n")
                done = subprocess.run([BINARY, "config", "check", path], capture_output=True, text=True, timeout=60)
                text = done.stdout + done.stderr
                assert done.returncode == 2 and "sluice.yaml:6" in text and said in text, (schema, text)


def trials(report):
    with report.case("tried before it is saved: on a body, an event, over the log; by the API and by `sluice schema`"):
        with tempfile.TemporaryDirectory() as folder, Gateway([open_source("in")]) as gateway:
            names = {"schema.json": json.dumps(ORDER), "good.json": good(1), "bad.json": '{"id":"o_1"}', "no.json": "x"}
            paths = {name: os.path.join(folder, name) for name in names}
            for name, text in names.items():
                with open(paths[name], "w") as file:
                    file.write(text)
            ids = []
            for body in (good(1), "{}", "no JSON", good(2)):
                status, value = post(gateway, "in", body)
                assert status == 202, value
                ids.append(value["id"])
            got = answered(gateway, "POST", "/api/v1/schemas/test", {"schema": ORDER, "event": ids[1]})
            assert not got["valid"] and got["verdict"] == "schema_violation" and len(got["violations"]) == 2, got
            got = answered(gateway, "POST", "/api/v1/schemas/test", {"schema": ORDER, "payload": json.loads(good(7))})
            assert got == {"valid": True, "verdict": "valid", "violations": []}, got
            status, value = call(gateway, "POST", "/api/v1/schemas/test", {"schema": {"type": 5}, "body": "{}"})
            assert status == 422 and "#/type" in value["errors"][0]["reason"], value
            span = {"schema": ORDER, "from": "2020-01-01T00:00:00Z"}
            page = answered(gateway, "POST", "/api/v1/schemas/preview", span)
            sums = {key: page[key] for key in ("read", "checked", "refused", "not_json")}
            assert sums == {"read": 4, "checked": 4, "refused": 2, "not_json": 1} and "next" not in page, page
            assert [one["event"]["id"] for one in page["examples"]] == ids[1:3], page
            page = answered(gateway, "POST", "/api/v1/schemas/preview", {**span, "type": "none"})
            assert (page["read"], page["checked"]) == (4, 0), page
            done = sluice("schema", "test", "--schema", paths["schema.json"], paths["good.json"])
            assert done.returncode == 0 and "is taken" in done.stdout, done.stdout + done.stderr
            done = sluice("schema", "test", "--schema", paths["schema.json"], paths["bad.json"], paths["no.json"])
            assert done.returncode == 1 and "must have `amount` (#/required)" in done.stdout, done.stdout + done.stderr
            assert "is not JSON" in done.stdout, done.stdout
            done = sluice("schema", "test", "--schema", paths["no.json"], paths["good.json"])
            assert done.returncode == 2 and "is not JSON" in done.stderr, done.stdout + done.stderr
            admin = ["--admin", f"127.0.0.1:{gateway.admin_port}", "--key", platform_key(gateway.admin_port)]
            done = sluice("schema", "test", "--schema", paths["schema.json"], "--event", ids[1], *admin)
            assert done.returncode == 1 and "is refused" in done.stdout, done.stdout + done.stderr
            done = sluice("schema", "preview", "--schema", paths["schema.json"], "--last", "1h", *admin)
            assert "4 checked, 2 would have been refused" in done.stdout, done.stdout + done.stderr


def tenants(report):
    with report.case("a tenant's key tries schemas on its own events, and finds no other's"):
        with Gateway([open_source("in"), open_source("in", tenant="beta")]) as gateway:
            theirs, own = post(gateway, "in", "{}")[1]["id"], post(gateway, "beta/in", "{}")[1]["id"]
            beta = answered(gateway, "GET", "/api/v1/tenants/beta")["tenant_id"]
            keys = {
                role: answered(gateway, "POST", "/api/v1/keys", {"tenant_id": beta, "role": role})["token"]
                for role in ("viewer", "operator")
            }
            test, preview = "/api/v1/schemas/test", "/api/v1/schemas/preview"
            status, value = call(gateway, "POST", test, {"schema": ORDER, "event": own}, keys["viewer"])
            assert status == 200 and not value["valid"], (status, value)
            status, value = call(gateway, "POST", test, {"schema": ORDER, "event": theirs}, keys["viewer"])
            assert status == 404, (status, value)
            span = {"schema": ORDER, "from": "2020-01-01T00:00:00Z"}
            status, value = call(gateway, "POST", preview, span, keys["operator"])
            assert status == 200 and (value["read"], value["refused"]) == (1, 1), (status, value)
            assert [one["event"]["id"] for one in value["examples"]] == [own], value
            assert call(gateway, "POST", preview, span, keys["viewer"])[0] == 403


def main():
    arguments(__doc__)
    report = Report("schemas")
    for group in (sources, repair, publishing, refusals, trials, tenants):
        group(report)
    report.finish()


if __name__ == "__main__":
    main()
