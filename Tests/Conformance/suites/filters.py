#!/usr/bin/env python3
"""Filters of endpoints, from outside: what they let through, by manifest and by the API; what is refused when one is
saved; trials on one event and over the log; what replays make of them; metrics; and that they outlive a restart."""

import datetime
import json
import os
import subprocess
import tempfile

import supportpath  # noqa: F401  (puts the shared modules on the path)
from receiver import Receiver
from report import Report, arguments, one_line, wait_until
from serverutil import BINARY, Gateway, endpoint, open_source, platform_key, request, sluice

LARGE = {"body": {"$.data.amount": {"$gte": 1000}}}
MANY = {
    "headers": {"X-Region": {"$in": ["eu", "uk"]}},
    "body": {
        "data": {"user_id": {"$startsWith": "u_"}, "currency": "EUR"},
        "$.data.items[*].sku": {"$regex": "^A-[0-9]+$"},
    },
}


def call(gateway, method, path, body=None, token=None):
    fields = {"X-Sluice-Request": "1", "Authorization": f"Bearer {token or platform_key(gateway.admin_port)}"}
    data = None if body is None else json.dumps(body)
    status, _, text = request(gateway.admin_port, path, data, fields, method)
    return status, json.loads(text) if text else None


def answered(gateway, method, path, body=None, wanted=(200, 201)):
    status, value = call(gateway, method, path, body)
    assert status in wanted, f"{method} {path}: {status} {one_line(json.dumps(value))}"
    return value


def order(amount, **more):
    return json.dumps({"data": {"amount": amount, **more}})


def send(gateway, body, headers=None, source="in"):
    status, _, text = gateway.post(f"/in/{source}", body, headers)
    assert status == 202, f"{status} {text}"
    return json.loads(text)["id"]


def bodies(receiver, path):
    return [one.body.decode() for one in receiver.snapshot() if one.path == "/hooks/" + path]


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def spelled(time):
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def delivery(report):
    with report.case("by the manifest: what a filter keeps away is passed over and counted; others get everything"):
        with Receiver() as receiver:
            hooks = [endpoint("all", receiver.url + "/all"), endpoint("large", receiver.url + "/large", filter=LARGE)]
            hooks.append(endpoint("text", receiver.url + "/text", filter=json.dumps(LARGE)))
            with Gateway([open_source("in")], hooks) as gateway:
                sent = [order(value) for value in (1, 999.99, 1000, 1e3, 12345678901234567890)]
                sent += ['{"data":{"amount":1000.00}}', '{"data":{"amount":"1000"}}', "amount=1000"]
                sent.append('{"data":{"amount":2000')
                for body in sent:
                    send(gateway, body)
                wait_until(lambda: len(bodies(receiver, "all")) == len(sent), 15, "everything at `all`")
                let = [sent[2], sent[3], sent[4], sent[5]]
                for path in ("large", "text"):
                    wait_until(lambda path=path: sorted(bodies(receiver, path)) == sorted(let), 15, f"`{path}`")
                wait_until(lambda: gateway.metric_sum("sluice_endpoint_filtered_total", endpoint="large") == 5, 10, "5")
                assert gateway.metric_sum("sluice_endpoint_filtered_total", endpoint="all") == 0
                listed = answered(gateway, "GET", "/api/v1/deliveries?endpoint=large")["items"]
                assert len(listed) == 4, len(listed)
                shown = answered(gateway, "GET", "/api/v1/endpoints/large")
                assert shown["filter"] == LARGE, shown


