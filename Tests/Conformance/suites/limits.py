#!/usr/bin/env python3
"""Limits on ingest through the ports of the real process: what is answered and kept, how loops and listeners share a
limit, what a reload and a forger do to it, tenants by the file and by the API, published events, bad settings.

No case asserts how fast something is: windows of an hour are used up and stay so, and a bucket is asked with the bounds
of the time that was really taken."""

import concurrent.futures
import hashlib
import hmac
import http.client
import json
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
from report import Report, arguments
from serverutil import Gateway, free_port, open_source, request, sluice
from storeutil import log_records

SECRET = "limit-secret-0123456789"
SCHEME = {"algorithm": "hmac-sha256", "header": "X-Signature", "encoding": "hex", "signed": "{body}"}


def signed(name, **more):
    return {"name": name, "provider": "generic", "secrets": [SECRET], "scheme": SCHEME, **more}


def mac(body):
    return hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


def send(gateway, source, body, signature=None, port=None):
    fields = {"X-Signature": signature} if signature else {}
    return request(port or gateway.port, f"/in/{source}", body, fields, "POST")


def statuses(gateway, source, count, start=0, **more):
    return [send(gateway, source, f"{source} {start + n}".encode(), **more)[0] for n in range(count)]


def refused(answer, limit):
    status, head, body = answer
    assert status == 429, (status, body)
    assert json.loads(body) == {"status": "rejected", "reason": "rate_limited"}, body
    assert head["retry-after"].isdigit() and int(head["retry-after"]) >= 1, head
    assert head["ratelimit-limit"] == str(limit) and head["ratelimit-remaining"] == "0", head
    assert int(head["ratelimit-reset"]) >= int(head["retry-after"]) - 1, head
    return head


def window(gateway):
    """Five an hour: five are kept, the sixth is told when to come again."""
    for left in range(4, -1, -1):
        status, head, _ = send(gateway, "hour", f"hour {left}".encode())
        assert status == 202 and head["ratelimit-limit"] == "5", (status, head)
        assert head["ratelimit-remaining"] == str(left), (left, head)
    head = refused(send(gateway, "hour", b"one more"), 5)
    assert 3500 <= int(head["retry-after"]) <= 3629, head
    assert statuses(gateway, "free", 20) == [202] * 20
    assert "ratelimit-limit" not in send(gateway, "free", b"x")[1]


def bucket(gateway):
    """As many at once as it has, and in the long run no more than come back."""
    begun = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    kept = total = 0
    while time.monotonic() - begun < 3:
        connection.request("POST", "/in/bucket", f"bucket {total}".encode())
        answer = connection.getresponse()
        answer.read()
        kept += answer.status == 202
        assert answer.status in (202, 429), answer.status
        total += 1
    taken = time.monotonic() - begun
    connection.close()
    assert total > 300, f"only {total} were sent: the case says nothing"
    # 100 and 10 a second; and one for each end of the time that was taken.
    assert 100 + 10 * 2.8 <= kept <= 100 + 10 * taken + 1, f"{kept} of {total} in {taken:.2f} s"


def loops_and_listeners_share(gateway, other):
    """Many connections on two listeners and two loops get together what one would."""
    def one(number):
        return send(gateway, "shared", f"shared {number}".encode(), port=(gateway.port, other)[number % 2])[0]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(one, range(200)))
    assert answers.count(202) == 50 and answers.count(429) == 150, answers
    assert gateway.metric_sum("sluice_rate_limited_total", source="shared", scope="source") == 150
    assert gateway.metric_sum("sluice_events_total", source="shared", outcome="rate_limited") == 150


def forger(gateway):
    """Whoever has no key uses up nothing; with nothing left nobody's signature is computed."""
    for n in range(60):
        status = send(gateway, "signed", b"forged %d" % n, "0" * 64)[0]
        assert status == 401, (n, status)
    answers = [send(gateway, "signed", body, mac(body))[0] for body in (b"real %d" % n for n in range(12))]
    assert answers == [202] * 10 + [429] * 2, answers
    refused(send(gateway, "signed", b"forged", "0" * 64), 10)
    assert gateway.metric_sum("sluice_rejections_total", source="signed") == 60


def reload_keeps(gateway):
    """What is used stays used while a limit stays as it is, whatever else changes; another limit begins anew."""
    sources = [one for one in gateway.sources if one["name"] != "free"] + [open_source("free", body="2KiB")]
    gateway.sources = [{**one, "body": "3KiB"} if one["name"] == "hour" else one for one in sources]
    gateway.write_configuration()
    gateway.reload()
    refused(send(gateway, "hour", b"after the reload"), 5)
    gateway.sources = [
        {**one, "rate_limit": {"per_hour": 6}} if one["name"] == "hour" else one for one in gateway.sources]
    gateway.write_configuration()
    gateway.reload()
    assert statuses(gateway, "hour", 7, 100) == [202] * 6 + [429]


def call(gateway, method, path, value=None, wanted=200, **fields):
    head = {"X-Sluice-Request": "1", "Content-Type": "application/json", **fields}
    body = None if value is None else json.dumps(value)
    status, answered, text = request(gateway.admin_port, "/api/v1" + path, body, head, method)
    assert status == wanted, f"{method} {path}: {status} {text[:300]!r}"
    return answered, json.loads(text) if text else None


