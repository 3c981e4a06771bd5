#!/usr/bin/env python3
"""Refused requests from outside: kept with reason and hint, bounded, taken in after the secret was mended, and no
burden when they come as a flood.

Everything goes through the port and the command line; the gateway is the real one."""

import hashlib
import hmac
import http.client
import json
import os
import signal
import threading
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
from receiver import Receiver
from report import Report, arguments, stays_true, wait_until
from serverutil import Gateway, endpoint, github_headers, github_source, request, sluice

FAST = {"delays": ["200ms"], "jitter": 0}


def refuse(gateway, body, headers, source="github"):
    status, _, answer = gateway.post(f"/in/{source}", body, headers)
    assert status == 401, f"{status} {answer[:200]}"
    return json.loads(answer)["reason"]


def listed(gateway, **filters):
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    return gateway.api("/api/rejected?" + query)["rejected"]


def wait_listed(gateway, count, **filters):
    return wait_until(
        lambda: (lambda rows: rows if len(rows) >= count else None)(listed(gateway, limit=1000, **filters)),
        15,
        lambda: f"{len(listed(gateway, **filters))} of {count} listed",
    )


def reload_with(gateway, sources):
    gateway.sources = sources
    gateway.write_configuration()
    before = gateway.output().count("configuration reloaded")
    os.kill(gateway.process.pid, signal.SIGHUP)
    wait_until(lambda: gateway.output().count("configuration reloaded") > before, 10, "a reload")


def events(gateway, *arguments, check=0):
    return sluice("events", *arguments, "--admin", f"127.0.0.1:{gateway.admin_port}", check=check)


def mend(report):
    """The whole way: refused, listed with a hint, secret mended by SIGHUP, verified again, delivered, once."""
    with report.case("a corrected secret takes the refused requests in, once"):
        with Receiver() as receiver:
            with Gateway([github_source(secret="old-secret")], [endpoint("e", receiver.url, retry=FAST)]) as gateway:
                bodies = [json.dumps({"n": n}).encode() for n in range(5)]
                for body in bodies:
                    assert refuse(gateway, body, github_headers(body, secret="new-secret")) == "signature_mismatch"
                bad = b'{"forged":true}'
                refuse(gateway, bad, github_headers(bad, secret="nobodys"))
                rows = wait_listed(gateway, 6)
                assert all(row["source"] == "github" and row["peer"] == "127.0.0.1" for row in rows), rows
                assert listed(gateway, reason="missing_header") == []

                answer = json.loads(events(gateway, "reverify", "--source", "github", "--json").stdout)
                assert answer["accepted"] == 0 and answer["rejected"] == {"signature_mismatch": 6}, answer

                reload_with(gateway, [github_source(secret="new-secret")])
                answer = json.loads(events(gateway, "reverify", "--dry-run", "--json").stdout)
                assert answer["accepted"] == 5 and answer["dryRun"], answer
                assert len(listed(gateway)) == 6, "a dry run changed something"
                first = rows[-1]["id"]
                answer = json.loads(events(gateway, "reverify", "--id", first, "--json").stdout)
                assert answer["accepted"] == 1 and answer["rejected"] == {}, answer
                answer = json.loads(events(gateway, "reverify", "--source", "github", "--json").stdout)
                assert answer["accepted"] == 4 and answer["rejected"] == {"signature_mismatch": 1}, answer
                wait_until(lambda: receiver.count() >= 5, 10, lambda: f"{receiver.count()} deliveries")

                text = events(gateway, "reverify").stdout
                assert "accepted     0" in text and "signature_mismatch  1" in text, text
                stays_true(lambda: sorted(d.body for d in receiver.snapshot()) == sorted(bodies), 0.5,
                           "not each of them once")
                assert len(listed(gateway)) == 1


def known_already(report):
    with report.case("what came in meanwhile is a duplicate, and leaves the list"):
        with Gateway([github_source(secret="old-secret")]) as gateway:
            body = b'{"retried":1}'
            headers = github_headers(body, secret="new-secret")
            refuse(gateway, body, headers)
            wait_listed(gateway, 1)
            reload_with(gateway, [github_source(secret="new-secret")])
            status, _, _ = gateway.post("/in/github", body, headers)
            assert status in (200, 202)
            answer = gateway.api("/api/rejected/reverify", {"dryRun": False})
            assert (answer["accepted"], answer["duplicate"]) == (0, 1), answer
            assert listed(gateway) == []