def fields(report):
    with report.case("by the API: header fields, names, paths, lists, expressions; changed, gone, kept over a restart"):
        folder = tempfile.mkdtemp(prefix="sluice-filters-")
        with Receiver() as receiver:
            hit = order(5, user_id="u_1", currency="EUR", items=[{"sku": "B"}, {"sku": "A-12"}])
            misses = [
                (hit, {"X-Region": "us"}), (hit.replace("u_1", "v_1"), {"X-Region": "eu"}),
                (hit.replace("EUR", "CHF"), {"X-Region": "eu"}), (hit.replace("A-12", "A-x"), {"X-Region": "eu"}),
                (hit, {}),
            ]
            allow = {"allow": ["127.0.0.0/8"]}
            with Gateway([open_source("in")], folder=folder, delivery=allow) as gateway:
                draft = {"name": "some", "url": receiver.url + "/some", "filter": MANY}
                made = answered(gateway, "POST", "/api/v1/endpoints", draft)
                assert made["filter"] == MANY, made
                for body, headers in misses:
                    send(gateway, body, headers)
                escaped = hit.replace("EUR", "\\u0045UR").replace("user_id", "user\\u005fid")
                for body, region in ((hit, "eu"), (escaped, "uk")):
                    send(gateway, body, {"x-region": region})
                wait_until(lambda: len(bodies(receiver, "some")) == 2, 15, "two")
                assert bodies(receiver, "some") == [hit, escaped]
            # The next process has it from the store, spelled as it was given.
            with Gateway([open_source("in")], folder=folder, delivery=allow) as gateway:
                assert answered(gateway, "GET", "/api/v1/endpoints/some")["filter"] == MANY
                send(gateway, *misses[0])
                send(gateway, hit, {"X-Region": "eu"})
                wait_until(lambda: len(bodies(receiver, "some")) == 3, 15, "three")
                path = "/api/v1/endpoints/some"
                merged = answered(gateway, "PATCH", path, {"filter": {"headers": None, "type": {"$exist": False}}})
                assert merged["filter"] == {"body": MANY["body"], "type": {"$exist": False}}, merged["filter"]
                gone = answered(gateway, "PATCH", path, {"filter": None})
                assert "filter" not in gone, gone
                send(gateway, "anything")
                wait_until(lambda: bodies(receiver, "some")[-1:] == ["anything"], 15, "anything")
                audit = answered(gateway, "GET", "/api/v1/audit")["items"]
                assert any("filter" in (entry.get("detail") or "") for entry in audit), audit