def tenants_by_the_file(gateway):
    """A tenant's sources share its limit; everyone's is each tenant's own; who is exempt has none."""
    answers = statuses(gateway, "acme/a", 2) + statuses(gateway, "acme/b", 2)
    assert answers == [202, 202, 202, 429], answers
    assert gateway.metric_sum("sluice_rate_limited_total", source="acme/b", scope="tenant") == 1
    assert statuses(gateway, "other/a", 5) == [202] * 4 + [429]
    assert statuses(gateway, "free/a", 20) == [202] * 20
    shown = {one["name"]: one.get("rate_limit") for one in call(gateway, "GET", "/tenants")[1]["items"]}
    assert shown["acme"] == {"per_hour": 3} and shown["other"] == {"per_hour": 4}, shown
    assert shown["free"] is None, shown


def tenants_by_the_api(gateway):
    """A limit of the API counts for what the tenant publishes, on both ports together."""
    limit = {"capacity": 2, "per_second": 1, "per_hour": 3}
    made = call(gateway, "POST", "/tenants", {"name": "made", "rate_limit": limit}, 201)[1]
    assert made["rate_limit"] == limit, made
    made = call(gateway, "PATCH", "/tenants/made", {"rate_limit": {"per_hour": 3}})[1]
    assert made["rate_limit"] == {"per_hour": 3} and made["revision"] == 2, made
    order = {"tenant_id": made["tenant_id"], "role": "publisher"}
    token = call(gateway, "POST", "/keys", order, 201)[1]["token"]
    bearer = {"Authorization": f"Bearer {token}", "X-Sluice-Request": "1", "Content-Type": "application/json"}

    def publish(port, name):
        body = json.dumps({"type": "a", "payload": {"n": name}})
        return request(port, "/api/v1/events", body, bearer, "POST")

    ports = (gateway.admin_port, gateway.port)
    assert [publish(ports[n % 2], n)[0] for n in range(3)] == [202] * 3
    status, head, body = publish(gateway.admin_port, 4)
    assert status == 429 and json.loads(body)["code"] == "rate_limited", (status, body)
    assert 3500 <= int(head["retry-after"]) <= 3629, head
    # The first of the caller goes over a worker, the next by the loop alone.
    for _ in range(3):
        status, head, body = publish(gateway.port, 5)
        assert status == 429 and json.loads(body)["code"] == "rate_limited", (status, body)
        assert head["ratelimit-limit"] == "3" and int(head["retry-after"]) >= 3500, head
    made = call(gateway, "PATCH", "/tenants/made", {"rate_limit": None})[1]
    assert made["rate_limit"] == {"per_hour": 4}, made
    assert [publish(ports[n % 2], 10 + n)[0] for n in range(5)] == [202] * 4 + [429]
    detail = call(gateway, "GET", "/audit")[1]["items"][0]["detail"]
    assert detail == "rate_limit: per_hour 3 → none", detail


def bad_settings(gateway):
    """Refused with place and reason, by the file and by the API; what runs goes on."""
    for value, path, words in (
        ({}, "rate_limit", "limits nothing by itself"),
        ({"capacity": 5}, "rate_limit.capacity", "per_second"),
        ({"per_minute": 9, "per_hour": 8}, "rate_limit.per_hour", "less than `per_minute`"),
        ({"per_second": 0}, "rate_limit.per_second", "1"),
        ({"per_day": 5}, "rate_limit.per_day", "unknown key"),
        ("token-bucket", "rate_limit", "object"),
    ):
        problem = call(gateway, "POST", "/tenants", {"name": "bad", "rate_limit": value}, 422)[1]
        found = [error for error in problem["errors"] if error["path"].endswith(path)]
        assert found and words in found[0]["reason"], (value, problem)
    call(gateway, "GET", "/tenants/bad", wanted=404)
    text = open(gateway.config_path, encoding="utf-8").read()
    for value, words in (
        ("token-buket", "did you mean `token-bucket`?"),
        ("{ per_second: fast }", "is not a whole number"),
        ("{ capacity: 4 }", "limits nothing by itself"),
        ("{ per_minute: 5, per_our: 9 }", "did you mean `per_hour`?"),
    ):
        path = gateway.config_path + ".bad"
        with open(path, "w", encoding="utf-8") as file:
            file.write("sources: [{ name: a, provider: generic, unverified: true, rate_limit: %s }]\n" % value)
        said = sluice("config", "check", path)
        assert said.returncode != 0 and words in said.stdout + said.stderr, (value, said.stdout, said.stderr)
    assert open(gateway.config_path, encoding="utf-8").read() == text


def main():
    arguments(__doc__)
    report = Report("limits")
    other = free_port()
    sources = [
        open_source("free"),
        open_source("hour", rate_limit={"per_hour": 5}),
        open_source("bucket", rate_limit="token-bucket"),
        open_source("shared", rate_limit={"per_hour": 50, "capacity": 1000, "per_second": 1000}),
        signed("signed", rate_limit={"per_hour": 10}),
    ]
    with Gateway(sources, listen=[f"127.0.0.1:{other}"], loops=2) as gateway:
        for case in (window, bucket, forger):
            with report.case(case.__name__):
                case(gateway)
        with report.case("loops_and_listeners_share"):
            loops_and_listeners_share(gateway, other)
        with report.case("reload_keeps"):
            reload_keeps(gateway)
        with report.case("what was refused is not in the log"):
            kept = [record for record in log_records(gateway.data) if '"shared"' in json.dumps(record)]
            assert len(kept) == 50, len(kept)
    sources = [open_source("a", tenant=name) for name in ("acme", "other", "free")] + [open_source("b", tenant="acme")]
    tenants = [
        {"name": "acme", "rate_limit": {"per_hour": 3}},
        {"name": "free"},
        {"name": "*", "rate_limit": {"per_hour": 4}},
    ]
    with Gateway(sources, tenants=tenants, publish=True) as gateway:
        for case in (tenants_by_the_file, tenants_by_the_api, bad_settings):
            with report.case(case.__name__):
                case(gateway)
    report.finish()


if __name__ == "__main__":
    main()