def hints(report):
    sources = [
        github_source(secret="first-secret"),
        github_source("other", secret="second-secret"),
        {"name": "stripe", "provider": "stripe", "secrets": ["whsec_abc"]},
    ]
    with Gateway(sources) as gateway:
        body = b'{"a": 1, "b": [2, 3]}'

        def stripe(at):
            mac = hmac.new(b"whsec_abc", b"%d." % at + body, hashlib.sha256).hexdigest()
            return {"Stripe-Signature": f"t={at},v1={mac}"}

        right = github_headers(body, secret="first-secret")
        name = "X-Hub-Signature-256"
        bare = {**right, name: right[name].removeprefix("sha256=")}
        renamed = {("X-Original-Hub-Signature-256" if k == name else k): v for k, v in right.items()}
        cases = [
            ("wrong_secret_of_other_source", "github", body, github_headers(body, secret="second-secret")),
            ("body_modified_whitespace", "github", body + b"\n", right),
            ("body_reserialised", "github", b'{"a":1,"b":[2,3]}', right),
            ("missing_prefix", "github", body, bare),
            ("header_renamed_by_proxy", "github", body, renamed),
            ("clock_skew", "stripe", body, stripe(int(time.time()) - 3600)),
            (None, "github", body, github_headers(body, secret="nobodys")),
        ]
        for hint, source, sent, headers in cases:
            with report.case(f"the hint is {hint or 'none where nothing helps'}"):
                before = len(listed(gateway, limit=1000))
                refuse(gateway, sent, headers, source)
                row = wait_listed(gateway, before + 1)[0]
                assert row.get("hint") == hint, row
                assert "secret" not in (row.get("detail") or "").replace("the secret of source", ""), row
        with report.case("hints are counted, and said once in the log"):
            metrics = gateway.metrics()
            found = {series for series in metrics if series.startswith("sluice_rejection_hints_total{")}
            assert any('hint="clock_skew"' in series and 'source="stripe"' in series for series in found), found
            lines = [line for line in gateway.output().splitlines() if "hint=" in line]
            assert len(lines) == len({line.split(" ", 1)[1] for line in lines}), lines
            assert all("first-secret" not in line and "second-secret" not in line for line in lines), lines
            refuse(gateway, body, github_headers(body, secret="second-secret"))
            wait_listed(gateway, len(cases) + 1)
            again = [line for line in gateway.output().splitlines() if "hint=" in line]
            assert len(again) == len(lines), "a second line within the minute"


def shown(report):
    with report.case("list and show: masked credentials, masked events too"):
        token = {"name": "gitlab", "provider": "gitlab", "secrets": ["the-right-token"]}
        with Gateway([token]) as gateway:
            body = b'{"object_kind":"push"}'
            secrets = {"X-Gitlab-Token": "a-wrong-token", "Authorization": "Bearer a-bearer", "Cookie": "c=a-cookie"}
            refuse(gateway, body, {**secrets, "X-Gitlab-Event": "Push Hook"}, "gitlab")
            row = wait_listed(gateway, 1)[0]
            line = events(gateway, "rejected").stdout
            assert row["id"] in line and "token_mismatch" in line and "127.0.0.1" in line, line
            text = events(gateway, "rejected", "show", row["id"]).stdout
            assert "Push Hook" in text and body.decode() in text, text
            for value in ("a-wrong-token", "a-bearer", "a-cookie"):
                assert value not in text, f"{value} is shown"
            revealed = json.loads(events(gateway, "rejected", "show", row["id"], "--reveal", "--json").stdout)
            assert ["X-Gitlab-Token", "a-wrong-token"] in revealed["headers"], revealed["headers"]

            good = {**secrets, "X-Gitlab-Token": "the-right-token"}
            status, _, answer = gateway.post("/in/gitlab", body, good)
            assert status in (200, 202), answer
            event = json.loads(answer)["id"]
            text = events(gateway, "show", event).stdout
            for value in ("the-right-token", "a-bearer", "a-cookie"):
                assert value not in text, f"{value} is shown"
            assert "the-right-token" in json.dumps(gateway.api(f"/api/events/{event}?reveal=true"))
            assert "the-right-token" not in json.dumps(gateway.api(f"/api/events/{event}"))


def mistakes(report):
    with report.case("mistakes are named"):
        with Gateway([github_source()]) as gateway:
            admin = gateway.admin_port
            for path, status, code in [
                ("/api/rejected?reason=nonsense", 400, "bad_parameter"),
                ("/api/rejected?sauce=a", 400, "unknown_parameter"),
                ("/api/rejected/rej_999", 404, "no_such_rejected"),
                ("/api/rejected/17", 400, "bad_value"),
            ]:
                got, _, answer = request(admin, path)
                assert got == status and json.loads(answer)["error"]["code"] == code, f"{path}: {got} {answer}"
            guard = {"X-Sluice-Request": "1"}
            got, _, answer = request(admin, "/api/rejected/reverify", '{"source":"githup"}', guard, "POST")
            assert got == 404 and b"did you mean `github`" in answer, answer
            got, _, answer = request(admin, "/api/rejected/reverify", "{}", {}, "POST")
            assert got == 403, answer
            assert "rej_" in events(gateway, "rejected", "show", "evt_1", check=2).stderr
        with Gateway([github_source()], rejected={"keep": 0}) as gateway:
            refuse(gateway, b"{}", {})
            assert "rejected.keep" in events(gateway, "rejected", check=1).stderr
            assert not os.path.exists(os.path.join(gateway.data, "rejected.sqlite"))