def refusals(report):
    with report.case("what is wrong or costs too much is refused when it is saved, with the place and the reason"):
        with Gateway([open_source("in")]) as gateway:
            for body, path, said in (
                ({}, "filter", "has no condition"),
                ({"typ": "a"}, "filter.typ", "did you mean `type`?"),
                ({"body": {"a": {"$ne": 1}}}, "filter.body.a.$ne", "did you mean `$neq`?"),
                ({"body": {"a": {"$gt": None}}}, "filter.body.a.$gt", "takes a number or a text"),
                ({"body": {"a": {"$regex": "(a)\\1"}}}, "filter.body.a.$regex", "RE2"),
                ({"body": {"a": {"$regex": "x{600}y{600}"}}}, "filter.body.a.$regex", "costs too much"),
                ({"headers": {"Authorization": "x"}}, "filter.headers.Authorization", "carries a credential"),
                ({"$or": [{"type": "a"}, {"body": {"b": {"$in": "x"}}}]}, "filter.$or[1].body.b.$in", "takes a list"),
                ({"body": {f"k{n}": n for n in range(33)}}, "filter.body.k9", "one path too many"),
            ):
                draft = {"name": "bad", "url": "http://example.com/", "filter": body}
                status, value = call(gateway, "POST", "/api/v1/endpoints", draft)
                errors = value.get("errors") or [{}]
                assert status == 422 and errors[0].get("path") == path and said in errors[0]["reason"], (body, value)
            assert answered(gateway, "GET", "/api/v1/endpoints")["items"] == []
            text = (
                "sources: [{ name: in, provider: generic, unverified: true }]\n"
                "endpoints:\n  - name: a\n    url: http://example.com/\n"
                "    filter:\n      body:\n        a: { $gt: true }\n"
            )
            path = os.path.join(gateway.folder, "bad.yaml")
            with open(path, "w") as file:
                file.write(text)
            done = subprocess.run([BINARY, "config", "check", path], capture_output=True, text=True, timeout=60)
            said = done.stdout + done.stderr
            assert done.returncode == 2 and "bad.yaml:7" in said and "takes a number or a text" in said, said

    with report.case("more expressions than a tenant's memory is for are refused, however many endpoints they are of"):
        with Gateway([open_source("in")], expressions={"tenant": "1MiB"}) as gateway:
            def made(name, expression):
                body = {"body": {"$.a": {"$regex": expression}}}
                return call(gateway, "POST", "/api/v1/endpoints", {
                    "name": name, "url": "http://example.com/", "filter": body})

            for number in range(8):
                assert made(f"e{number}", f"^{number}$")[0] == 201
            # One that is there already takes nothing.
            assert made("again", "^7$")[0] == 201
            status, value = made("more", "^more$")
            (error,) = value["errors"]
            assert status == 422 and error["path"] == "filter", value
            assert "1152KiB" in error["reason"] and "1MiB" in error["reason"], value
            assert gateway.metric_sum("sluice_expression_bytes") == 1 << 20
            answered(gateway, "DELETE", "/api/v1/endpoints/e0", wanted=(200, 204))
            assert made("more", "^more$")[0] == 201
            # A start refuses nothing of what was saved, and says what is over.
            gateway.stop()
            gateway.keys["expressions"] = {"tenant": "1MiB", "total": "1MiB"}
            gateway.start()
            assert made("other", "^other$")[0] == 422
            gateway.stop()
            gateway.sources.append(
                open_source("strict", schema={"properties": {"a": {"pattern": "^a"}, "b": {"pattern": "^b"}}}))
            gateway.start()
            wait_until(lambda: "`expressions.tenant` is 1MiB" in gateway.output(), 10, "nothing is said")


