#!/usr/bin/env python3
"""What an endpoint gets of an event when it asks for a redaction or a transformation: the body, the header fields, the
signature over them; what cannot be made is set aside; the log keeps the event as it came; settings by the API."""

import base64
import hashlib
import hmac
import json
import os
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
from receiver import Receiver
from report import Report, arguments, one_line, wait_until
from serverutil import Gateway, StartFailed, endpoint, open_source, request, sluice

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
BODY = {
    "id": 12345678901234567890,
    "user": {"mail": "ann@example.org", "password": "hunter2", "name": "Ann"},
    "text": "from 10.0.0.1 with Bearer abc.def, ghp_16C7e42F292c69",
}


def send(gateway, body, headers=None, source="test"):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Content-Type": "application/json", **(headers or {})}
    status, _, answer = gateway.post(f"/in/{source}", body, fields)
    assert status in (200, 202), f"{status} {answer[:200]}"
    return json.loads(answer)["id"]


def call(gateway, method, path, value=None):
    body = None if value is None else json.dumps(value).encode()
    headers = {"Content-Type": "application/json", "X-Sluice-Request": "1"}
    status, _, answer = request(gateway.admin_port, "/api/v1" + path, body, headers, method)
    return status, json.loads(answer) if answer else None


def got(receiver, path, count=1):
    def found():
        return [d for d in receiver.snapshot() if d.path == path]

    wait_until(lambda: len(found()) >= count, 15, lambda: f"{len(found())} of {count} at {path}")
    return found()


def deliveries(report):
    with Receiver() as receiver:
        host = receiver.url.rsplit("/", 1)[0]
        ends = [
            endpoint("plain", host + "/plain"),
            endpoint("masked", host + "/masked", redact=True, secret=SECRET),
            endpoint(
                "hashed",
                host + "/hashed",
                redact={
                    "patterns": ["email", "ip"],
                    "hash": ["email"],
                    "key": "${REDACT_KEY}",
                    "custom": [{"name": "order", "pattern": "ORD-[0-9]+"}],
                },
            ),
            endpoint(
                "made",
                host + "/made",
                transform=[
                    {"pick": ["$.id", "$.user"]},
                    {"remove": ["$.user.password"]},
                    {"rename": {"path": "$.user.mail", "to": "contact"}},
                    {"constant": {"path": "$.source", "value": "sluice"}},
                    {"format": {"path": "$.user.name", "as": "upper"}},
                    {"template": {"path": "$.line", "text": "{{$.user.name}} is {{$.id}}"}},
                ],
            ),
        ]
        os.environ["REDACT_KEY"] = "a key of sixteen bytes"
        with Gateway([open_source()], ends) as gateway:
            sent = json.dumps(BODY).encode()
            name = send(gateway, sent, {"X-Reply-To": "bob@example.org", "X-Api-Key": "k-1"})
            with report.case("an endpoint that asks for nothing gets the event as it came"):
                assert got(receiver, "/plain")[0].body == sent
            with report.case("a redaction masks texts, values by their names, tokens and addresses"):
                masked = got(receiver, "/masked")[0]
                assert json.loads(masked.body) == {
                    "id": BODY["id"],
                    "user": {"mail": "[REDACTED_EMAIL]", "password": "[REDACTED_SECRET]", "name": "Ann"},
                    "text": "from [REDACTED_IP] with [REDACTED_TOKEN], [REDACTED_GITHUB_TOKEN]",
                }, masked.body
            with report.case("forwarded header fields are redacted too"):
                assert masked.headers["x-reply-to"] == "[REDACTED_EMAIL]", dict(masked.headers)
                assert masked.headers["x-api-key"] == "[REDACTED_API_KEY]", dict(masked.headers)
                assert got(receiver, "/plain")[0].headers["x-reply-to"] == "bob@example.org"
            with report.case("the signature is made over what is sent"):
                signed = f"{masked.headers['webhook-id']}.{masked.headers['webhook-timestamp']}.".encode() + masked.body
                key = base64.b64decode(SECRET[6:])
                wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
                assert masked.headers["webhook-signature"] == wanted, masked.headers["webhook-signature"]
            with report.case("a transformation goes step by step, and numbers keep their digits"):
                made = got(receiver, "/made")[0].body
                assert made == (
                    b'{"id":12345678901234567890,"user":{"contact":"ann@example.org","name":"ANN"},'
                    b'"source":"sluice","line":"ANN is 12345678901234567890"}'
                ), made
            with report.case("hashes are equal for equal texts, and no plain digest"):
                send(gateway, {"mail": "ann@example.org", "note": "ORD-77"})
                first, second = (json.loads(d.body) for d in got(receiver, "/hashed", 2))
                token = first["user"]["mail"]
                assert token.startswith("[REDACTED_EMAIL_") and second["mail"] == token, (first, second)
                assert hashlib.sha256(b"ann@example.org").hexdigest()[:12] not in token, token
                assert second["note"] == "[REDACTED_ORDER]" and first["user"]["password"] == "hunter2", (first, second)
            with report.case("the log keeps the event as it came"):
                shown = gateway.api(f"/api/v1/events/{name}")
                assert "ann@example.org" in json.dumps(shown) and "hunter2" in json.dumps(shown), one_line(str(shown))
            with report.case("what was replaced is counted by pattern"):
                count = gateway.metric_sum
                wait_until(lambda: count("sluice_redactions_total", pattern="email") >= 4, 10, "four addresses")
                wait_until(lambda: count("sluice_delivery_prepared_total", result="ok") >= 5, 10, "five events")
                wait_until(lambda: count("sluice_delivery_preparing") == 0, 10, "none is at work")
            with report.case("no secret of a redaction is shown"):
                text = json.dumps(gateway.api("/api/v1/endpoints")) + gateway.admin("/metrics")[2].decode()
                assert "sixteen" not in text and '"has_key": true' in text, one_line(text)