def bounded(report):
    with report.case("the oldest go: at most `keep` and `bytes` of each source, over a restart"):
        with Gateway([github_source()], rejected={"keep": 20, "bytes": "1MiB", "per_second": 10000}) as gateway:
            for number in range(60):
                refuse(gateway, json.dumps({"n": number}).encode(), {})
            wait_until(lambda: b'"n": 59' in newest_body(gateway), 10, "the last one")
            rows = listed(gateway, limit=1000)
            assert len(rows) == 20, len(rows)
            # One after the other: together they are more than the ring between loop and worker takes.
            for number in range(12):
                large = b'"%02d' % number + b"a" * 200_000 + b'"'
                refuse(gateway, large, {})
                wait_until(lambda: newest_body(gateway) == large, 10, f"the large one {number}")
            rows = listed(gateway, limit=1000)
            assert sum(row["bytes"] for row in rows) <= 1 << 20, rows
            newest = rows[0]["id"]
            assert gateway.stop() == 0
            gateway.start()
            assert listed(gateway, limit=1000)[0]["id"] == newest


def newest_body(gateway):
    """Empty too when the newest one made room between the two questions."""
    rows = listed(gateway, limit=1)
    status, _, answer = gateway.admin(f"/api/rejected/{rows[0]['id']}") if rows else (404, {}, b"")
    return json.loads(answer)["body"].encode() if status == 200 else b""


def flood(report):
    """Many refusals a second on several connections: good requests still get in, and the work behind is bounded."""
    with report.case("a flood of refusals is bounded and delays nobody") as notes:
        with Gateway([github_source()], rejected={"keep": 200, "per_second": 10000}) as gateway:
            end = time.monotonic() + 4
            counts = [0] * 4

            def attack(index):
                body = json.dumps({"flood": list(range(200))}).encode()
                headers = github_headers(body, secret="wrong")
                connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
                while time.monotonic() < end:
                    connection.request("POST", "/in/github", body=body, headers=headers)
                    answer = connection.getresponse()
                    answer.read()
                    assert answer.status == 401
                    counts[index] += 1
                connection.close()

            threads = [threading.Thread(target=attack, args=(index,)) for index in range(len(counts))]
            for thread in threads:
                thread.start()
            accepted = 0
            while time.monotonic() < end:
                body = json.dumps({"good": accepted}).encode()
                status, _, _ = gateway.post("/in/github", body, github_headers(body))
                assert status in (200, 202), status
                accepted += 1
            for thread in threads:
                thread.join()
            assert accepted > 0 and sum(counts) > 400, (accepted, counts)
            rows = wait_listed(gateway, 200)
            assert len(rows) == 200, len(rows)
            unexamined = gateway.metric_sum("sluice_rejected_unexamined_total")
            size = os.path.getsize(os.path.join(gateway.data, "rejected.sqlite"))
            assert size < 8 << 20, f"{size} bytes on disk"
            notes.append(f"{sum(counts)} refused, {accepted} taken, {unexamined:.0f} without a look, {size >> 10} KiB")


def explain(report):
    with report.case("verify --explain says why, and shows no secret"):
        first = github_source(secret="a-long-first-secret")
        with Gateway([first, github_source("other", "a-long-other-secret")]) as gateway:
            body = b'{"a":1}'
            path = os.path.join(gateway.folder, "request.http")

            def capture(headers):
                head = "POST /in/github HTTP/1.1\r\nHost: h\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
                with open(path, "wb") as file:
                    file.write(head.encode() + b"\r\n" + body)

            capture(github_headers(body, secret="a-long-other-secret"))
            where = ["--config", gateway.config_path, "--source", "github"]
            done = sluice("verify", "--explain", *where, path, check=1)
            for word in ("parse", "source", "headers", "signed", "secret", "verdict", "signature_mismatch",
                         "wrong_secret_of_other_source", "a-lo…(19 characters)"):
                assert word in done.stdout, f"{word} is not in {done.stdout}"
            assert "a-long-first-secret" not in done.stdout and "a-long-other-secret" not in done.stdout
            answer = json.loads(sluice("verify", "--explain", "--json", *where, path, check=1).stdout)
            assert answer["hint"] == "wrong_secret_of_other_source" and answer["steps"], answer

            capture(github_headers(body, secret="a-long-first-secret"))
            how = ["--explain", "--provider", "github", "--secret", "a-long-first-secret"]
            text = sluice("verify", *how, path, check=0)
            assert "accepted" in text.stdout and "match" in text.stdout, text.stdout
            assert "NO " not in text.stdout, text.stdout


def main():
    arguments(__doc__)
    report = Report("rejected")
    for case in (mend, known_already, hints, shown, mistakes, bounded, flood, explain):
        case(report)
    report.finish()


if __name__ == "__main__":
    main()