def trials(report):
    with report.case("tried on an event of the log and on one that is given: condition by condition, no value shown"):
        with Receiver() as receiver:
            source = {"name": "lab", "provider": "gitlab", "secrets": ["s3cret-token"]}
            hooks = [endpoint("large", receiver.url + "/large", filter=LARGE), endpoint("all", receiver.url + "/all")]
            hooks.append(endpoint("other", receiver.url + "/other", types=["nothing.*"], filter=LARGE))
            with Gateway([open_source("in"), source], hooks) as gateway:
                event = send(gateway, order(5, note="confidential"), {"X-Region": "eu"})
                tried = {"body": {"data": {"amount": {"$lt": 10}, "gone": 1}}, "source": "in"}
                trial = {"filter": tried, "event": event}
                got = answered(gateway, "POST", "/api/v1/filters/test", trial)
                assert not got["matched"] and got["verdict"] == "differs", got
                places = {one["place"]: (one["holds"], one["finding"]) for one in got["conditions"]}
                assert places == {
                    "body.data.amount.$lt": (True, "compared"), "body.data.gone": (False, "missing"),
                    "source": (True, "compared"),
                }, places
                assert "confidential" not in json.dumps(got)
                got = answered(gateway, "POST", "/api/v1/filters/test", {"endpoint": "large", "event": event})
                assert not got["matched"] and len(got["conditions"]) == 1, got
                # What is in a free field costs no more than its text: this took four seconds.
                empty = {"type": "t", "payload": {"data": {"amount": 5000}, "more": [{}] * 250_000}}
                got = answered(gateway, "POST", "/api/v1/filters/test", {"filter": LARGE, "given": empty})
                assert got["matched"], got
                given = {"type": "t", "headers": {"X-Region": "eu"}, "body": "no JSON"}
                got = answered(gateway, "POST", "/api/v1/filters/test", {"filter": LARGE, "given": given})
                assert got["verdict"] == "not_json" and "holds" not in got["conditions"][0], got
                audience = answered(gateway, "GET", f"/api/v1/events/{event}/endpoints")["items"]
                reasons = {one["endpoint"]["name"]: one["reason"] for one in audience}
                assert reasons == {"large": "filter", "all": "matched", "other": "type"}, reasons

                def why():
                    shown = answered(gateway, "GET", f"/api/v1/events/{event}/trace")["endpoints"]
                    large = next(one for one in shown if one["endpoint"]["name"] == "large")
                    return large["outcome"], [step["code"] for step in large["why"]]

                wait_until(lambda: why() == ("not_matched", ["not_matched_filter"]), 20, "the trace says why")
                first = answered(gateway, "GET", f"/api/v1/events/{event}/endpoints?limit=2")
                rest = answered(gateway, "GET", f"/api/v1/events/{event}/endpoints?limit=2&cursor={first['next']}")
                assert len(first["items"]) == 2 and len(rest["items"]) == 1 and "next" not in rest
                for path in ("/api/v1/filters/test", "/api/v1/filters/test"):
                    status, _ = call(gateway, "POST", path, {"filter": LARGE, "event": "evt_nothing"})
                    assert status == 404, status

    with report.case("`sluice filter test` and `preview` say the same, the first without a gateway"):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("filter.yaml", "body:\n  $.data.amount: { $gte: 1000 }\n"), ("body.json", order(2000))):
                with open(os.path.join(folder, name), "w") as file:
                    file.write(text)
            words = ["filter", "test", "--filter", os.path.join(folder, "filter.yaml"), "--type", "a"]
            done = sluice(*words, "--body", os.path.join(folder, "body.json"))
            assert done.returncode == 0 and done.stdout.startswith("matches"), done.stdout + done.stderr
            done = sluice(*words)
            assert done.returncode == 1 and "body is not JSON" in done.stdout, done.stdout + done.stderr
            done = sluice(*words, "--json", stdin="")
            assert json.loads(done.stdout)["verdict"] == "not_json"
            with Receiver() as receiver, Gateway([open_source("in")], [endpoint("all", receiver.url)]) as gateway:
                event = send(gateway, order(2000))
                send(gateway, order(1))
                admin = ["--admin", f"127.0.0.1:{gateway.admin_port}", "--key", platform_key(gateway.admin_port)]
                done = sluice(*words[:4], "--event", event, *admin)
                assert done.returncode == 0, done.stdout + done.stderr
                done = sluice("filter", "preview", "all", *words[2:4], "--last", "1h", *admin)
                assert "2 let through now, 1 by this filter: 0 more, 1 less" in done.stdout, done.stdout + done.stderr


def previews(report):
    with report.case("what a filter would have done over the log, page by page, beside the one that is there"):
        with Receiver() as receiver:
            hook = endpoint("large", receiver.url + "/large", sources=["in"], filter=LARGE)
            with Gateway([open_source("in"), open_source("elsewhere")], [hook]) as gateway:
                before = now() - datetime.timedelta(seconds=5)
                for value in range(0, 2000, 10):
                    send(gateway, order(value))
                send(gateway, "no JSON")
                send(gateway, order(5000), source="elsewhere")
                span = {"from": spelled(before), "until": spelled(now() + datetime.timedelta(seconds=1))}
                path = "/api/v1/endpoints/large/filter/preview"
                trial = {**span, "filter": {"body": {"data": {"amount": {"$lt": 1010}}}}}
                page = answered(gateway, "POST", path, trial)
                wanted = {"read": 202, "subscribed": 201, "before": 100, "after": 101, "gained": 100, "lost": 99}
                sums = {key: page[key] for key in (*wanted, "not_json")}
                assert sums == {**wanted, "not_json": 1}, sums
                assert len(page["gained_examples"]) == len(page["lost_examples"]) == 10 and "next" not in page
                none = answered(gateway, "POST", path, span)
                assert none["after"] == 201 and none["gained"] == 101 and none["lost"] == 0, none
                long_ago = {"from": "2020-01-01T00:00:00Z", "until": "2020-01-02T00:00:00Z"}
                assert answered(gateway, "POST", path, long_ago)["read"] == 0
                # Nothing of it was saved, and nothing was sent for it.
                assert answered(gateway, "GET", "/api/v1/endpoints/large")["filter"] == LARGE
                wait_until(lambda: len(bodies(receiver, "large")) == 100, 15, "what its own filter lets through")
                for body in ({**trial, "filter": {}}, {**span, "until": "2020-01-01T00:00:00Z"}):
                    status, value = call(gateway, "POST", path, body)
                    assert status == 422, (status, value)