def poison(report):
    with Receiver() as receiver:
        host = receiver.url.rsplit("/", 1)[0]
        ends = [endpoint("made", host + "/made", ordered=True, transform=[{"remove": ["$.secret"]}])]
        with Gateway([open_source()], ends) as gateway:
            name = send(gateway, b"this is no JSON")
            send(gateway, {"a": 1, "secret": 2})
            with report.case("an event that cannot be transformed holds up nothing"):
                assert got(receiver, "/made")[0].body == b'{"a":1}'
            with report.case("it is a dead letter with the reason, and says nothing of what is in it"):
                wait_until(lambda: gateway.api("/api/v1/deliveries?state=dead")["items"], 10, "the dead letter")
                dead = gateway.api("/api/v1/dead-letters?reason=transformation_failed")["items"]
                assert [d["event"] for d in dead] == [name], dead
                assert dead[0]["reason"] == "transformation_failed" and dead[0]["result"] == "not_prepared", dead
                delivery = dead[0]
                shown = gateway.api(f"/api/v1/deliveries/{name}/{delivery['endpoint']['id']}")
                assert shown["attempts"][0]["preparation_error"] == "not_json", shown
                assert "this is" not in json.dumps(shown), shown
            with report.case("it is named by metrics, and the endpoint is not blamed"):
                # Metrics are a quarter of a second old at most.
                wait_until(
                    lambda: gateway.metric_sum(
                        "sluice_delivery_dead_letters_total", endpoint="made", reason="transformation_failed"
                    )
                    == 1,
                    5,
                    "the metric",
                )
                assert gateway.metric_sum("sluice_delivery_prepared_total", result="not_json") == 1
                state = gateway.api("/api/v1/endpoints/made")["status"]
                assert state["state"] == "active" and "last_error" not in state, state
            with report.case("nothing but what is JSON once its coding is gone"):
                name = send(gateway, b"{}", {"Content-Encoding": "br"})
                wait_until(
                    lambda: gateway.metric_sum("sluice_delivery_prepared_total", result="content_coding") == 1,
                    10,
                    "the metric",
                )


