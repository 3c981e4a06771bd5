#!/usr/bin/env python3
"""Signatures towards endpoints: each form is delivered to a source of the same gateway whose scheme says the same, so
that the one half proves the other; a receiver sees the very bytes; secrets rotate; bad settings are refused."""

import base64
import hashlib
import hmac
import json

import supportpath  # noqa: F401  (puts the shared modules on the path)
from receiver import Receiver
from report import Report, arguments, wait_until
from serverutil import Gateway, endpoint, open_source, request, sluice

SECRET, OLD = "signing secret of the receiver", "the secret before"
KEY = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()

# Name: what the endpoint says, and the scheme by which a source verifies it.
FORMS = {
    "sha256": ("sha256", {"header": "X-Webhook-Signature", "prefix": "sha256=", "signed": "{body}"}),
    "github": ("github", {"header": "X-Hub-Signature-256", "prefix": "sha256=", "signed": "{body}"}),
    "stripe": (
        {"form": "stripe", "header": "X-Stripe-Like"},
        {
            "header": "X-Stripe-Like",
            "list": "comma",
            "list_key": "v1",
            "signed": "{timestamp}.{body}",
            "timestamp": {"list_key": "t", "unit": "seconds", "tolerance": "5m"},
        },
    ),
    "own": (
        {
            "form": "sha256",
            "header": "X-Signature",
            "signed": "v0:{timestamp}:{body}",
            "encoding": "base64",
            "prefix": "v0=",
            "timestamp_header": "X-Timestamp",
            "list": "comma",
        },
        {
            "header": "X-Signature",
            "encoding": "base64",
            "list": "comma",
            "list_key": "v0",
            "signed": "v0:{timestamp}:{body}",
            "timestamp": {"header": "X-Timestamp", "unit": "seconds", "tolerance": "5m"},
        },
    ),
}


def scheme(name):
    return {"algorithm": "hmac-sha256", "encoding": "hex", **FORMS[name][1]}


def events(gateway, source, outcome):
    return gateway.metric_sum("sluice_events_total", source=source, outcome=outcome)


def verified_by_a_source(gateway, name):
    """What the endpoint signs is genuine to a source of that scheme, and of the older secret too where all sign."""
    before = events(gateway, f"check-{name}", "accepted")
    status = request(gateway.port, f"/in/to-{name}", json.dumps({"form": name}), {}, "POST")[0]
    assert status == 202, status
    wait_until(
        lambda: events(gateway, f"check-{name}", "accepted") == before + 1, 10, f"{name} did not verify at its source")
    assert events(gateway, f"check-{name}", "rejected") == 0


def only_the_first_where_one_is_taken(gateway, name, genuine):
    """A source that has the older secret alone takes what several secrets sign, and not what the first signs alone."""
    outcome = "accepted" if genuine else "rejected"
    wait_until(lambda: events(gateway, f"old-{name}", outcome) >= 1, 10, f"old-{name}: nothing was {outcome}")


def seen(gateway, receiver):
    """The bytes as a receiver sees them, computed apart; our id stays, and no field of Standard Webhooks beside."""
    body = b'{ "z":1.0e+2, "a" : [1,2 ,3]}'
    head = {"X-Hub-Signature-256": "sha256=" + "0" * 64, "X-Other": "kept"}
    assert request(gateway.port, "/in/seen", body, head, "POST")[0] == 202
    wait_until(lambda: receiver.snapshot(), 10, "no delivery came")
    one = receiver.snapshot()[0]
    fields = {name.lower(): value for name, value in one.headers.items()}
    assert one.body == body, one.body
    wanted = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert fields["x-hub-signature-256"] == wanted, fields
    assert fields["x-other"] == "kept" and fields["webhook-id"].startswith("evt_"), fields
    assert "webhook-signature" not in fields and "webhook-timestamp" not in fields, fields