def replays(report):
    with report.case("a replay of what is missing asks the filter; one of a single event does not"):
        with Receiver() as receiver, Gateway([open_source("in")], delivery={"allow": ["127.0.0.0/8"]}) as gateway:
            ids = [send(gateway, order(value)) for value in (1, 1000, 2000)]
            draft = {"name": "large", "url": receiver.url + "/large", "filter": LARGE}
            answered(gateway, "POST", "/api/v1/endpoints", draft)
            missing = {"endpoint": "large", "states": ["missing"], "from": "2020-01-01T00:00:00Z", "dry_run": False}
            count = answered(gateway, "POST", "/api/v1/replays", missing)
            assert count["missing"] == count["accepted"] == 2, count
            wait_until(lambda: sorted(bodies(receiver, "large")) == [order(1000), order(2000)], 15, "the large ones")
            answered(gateway, "POST", f"/api/v1/deliveries/{ids[0]}/large/retry", None, (202,))
            wait_until(lambda: order(1) in bodies(receiver, "large"), 15, "the one that was named")


def tenants(report):
    with report.case("a tenant's key tries filters on its own events and endpoints, and finds no other's"):
        hook = endpoint("large", "http://127.0.0.1:9/", filter=LARGE)
        with Gateway([open_source("in"), open_source("in", tenant="beta")], [hook]) as gateway:
            theirs, own = send(gateway, order(5)), send(gateway, order(7), source="beta/in")
            beta = answered(gateway, "GET", "/api/v1/tenants/beta")["tenant_id"]
            keys = {
                role: answered(gateway, "POST", "/api/v1/keys", {"tenant_id": beta, "role": role})["token"]
                for role in ("viewer", "operator")
            }
            trial = {"filter": {"body": {"data": {"amount": 7}}}}
            status, got = call(gateway, "POST", "/api/v1/filters/test", {**trial, "event": own}, keys["viewer"])
            assert status == 200 and got["matched"], (status, got)
            span = {"from": "2020-01-01T00:00:00Z"}
            for role, method, path, body in (
                ("viewer", "POST", "/api/v1/filters/test", {**trial, "event": theirs}),
                ("viewer", "POST", "/api/v1/filters/test", {"endpoint": "large", "event": own}),
                ("viewer", "GET", f"/api/v1/events/{theirs}/endpoints", None),
                ("operator", "POST", "/api/v1/endpoints/large/filter/preview", span),
            ):
                status, value = call(gateway, method, path, body, keys[role])
                assert status == 404, (path, status, value)
            status, _ = call(gateway, "POST", "/api/v1/endpoints/large/filter/preview", span, keys["viewer"])
            assert status == 403, status
            # An endpoint of one tenant and an event of another do not meet, whoever asks.
            status, _ = call(gateway, "POST", "/api/v1/filters/test", {"endpoint": "large", "event": own})
            assert status == 404, status


def main():
    arguments(__doc__)
    report = Report("filters")
    for group in (delivery, fields, refusals, trials, previews, replays, tenants):
        group(report)
    report.finish()


if __name__ == "__main__":
    main()