def by_the_api(report):
    with Receiver() as receiver, Gateway(
        [open_source()], delivery={"allow": ["127.0.0.0/8"]}
    ) as gateway:
        redact = {"patterns": ["email"], "hash": ["email"], "key": "k" * 16}
        draft = {"name": "e", "url": receiver.url, "redact": redact}
        with report.case("an endpoint is made with a redaction, whose key is not shown"):
            status, made = call(gateway, "POST", "/endpoints", draft)
            assert status == 201 and made["redact"] == {
                "patterns": ["email"],
                "hash": ["email"],
                "has_key": True,
            }, (status, made)
        with report.case("a patch keeps the key; what it does not name stays"):
            status, patched = call(
                gateway, "PATCH", "/endpoints/e", {"transform": [{"constant": {"path": "$.n", "value": [1, None]}}]}
            )
            assert status == 200 and patched["redact"]["has_key"] is True, (status, patched)
            assert patched["transform"] == [{"constant": {"path": "$.n", "value": [1, None]}}], patched
            send(gateway, {"m": "ann@example.org"})
            body = json.loads(got(receiver, "/hooks")[0].body)
            digest = hmac.new(b"k" * 16, b"ann@example.org", hashlib.sha256).hexdigest()[:12]
            assert body == {"m": f"[REDACTED_EMAIL_{digest}]", "n": [1, None]}, body
        with report.case("a viewer is not shown what a step sets, and nobody writes that back"):
            steps = [
                {"constant": {"path": "$.n", "value": [1, None]}},
                {"template": {"path": "$.t", "text": "s3cret {{$.m}}"}},
            ]
            status, patched = call(gateway, "PATCH", "/endpoints/e", {"transform": steps})
            assert status == 200 and patched["transform"] == steps, patched
            status, made = call(gateway, "POST", "/keys", {"tenant_id": "default", "role": "viewer"})
            assert status == 201, made
            for path in ("/endpoints/e", "/endpoints"):
                headers = {"Authorization": f"Bearer {made['token']}"}
                status, _, answer = request(gateway.admin_port, "/api/v1" + path, headers=headers)
                shown = json.loads(answer)
                shown = shown["items"][0] if "items" in shown else shown
                assert status == 200 and "s3cret" not in answer.decode(), answer
                assert shown["transform"] == [
                    {"constant": {"path": "$.n", "value": None}, "hidden": True},
                    {"template": {"path": "$.t", "text": ""}, "hidden": True},
                ], shown
            status, problem = call(gateway, "PATCH", "/endpoints/e", {"transform": shown["transform"]})
            assert status == 422 and problem["errors"][0]["path"] == "transform[0].hidden", problem
        with report.case("what is wrong is refused by its place"):
            wrong = {
                "redact": {"patterns": ["email"], "custom": [{"name": "a", "pattern": "("}]},
                "transform": [{"pick": ["$.a"]}, {"template": {"path": "$.b", "text": "{{c}}"}}],
            }
            status, problem = call(gateway, "PATCH", "/endpoints/e", wrong)
            paths = [error["path"] for error in problem["errors"]]
            assert status == 422 and paths == ["redact.custom[0].pattern", "transform[1].template.text"], problem
            for value in ([{}], [{"pick": ["$.a"], "remove": ["$.b"]}]):
                status, problem = call(gateway, "PATCH", "/endpoints/e", {"transform": value})
                assert status == 422 and problem["errors"][0]["path"] == "transform[0]", problem
            status, problem = call(gateway, "PATCH", "/endpoints/e", {"redact": {"patterns": ["emial"]}})
            assert status == 422 and problem["errors"][0]["path"] == "redact.patterns[0]", problem
        with report.case("both go with null and false"):
            status, plain = call(gateway, "PATCH", "/endpoints/e", {"redact": False, "transform": None})
            assert status == 200 and plain["redact"] is False and plain["transform"] == [], (status, plain)
            send(gateway, b"as it is: ann@example.org")
            assert got(receiver, "/hooks", 2)[1].body == b"as it is: ann@example.org"
    with report.case("a configuration that is wrong is refused at its line"):
        try:
            with Gateway([open_source()], [endpoint("e", "http://127.0.0.1:9/", transform=[{"pik": ["$.a"]}])]):
                raise AssertionError("it started")
        except StartFailed as failure:
            assert "did you mean `pick`?" in str(failure), one_line(str(failure))


