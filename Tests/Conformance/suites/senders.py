#!/usr/bin/env python3
"""What senders really send, through the port: what is the same event and what is not, types however they are spelled,
forms, answers of a source's own, challenges by rule, paths and prefixes, and what is refused before its body comes."""

import base64
import hashlib
import hmac
import json
import socket
import time
from urllib.parse import quote

import supportpath  # noqa: F401  (puts the shared modules on the path)
from receiver import Receiver
from report import Report, arguments, wait_until
from serverutil import Gateway, endpoint, open_source, read_answer, request
from storeutil import log_records

KEY = "sender-secret"
FORM = "application/x-www-form-urlencoded"


def hexadecimal(body, key=KEY):
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def exchange(gateway, data):
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as s:
        s.sendall(data)
        status, head, body, _ = read_answer(s)
    lines = [line.split(":", 1) for line in head.decode("latin-1").split("\r\n")[1:] if ":" in line]
    return status, {name.strip().lower(): value.strip() for name, value in lines}, body


def send(gateway, target, body=b"", headers=(), method="POST"):
    head = f"{method} {target} HTTP/1.1\r\nHost: hooks.example.com\r\nConnection: close\r\n"
    if body or method == "POST":
        head += f"Content-Length: {len(body)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in dict(headers).items())
    return exchange(gateway, head.encode() + b"\r\n" + body)


def statuses(gateway, *requests):
    """Of each what the log made of it."""
    return [json.loads(send(gateway, *one)[2])["status"] for one in requests]


def source(name, provider=None, **more):
    return {"name": name, "provider": provider or name, "secrets": [KEY], **more}


# several events in one request


def several(report):
    sources = [
        open_source("list", split="json:$", event={"type": "json:$.kind"}, dedup={"key": "json:$.id"}),
        source(
            "nested", "generic", split="json:$.events",
            scheme={"header": "X-Sig", "encoding": "hex", "signed": "{body}"},
        ),
        open_source("wide", split="json:$"),
    ]
    with Receiver() as receiver, Gateway(sources, [endpoint("all", receiver.url, sources=["list"])]) as gateway:
        with report.case("each element is an event with its own type, key and delivery"):
            body = b'[ {"id":1,"kind":"a"}, {"id":2,"kind":"b"} ]'
            status, _, answer = send(gateway, "/in/list", body, {"Content-Type": "application/json"})
            answer = json.loads(answer)
            assert status == 202 and answer["events"] == 2 and answer["duplicates"] == 0, answer
            wait_until(lambda: len(receiver.snapshot()) == 2, 10, "each of them is delivered")
            assert sorted(d.body for d in receiver.snapshot()) == [b'{"id":1,"kind":"a"}', b'{"id":2,"kind":"b"}']
            rows = gateway.api("/api/v1/events?source=list")["items"]
            assert sorted((r["type"], r["part"], r.get("provider_id")) for r in rows) == [
                ("", "request", None), ("a", "event", "1"), ("b", "event", "2")
            ], rows
            kept = gateway.api("/api/v1/events/" + answer["id"])
            assert kept["body"].encode() == body and kept["deliveries"] == [], kept
        with report.case("a repetition keeps what is new, and nothing when nothing is"):
            answer = json.loads(send(gateway, "/in/list", b'[{"id":2},{"id":3},{"id":3}]')[2])
            assert (answer["events"], answer["duplicates"]) == (3, 2), answer
            answer = json.loads(send(gateway, "/in/list", b'[{"id":3},{"id":1}]')[2])
            assert answer == {"status": "duplicate", "events": 2, "duplicates": 2}, answer
            answer = json.loads(send(gateway, "/in/list", b"[]")[2])
            assert answer == {"status": "accepted", "events": 0, "duplicates": 0}, answer
        with report.case("what is no list is one event, and too long a list is refused whole"):
            for body in (b'{"id":9,"kind":"c"}', b'[{"id":10}', b"text"):
                assert "events" not in json.loads(send(gateway, "/in/list", body)[2]), body
            status, _, answer = send(gateway, "/in/wide", b"[" + b"0," * 4096 + b"0]")
            assert status == 413 and b"batch_too_large" in answer, answer
            status, _, answer = send(gateway, "/in/wide", b"[" + b"0," * 4095 + b"0]")
            assert status == 202 and json.loads(answer)["events"] == 4096, answer
        with report.case("a list inside a signed body; a forgery is refused whole"):
            body = b'{"account":5,"events":[{"n":1},{"n":2}]}'
            status, _, answer = send(gateway, "/in/nested", body, {"X-Sig": hexadecimal(body)})
            assert status == 202 and json.loads(answer)["events"] == 2, answer
            status, _, answer = send(gateway, "/in/nested", body, {"X-Sig": hexadecimal(b"other")})
            assert status == 401 and b"signature_mismatch" in answer, answer
            rows = gateway.api("/api/v1/events?source=nested")["items"]
            assert [r["part"] for r in rows] == ["request", "event", "event"], rows