def by_the_api(gateway):
    """Made, shown without secrets, changed and taken away by the API; mistakes are refused at their place."""
    head = {"X-Sluice-Request": "1", "Content-Type": "application/json"}

    def call(method, path, value, wanted):
        status, _, text = request(gateway.admin_port, "/api/v1/endpoints" + path, json.dumps(value), head, method)
        assert status == wanted, f"{method} {path}: {status} {text[:300]!r}"
        return json.loads(text)

    draft = {"name": "made", "url": "http://127.0.0.1:9/", "secrets": [SECRET], "signature": {"form": "github"}}
    made = call("POST", "", draft, 201)
    assert made["signature"] == {"form": "github"} and SECRET not in json.dumps(made), made
    place = f"/{made['id']}"
    made = call("PATCH", place, {"signature": {"header": "X-S", "list": "comma"}}, 200)
    assert made["signature"] == {"form": "github", "header": "X-S", "list": "comma"}, made
    for value, path, words in (
        ({"form": "hub"}, "signature.form", "must be one of"),
        ({"form": "sha256", "signed": "{id}"}, "signature.signed", "{body}"),
        ({"form": "sha256", "header": "Host"}, "signature.header", "writes itself"),
        ({"form": "sha256", "secret_encoding": "hex"}, "secret", "hexadecimal"),
    ):
        problem = call("PATCH", place, {"signature": {"header": None, "list": None, **value}}, 422)
        found = [error for error in problem["errors"] if path in error["path"]]
        assert found and words in found[0]["reason"] and SECRET not in json.dumps(problem), (value, problem)
    # Without a form the secret has to be one of Standard Webhooks.
    call("PATCH", place, {"signature": None}, 422)
    made = call("PATCH", place, {"signature": None, "secrets": [KEY]}, 200)
    assert "signature" not in made, made


def bad_manifest(gateway):
    path = gateway.config_path + ".bad"
    for value, words in (
        ("strippe", "did you mean `stripe`?"),
        ("{ form: sha256, sined: x }", "did you mean `signed`?"),
        ("{ form: sha256, signed: '{timestamp}.{body}' }", "timestamp_header"),
    ):
        with open(path, "w", encoding="utf-8") as file:
            file.write(
                "sources: [{ name: a, provider: generic, unverified: true }]\n"
                f"endpoints: [{{ name: e, url: 'http://h.example/', secret: s, signature: {value} }}]\n")
        said = sluice("config", "check", path)
        assert said.returncode != 0 and words in said.stdout + said.stderr, (value, said.stdout, said.stderr)


def main():
    arguments(__doc__)
    report = Report("signing")
    receiver = Receiver()
    sources, endpoints = [open_source("seen")], []
    gateway = Gateway([], [])
    base = f"http://127.0.0.1:{gateway.port}/in"
    for name, (signature, _) in FORMS.items():
        sources += [
            open_source(f"to-{name}"),
            {"name": f"check-{name}", "provider": "generic", "secrets": [SECRET], "scheme": scheme(name)},
            {"name": f"old-{name}", "provider": "generic", "secrets": [OLD], "scheme": scheme(name)},
        ]
        for place in ("check", "old"):
            endpoints.append(endpoint(
                f"{place}-{name}", f"{base}/{place}-{name}", sources=[f"to-{name}"], secret=[SECRET, OLD],
                signature=signature, retry={"delays": []}))
    endpoints.append(endpoint("seen", receiver.url, sources=["seen"], secret=[SECRET, OLD], signature="github"))
    gateway.sources, gateway.endpoints = sources, endpoints
    with receiver, gateway:
        for name in FORMS:
            with report.case(f"verified by a source of the same scheme: {name}"):
                verified_by_a_source(gateway, name)
        for name, genuine in (("sha256", False), ("github", False), ("stripe", True), ("own", True)):
            with report.case(f"while a secret rotates: {name}"):
                only_the_first_where_one_is_taken(gateway, name, genuine)
        with report.case("what a receiver sees"):
            seen(gateway, receiver)
        with report.case("by the API"):
            by_the_api(gateway)
        with report.case("mistakes in the file"):
            bad_manifest(gateway)
    report.finish()


if __name__ == "__main__":
    main()