def tried(report):
    ends = [endpoint("crm", "http://127.0.0.1:9/", transform=[{"remove": ["$.b"]}], disabled=True)]
    with Gateway([open_source(), open_source("in", tenant="beta")], ends) as gateway:
        for number in range(20):
            last = send(gateway, {"n": number, "mail": "ann@example.org", "b": 1})
        send(gateway, b"no JSON")
        with report.case("one body is tried, and one event, by other settings and by an endpoint's"):
            answer = gateway.api("/api/v1/transformations/test", {"redact": True, "body": "to ann@example.org"})
            assert answer == {
                "result": "ok",
                "changed": True,
                "body": "to [REDACTED_EMAIL]",
                "redactions": {"email": 1},
            }, answer
            answer = gateway.api("/api/v1/transformations/test", {"endpoint": "crm", "redact": True, "event": last})
            assert json.loads(answer["body"]) == {"n": 19, "mail": "[REDACTED_EMAIL]"}, answer
            answer = gateway.api("/api/v1/transformations/test", {"endpoint": "crm", "body": "x"})
            assert answer["result"] == "not_json" and "body" not in answer, answer
        with report.case("a span of the log is tried against what holds now"):
            asked = {"endpoint": "crm", "transform": [{"remove": ["$.b"]}], "redact": {"patterns": ["email"]}}
            answer = gateway.api("/api/v1/transformations/what-if", asked)
            assert (answer["events"], answer["changed"], answer["failed"]) == (21, 20, {"not_json": 1}), answer
            assert answer["is_complete"] and answer["redactions"] == {"email": 20}, answer
            changed = [one for one in answer["examples"] if one["result"] == "ok"]
            assert len(changed) == 5 and "ann@example.org" in changed[0]["before"], answer
            assert "[REDACTED_EMAIL]" in changed[0]["after"], answer
            answer = gateway.api("/api/v1/transformations/what-if", {**asked, "limit": 3})
            assert answer["events"] == 3 and not answer["is_complete"], answer
        with report.case("what is wrong is refused by its place"):
            for value, path in (
                ({"transform": [{"pick": ["a"]}], "body": "{}"}, "transform[0].pick[0]"),
                ({"redact": {"custom": [{"name": "a", "pattern": "("}]}, "body": ""}, "redact.custom[0].pattern"),
                ({"redact": True}, "body"),
            ):
                status, problem = call(gateway, "POST", "/transformations/test", value)
                assert status == 422 and problem["errors"][0]["path"] == path, (value, problem)
            assert call(gateway, "POST", "/transformations/test", {"event": "evt_x"})[0] == 404
        with report.case("the command line shows the same"):
            settings = os.path.join(gateway.folder, "new.yaml")
            with open(settings, "w") as file:
                file.write("redact: { patterns: [email] }\ntransform:\n  - remove: [$.b]\n")
            to = ("--config", gateway.config_path)
            shown = sluice("transform", "test", "--settings", settings, "--event", last, *to, check=0).stdout
            assert json.loads(shown) == {"n": 19, "mail": "[REDACTED_EMAIL]"}, shown
            failed = sluice("transform", "test", "--settings", settings, "--body", "x", *to, check=1)
            assert "not JSON" in failed.stdout + failed.stderr, one_line(failed.stdout + failed.stderr)
            shown = sluice("transform", "what-if", "--settings", settings, *to, check=0).stdout
            assert shown.startswith("21 events, 20 changed") or shown.startswith("21 events, 21 changed"), shown
        with report.case("an endpoint of one tenant and an event of another do not meet, whoever asks"):
            theirs = send(gateway, {"n": 0}, source="beta/in")
            assert call(gateway, "POST", "/transformations/test", {"redact": True, "event": theirs})[0] == 200
            assert call(gateway, "POST", "/transformations/test", {"endpoint": "crm", "event": theirs})[0] == 404
            assert gateway.api("/api/v1/transformations/what-if", {"redact": True})["events"] == 22
            assert gateway.api("/api/v1/transformations/what-if", {"endpoint": "crm"})["events"] == 21


def load(report):
    """Many at once: each is prepared and delivered once, and a stop in the middle loses nothing."""
    with report.case("two thousand events through the workers, over a restart"):
        with Receiver() as receiver:
            ends = [endpoint("masked", receiver.url, redact=True, concurrency=32)]
            gateway = Gateway([open_source()], ends)
            with gateway:
                for number in range(1000):
                    send(gateway, {"n": number, "mail": "ann@example.org"})
                gateway.stop()
                gateway.start()
                for number in range(1000, 2000):
                    send(gateway, {"n": number, "mail": "ann@example.org"})
                numbers = lambda: {json.loads(d.body)["n"] for d in receiver.snapshot()}  # noqa: E731
                wait_until(lambda: len(numbers()) == 2000, 60, lambda: f"{len(numbers())} of 2000")
                assert all(b"[REDACTED_EMAIL]" in d.body for d in receiver.snapshot())
                time.sleep(0.3)
                assert gateway.metric_sum("sluice_delivery_preparing") == 0


def main():
    options = arguments(__doc__, only="")
    report = Report("transform")
    for group in (deliveries, poison, by_the_api, tried, load):
        if not options.only or options.only == group.__name__:
            group(report)
    report.finish()


if __name__ == "__main__":
    main()