# identity


def is_kept_each_time(gateway, *requests):
    got = statuses(gateway, *requests)
    assert got == ["accepted"] * len(requests), got


def hubspot(target, signed=None, method="GET", body=b""):
    now = str(int(time.time())) + "000"
    text = method.encode() + b"https://hooks.example.com" + (signed or target).encode() + body + now.encode()
    signature = base64.b64encode(hmac.new(KEY.encode(), text, hashlib.sha256).digest()).decode()
    return target, body, {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": now}, method


def cloud_event(identifier, origin):
    head = {"ce-id": identifier, "ce-source": origin, "ce-type": "t", "ce-specversion": "1.0"}
    return "/in/cloudevents", b"{}", {"Authorization": "Bearer " + KEY, **head}


def identity(report):
    sources = [
        open_source("open"), open_source("bodies", dedup={"key": "body"}),
        open_source("calls", dedup={"key": ["query:id", "method + target + body"]}),
        open_source("forms", dedup={"key": "form:id"}),
        source("dropbox"), source("alertmanager"), source("cloudevents"), source("linear"), source("mailgun"),
        source("hubspot", public_url="https://hooks.example.com"), source("github"),
    ]
    with Gateway(sources) as gateway:
        with report.case("what names no event is kept each time"):
            body = b'{"list_folder":{"accounts":["dbid:A"]}}'
            dropbox = ("/in/dropbox", body, {"X-Dropbox-Signature": hexadecimal(body)})
            is_kept_each_time(gateway, dropbox, dropbox)
            alert = ("/in/alertmanager", b'{"status":"firing"}', {"Authorization": "Bearer " + KEY})
            is_kept_each_time(gateway, alert, alert)
            is_kept_each_time(gateway, ("/in/open",), ("/in/open",), ("/in/open?a=1",), ("/in/open?a=2",))
            is_kept_each_time(gateway, hubspot("/in/hubspot?id=1"), hubspot("/in/hubspot?id=1"))
        with report.case("an empty body is no key, a body is one only where the source says so"):
            is_kept_each_time(gateway, ("/in/bodies",), ("/in/bodies",))
            got = statuses(gateway, ("/in/bodies", b"x"), ("/in/bodies", b"x"), ("/in/open", b"x"), ("/in/open", b"x"))
            assert got == ["accepted", "duplicate", "accepted", "accepted"], got
        with report.case("several places count together"):
            pairs = [("1", "/a"), ("2", "/a"), ("1", "/b"), ("1", "/a")]
            got = statuses(gateway, *(cloud_event(*pair) for pair in pairs))
            assert got == ["accepted"] * 3 + ["duplicate"], got
            got = statuses(
                gateway, ("/in/calls?a=1", b"x"), ("/in/calls?a=2", b"x"), ("/in/calls?a=1", b"y"),
                ("/in/calls?a=1", b"x"), ("/in/calls?id=7", b"x"), ("/in/calls?b=1&id=%37", b"y"),
            )
            assert got == ["accepted"] * 3 + ["duplicate", "accepted", "duplicate"], got
        with report.case("hooks that share a delivery of GitHub are events of their own"):
            body = b"{}"

            def hook(number):
                head = {"X-GitHub-Delivery": "g1", "X-GitHub-Event": "push", "X-GitHub-Hook-ID": number}
                return "/in/github", body, {"X-Hub-Signature-256": "sha256=" + hexadecimal(body), **head}

            got = statuses(gateway, hook("1"), hook("2"), hook("1"))
            assert got == ["accepted", "accepted", "duplicate"], got
            rows = gateway.api("/api/v1/events?source=github&provider_id=g1")["items"]
            assert len(rows) == 2, rows
        with report.case("a field of a form is a key, in both spellings of a form"):
            part = b'--B\r\nContent-Disposition: form-data; name="id"\r\n\r\na b\r\n--B--\r\n'
            several = ("/in/forms", part, {"Content-Type": "multipart/form-data; boundary=B"})
            got = statuses(gateway, ("/in/forms", b"x=1&id=a+b", {"Content-Type": FORM}), several,
                           ("/in/forms", b"id=a+b"))
            assert got == ["accepted", "duplicate", "accepted"], got
        with report.case("a retry of Linear's comes with the first time, and is a duplicate whatever its header says"):
            body = json.dumps({"webhookTimestamp": int((time.time() - 7 * 3600) * 1000)}).encode()

            def linear(delivery):
                return "/in/linear", body, {"Linear-Signature": hexadecimal(body), "Linear-Delivery": delivery}

            assert statuses(gateway, linear("a"), linear("b")) == ["accepted", "duplicate"]
            body = json.dumps({"webhookTimestamp": int((time.time() - 9 * 3600) * 1000)}).encode()
            assert send(gateway, *linear("c"))[0] == 401
        with report.case("Mailgun signs in a form as in JSON"):
            now, token = str(int(time.time()) - 7 * 3600), "0123456789"
            signature = hexadecimal((now + token).encode())
            fields = f"timestamp={now}&token={token}&signature={signature}&event=opened".encode()
            got = statuses(gateway, *2 * [("/in/mailgun", fields, {"Content-Type": FORM})])
            assert got == ["accepted", "duplicate"], got
        with report.case("a form that is a JSON document too is no form, so that what is signed is what counts"):
            for front in (b"{", b" \r\n{", b"\xef\xbb\xbf["):
                both = front + b'"signature":{"token":"other"},"x":"&' + fields + b'&"}'
                status, _, _ = send(gateway, "/in/mailgun", both, {"Content-Type": FORM})
                assert status == 401, (front, status)
        with report.case("HubSpot signs some escapes decoded"):
            for target, signed in [
                ("?e=a%40b.com", "?e=a@b.com"), ("?a=%20b", None), ("?u=https%3A%2F%2Fx", "?u=https://x"),
            ]:
                status, _, body = send(gateway, *hubspot("/in/hubspot" + target, signed and "/in/hubspot" + signed))
                assert status == 200, (target, status, body)


# reading


def reading(report):
    spelled = open_source("spelled", event={"id": "json:$.id", "type": "json:$.type"})
    slack = source("slack")
    with Gateway([spelled, slack]) as gateway:
        with report.case("a type is what it spells"):
            bodies = [
                (rb'{"id":"1","type":"order\/created"}', "order/created"),
                (rb'{"id":"2","type":"\u0061.b"}', "a.b"), (rb'{"id":"3","ty\u0070e":"c"}', "c"),
                (b'\xef\xbb\xbf{"id":"4","type":"d"}', "d"), ('{"id":"5","type":"café"}'.encode(), "café"),
            ]
            for body, _ in bodies:
                assert send(gateway, "/in/spelled", body)[0] == 202
            rows = gateway.api("/api/events?source=spelled")["events"]
            assert sorted(row["type"] for row in rows) == sorted(kind for _, kind in bodies), rows
        with report.case("Slack's interactions and commands have types, and an answer without a body"):
            for body, kind in [
                (b"payload=" + quote('{"type":"view_submission"}').encode(), "view_submission"),
                (b"command=" + quote("/deploy").encode() + b"&text=x", "/deploy"),
            ]:
                now = str(int(time.time()))
                signed = "v0=" + hexadecimal(b"v0:" + now.encode() + b":" + body)
                head = {"Content-Type": FORM, "X-Slack-Request-Timestamp": now, "X-Slack-Signature": signed}
                status, lines, answer = send(gateway, "/in/slack", body, head)
                assert (status, answer) == (200, b"") and lines["content-length"] == "0", (status, lines, answer)
                rows = gateway.api("/api/events?source=slack")["events"]
                assert kind in [row["type"] for row in rows], rows


# answers


HANDSHAKES = [
    {"on": "head"},
    {"on": "post", "echo": "query:validationToken", "body": "{echo}"},
    {"on": "post", "echo": "header:X-Hook-Secret", "headers": ["X-Hook-Secret: {echo}"]},
    {
        "on": "post", "when": ["header:aeg-event-type=SubscriptionValidation"],
        "echo": "json:$[0].data.validationCode", "body": '{"validationResponse":"{echo}"}',
    },
    {"on": "get", "echo": "header:X-Okta-Verification-Challenge", "body": '{"verification":"{echo}"}'},
    {"on": "post", "when": "header:X-Event-Key=diagnostics:ping"},
]


def answers(report):
    generic = {
        "provider": "generic", "secrets": [KEY], "scheme": {"header": "X-Signature"}, "handshakes": HANDSHAKES,
    }
    sources = [
        {"name": "own", **generic},
        {"name": "empty", **generic, "answer": {"status": 200, "body": ""}},
        {"name": "text", **generic, "answer": {"status": 201, "type": "text/plain", "body": "ok"}},
        {"name": "status", **generic, "answer": {"status": 200}},
        source("servicenow", secrets=["u:p"]), source("cloudevents"),
    ]
    with Gateway(sources) as gateway:
        signed = {"X-Signature": hexadecimal(b"{}")}
        with report.case("a source has an answer of its own"):
            status, lines, body = send(gateway, "/in/empty", b"{}", signed)
            assert (status, body, "content-type" in lines) == (200, b"", False), (status, lines, body)
            status, lines, body = send(gateway, "/in/text", b"{}", signed)
            assert (status, body, lines["content-type"]) == (201, b"ok", "text/plain"), (status, lines, body)
            status, lines, body = send(gateway, "/in/status", b"{}", signed)
            assert status == 200 and json.loads(body)["status"] == "accepted", (status, body)
        with report.case("challenges by rule are answered and not kept"):
            before = len(log_records(gateway.data))
            assert send(gateway, "/in/own", method="HEAD")[0] == 200
            status, lines, body = send(gateway, "/in/own?validationToken=a%20%3Cb%3E")
            assert (status, body, lines["content-type"]) == (200, b"a <b>", "text/plain"), (status, lines, body)
            status, lines, body = send(gateway, "/in/own", b"", {"X-Hook-Secret": "abc123"})
            assert (status, lines.get("x-hook-secret"), body) == (200, "abc123", b""), (status, lines, body)
            grid = b'[{"data":{"validationCode":"512d"}}]'
            status, _, body = send(gateway, "/in/own", grid, {"aeg-event-type": "SubscriptionValidation"})
            assert (status, json.loads(body)) == (200, {"validationResponse": "512d"}), (status, body)
            status, _, body = send(gateway, "/in/own", headers={"X-Okta-Verification-Challenge": "x1"}, method="GET")
            assert (status, json.loads(body)) == (200, {"verification": "x1"}), (status, body)
            assert send(gateway, "/in/own", b"{}", {"X-Event-Key": "diagnostics:ping"})[0] == 200
            assert len(log_records(gateway.data)) == before
        with report.case("what is no challenge is checked like any other"):
            assert send(gateway, "/in/own", b"{}")[0] == 401
            assert send(gateway, "/in/own", grid, {"aeg-event-type": "Notification"})[0] == 401
            assert send(gateway, "/in/own", b"{}", signed)[0] == 202
            assert send(gateway, "/in/own", b"{}", {"X-Signature": hexadecimal(b"{}").upper()})[0] == 202
        with report.case("a 401 asks for Basic or Bearer where the source takes it"):
            for name, wanted in [("servicenow", "Basic realm="), ("cloudevents", "Bearer realm=")]:
                status, lines, _ = send(gateway, "/in/" + name, b"x")
                assert status == 401 and lines["www-authenticate"].startswith(wanted), (status, lines)
            assert "www-authenticate" not in send(gateway, "/in/own", b"x")[1]


# the port


def expecting(gateway, line, fields="", length=9):
    head = f"{line} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n{fields}\r\n"
    return exchange(gateway, head.encode())[0]


def port(report):
    sources = [
        source("github", path=["/in/github", "/old/github"]), open_source("open", body="64KiB"),
        open_source("tree", path="/hooks/*"), open_source("leaf", path="/hooks/a/leaf"),
        open_source("branch", path=["/hooks/a/*"]),
    ]
    with Gateway(sources, health_path="/health", limits={"fields": 20}) as gateway:
        with report.case("100 is said only where the body can matter"):
            assert expecting(gateway, "POST /nope") == 404
            assert expecting(gateway, "DELETE /in/open") == 405
            assert expecting(gateway, "POST /in/github") == 401
            assert expecting(gateway, "POST /in/open", length=1 << 20) == 413
            assert expecting(gateway, "POST /in/open") == 100
            assert expecting(gateway, "POST /in/github", "X-Hub-Signature-256: sha256=00\r\n") == 100
        with report.case("the target of an absolute form says whom it is for"):
            data = b"POST http://A.example/in/open HTTP/1.1\r\nHost: a.example:80\r\nContent-Length: 2\r\n\r\n{}"
            assert exchange(gateway, data)[0] == 202
        with report.case("several paths, and prefixes of which the longest counts"):
            for target, name in [
                ("/hooks/x/y?z=1", "tree"), ("/hooks/", "tree"), ("/hooks/a/leaf", "leaf"), ("/hooks/a/b", "branch"),
                ("/hooks", None), ("/hooksx", None), ("/old/open", None),
            ]:
                status, _, _ = send(gateway, target, target.encode())
                assert status == (202 if name else 404), (target, status)
                if name:
                    rows = gateway.api(f"/api/events?source={name}")["events"]
                    details = [gateway.api("/api/events/" + row["id"]) for row in rows]
                    assert target in [detail["target"] for detail in details], (target, details)
            signed = {"X-Hub-Signature-256": "sha256=" + hexadecimal(b"{}")}
            assert send(gateway, "/old/github", b"{}", signed)[0] == 202
        with report.case("the health path answers and keeps nothing"):
            status, _, body = send(gateway, "/health", method="GET")
            assert (status, json.loads(body)) == (200, {"status": "up"}), (status, body)
            assert send(gateway, "/health", method="HEAD")[0] == 200
            assert send(gateway, "/health", b"x")[0] == 405
        with report.case("more fields than are taken get 431"):
            many = {f"X-{number}": "v" for number in range(30)}
            assert send(gateway, "/in/open", b"{}", many)[0] == 431
        with report.case("a body that is too large is counted and listed by its source"):
            assert send(gateway, "/in/open", b"x" * (65 << 10))[0] == 413
            wait_until(
                lambda: gateway.api("/api/rejected?source=open&reason=body_too_large")["rejected"], 10, "it is listed"
            )
            counted = [v for k, v in gateway.metrics().items() if 'reason="body_too_large"' in k and "open" in k]
            assert sum(counted) >= 1, counted
            done = gateway.api("/api/rejected/reverify", {"dryRun": False})
            assert done["accepted"] == 0, done
            assert request(gateway.port, "/in/github", b"x" * (2 << 20), {"X-Hub-Signature-256": "sha256=00"},
                           method="POST")[0] == 401, "GitHub's own limit is larger than the gateway's"


def main():
    arguments(__doc__)
    report = Report("senders")
    several(report)
    identity(report)
    reading(report)
    answers(report)
    port(report)
    report.finish()


if __name__ == "__main__":
    main()
