#!/usr/bin/env python3
"""Requests made from the served OpenAPI document, right ones and wrong ones, by schemathesis: no server error, no
answer that the document does not have, no wrong request that is taken; with the platform's key, and with a tenant's.

Half of the ids in paths are of what there is, so that calls get as far as they can. The routine run is bounded; the
full one makes 10,000 requests and more with each key. Without schemathesis it is skipped by name."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile

import supportpath  # noqa: F401  (puts the shared modules on the path)
from receiver import Receiver
from report import Report, Skip, arguments, one_line, wait_until
from serverutil import Gateway, endpoint, github_headers, github_source, open_source, platform_key, request

FULL_REQUESTS = 10_000
# Not asked: whether all that the document's schemas allow is taken (they do not say every rule: names in use, forms of
# URLs); and what strangers are told, because their tries are few a minute (access.py asks that of every route).
UNASKED = ("positive_data_acceptance", "ignored_auth")
# Refused in these ways too.
REFUSED = [400, 401, 403, 404, 405, 406, 409, 413, 415, 421, 422, 429, 501, 503]
# It is not to be had, and says so, as its SDKs expect.
UNIMPLEMENTED = {"v1.authentication.logout": 501}


class Bench:
    """A gateway in which there is something of everything, of the tenant `acme`."""

    def __init__(self, receiver):
        self.receiver = receiver
        sources = [open_source("in", tenant="acme"), github_source(tenant="acme")]
        hooks = [endpoint("hook", receiver.url, tenant="acme"), endpoint("own", receiver.url)]
        self.gateway = Gateway(sources, hooks)

    def call(self, method, path, body=None, headers=None, wanted=(200, 201, 202, 204)):
        fields = {"X-Sluice-Request": "1", "Content-Type": "application/json", **(headers or {})}
        data = None if body is None else json.dumps(body)
        status, _, said = request(self.gateway.admin_port, "/api/v1" + path, data, fields, method)
        assert status in wanted, f"{method} {path}: {status} {one_line(said)}"
        return json.loads(said) if said else None

    def fill(self):
        acme, url = {"X-Tenant-Id": "acme"}, self.receiver.url
        self.key = self.call("POST", "/keys", {"tenant_id": "acme", "role": "admin"})["token"]
        spare = self.call("POST", "/keys", {"tenant_id": "acme", "role": "viewer"})["key_id"]
        tenant = self.call("GET", "/tenants/acme")["id"]
        made = {"name": "made", "tenant": "acme", "url": url}
        own = self.call("POST", "/endpoints", made)["id"]
        assert self.gateway.post("/in/acme/in", '{"a":1}')[0] == 202
        body = b'{"refused":1}'
        assert self.gateway.post("/in/acme/github", body, github_headers(body, "wrong"))[0] == 401
        self.call("POST", "/event-type", {"name": "invoice.paid", "description": "Paid."})
        outbound = self.call("POST", f"/app/{tenant}/endpoint", {"url": url})["id"]
        message = {"eventType": "invoice.paid", "payload": {"n": 1}}
        message = self.call("POST", f"/app/{tenant}/msg", message)["id"]
        webhook = {"url": url, "events": ["*"], "description": "w"}
        webhook = self.call("POST", "/webhooks", webhook, acme)["webhook_id"]
        ears = self.call("POST", "/operational_webhooks", {"url": url, "enabled": False}, acme)["id"]
        event = self.call("GET", "/events?source=in", headers=acme)["items"][0]["id"]

        def listed(path):
            return self.call("GET", path, headers=acme)["items"]

        rejected = wait_until(lambda: listed("/rejected"), 15, "a refused request")[0]["id"]
        source = listed("/sources")[0]["id"]
        return {
            "app": tenant, "tenants": tenant, "endpoints": own, "sources": source, "keys": spare, "events": event,
            "event": event, "rejected": rejected, "webhook_id": webhook, "operational_webhooks": ears, "msg": message,
            "endpoint": outbound, "deliveries endpoint": own, "name": "invoice.paid",
        }


def known(path, parameter, ids):
    """An id of what there is, for a parameter of a path; nil when there is none."""
    kind = re.search(r"/(?:api(?:/v1)?|v1)/([a-z_-]+)", path)[1]
    if path.startswith("/v1/"):
        return None
    if parameter == "id":
        return ids.get(kind)
    return ids.get(f"{kind} {parameter}") or ids.get(parameter)


def configuration(document, ids):
    """What schemathesis reads: `schemathesis.toml`."""
    refused = "[" + ", ".join(f'"{status}"' for status in REFUSED) + "]"
    lines = ["max-stream-events = 1", "request-timeout = 10", ""]
    words = {}
    operations = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            bound = []
            for parameter in operation["parameters"]:
                word = known(path, parameter["name"], ids) if parameter["in"] == "path" else None
                # What is removed is gone for the others.
                if word and method != "delete":
                    name = words.setdefault(word, f"known-{len(words)}")
                    bound.append(f'"path.{parameter["name"]}" = {{ dictionary = "{name}", probability = 0.5 }}')
            status = UNIMPLEMENTED.get(operation["operationId"])
            # The contract looks at the envelope before it asks who calls: 400, not 401.
            enveloped = path.startswith("/v1/")
            if bound or status or enveloped:
                operations += ["[[operations]]", f'include-operation-id = "{operation["operationId"]}"']
                operations += ["parameters = { " + ", ".join(bound) + " }"] if bound else []
                if enveloped:
                    operations.append("checks.missing_required_header.enabled = false")
                if status:
                    taken = f'["2xx", "3xx", "4xx", "{status}"]'
                    operations.append(f"checks.not_a_server_error.expected-statuses = {taken}")
    lines += ["[dictionaries]"] + [f'{name} = {{ values = ["{word}"] }}' for word, name in words.items()]
    lines += ["[checks]"] + [f"{check}.enabled = false" for check in UNASKED]
    lines += [f"negative_data_rejection.expected-statuses = {refused}"]
    return "\n".join(lines + operations) + "\n"


def failures(text):
    """What schemathesis said of each finding: a line each."""
    found = []
    for block in re.split(r"\n(?=_{3,} .* _{3,}\n)", text)[1:]:
        name = re.match(r"_+ (.*?) _+\n", block)[1]
        for finding in re.findall(r"\n- (ST\d+ .*?)(?=\nReproduce with|\n- ST|\Z)", block, re.S):
            found.append(f"{name}: {one_line(finding, 400)}")
    return found


def ask(bench, key, ids, options, folder):
    """How many requests were made; AssertionError with what was found."""
    document = bench.call("GET", "/openapi.json")
    paths = {name: os.path.join(folder, name) for name in ("openapi.json", "schemathesis.toml")}
    for name, text in (
        ("openapi.json", json.dumps(document)), ("schemathesis.toml", configuration(document, ids)),
    ):
        with open(paths[name], "w") as file:
            file.write(text)
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", paths["schemathesis.toml"], "--no-color", "run",
        paths["openapi.json"], "--url", f"http://127.0.0.1:{bench.gateway.admin_port}",
        "--header", f"Authorization: Bearer {key}", "--continue-on-failure", "--warnings", "off", *options,
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=3600, errors="replace")
    found = failures(done.stdout)
    count = re.search(r"(\d+) generated", done.stdout)
    assert count, f"status {done.returncode}: {one_line(done.stdout[-400:] + done.stderr[-400:], 800)}"
    assert not found and done.returncode == 0, f"{len(found)} findings:\n    " + "\n    ".join(
        found[:20] or [one_line(done.stdout[-600:], 600)])
    return int(count[1])


def round(report, bench, name, key, ids, phases, examples, seed):
    with report.case(f"{name}: no server error, no undocumented answer, nothing wrong is taken") as notes:
        if importlib.util.find_spec("schemathesis") is None:
            raise Skip("schemathesis is not installed")
        options = ["--phases", phases, "--max-examples", str(examples), "--seed", str(seed)]
        with tempfile.TemporaryDirectory(prefix="sluice-openapi-") as folder:
            count = ask(bench, key, ids, options, folder)
        token = {"Authorization": f"Bearer {key}"}
        status, _, _ = request(bench.gateway.admin_port, "/api/v1/tenants", headers=token)
        assert status == 200, f"the key opens no more: {status}"
        said = [line for line in bench.gateway.output().splitlines() if "control API failed" in line]
        assert not said, said[:3]
        notes.append(f"{count} requests")
    return count if notes else 0


def tag(report, bench):
    with report.case("the document has a tag, and whoever shows it is not sent the document again"):
        port, path = bench.gateway.admin_port, "/api/v1/openapi.json"
        status, fields, whole = request(port, path)
        assert status == 200 and json.loads(whole)["openapi"] == "3.1.0" and fields["etag"].startswith('"'), fields
        assert "no-cache" in fields["cache-control"] and request(port, path)[1]["etag"] == fields["etag"]
        for known in (fields["etag"], f'"x", W/{fields["etag"]}'):
            status, again, body = request(port, path, headers={"If-None-Match": known})
            assert (status, body, again["etag"]) == (304, b"", fields["etag"]), (status, again)
        assert request(port, path, headers={"If-None-Match": '"x"'})[0] == 200


def main():
    full = os.environ.get("SLUICE_ROUNDS") == "full"
    options = arguments(__doc__, examples=0, seed=1, full=full)
    report = Report("openapi")
    with Receiver() as receiver:
        bench = Bench(receiver)
        with bench.gateway:
            ids = bench.fill()
            tag(report, bench)
            platform = platform_key(bench.gateway.admin_port)
            everything = "coverage,fuzzing,stateful"
            plans = [("the platform's key", platform, everything), ("a tenant's key", bench.key, everything)]
            if not options.full:
                # The first looks at every rule of the document, the second a little further.
                plans = [("the platform's key", platform, "coverage"), ("a tenant's key", bench.key, "fuzzing")]
            for name, key, phases in plans:
                examples = options.examples or (60 if options.full else 2)
                count = round(report, bench, name, key, ids, phases, examples, options.seed)
                if options.full and count:
                    with report.case(f"{name}: those were enough"):
                        assert count >= FULL_REQUESTS, count
    report.finish()


if __name__ == "__main__":
    main()
