#!/usr/bin/env python3
"""Content erased from the log: no byte of it is left in the data folder, duplicates are still recognised, deliveries in
front and behind go on, what waited is a dead letter; over kill -9 at any moment, read by a program of its own."""

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
from receiver import Receiver
from report import Report, arguments, wait_until
from serverutil import ROOT, TINY_LIMITS, TINY_LOG, Gateway, endpoint, open_source, request, sluice

LOG_READER = os.path.join(ROOT, "Tests", "Conformance", "support", "log_reader.py")


def call(gateway, method, path, value=None, expect=None):
    """(status, JSON of the answer)."""
    headers = {"X-Sluice-Request": "1"} if method != "GET" else {}
    if value is not None:
        headers["Content-Type"] = "application/json"
    body = None if value is None else json.dumps(value)
    status, _, answer = request(gateway.admin_port, path, body, headers, method)
    if expect:
        assert status == expect, f"{method} {path}: {status} {answer[:400]!r}"
    return status, json.loads(answer) if answer else None


def found(gateway, words):
    """Files of the data folder in which these words stand."""
    wanted, files = words.encode(), []
    for folder, _, names in os.walk(gateway.data):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                if wanted in file.read():
                    files.append(name)
    return files


def source(name="test", **more):
    settings = {"event": {"type": "json:$.type"}, "dedup": {"key": ["header:X-Event-Id"], "window": "24h"}}
    return open_source(name, **{**settings, **more})


def send(gateway, words, kind="push", size=0, key=None):
    """The answer; the words are in all that comes from outside."""
    body = json.dumps({"type": kind, "body": words, "more": (words + " ") * (size // (len(words) + 1))}).encode()
    headers = {"Content-Type": "application/json", "X-Event-Id": key or words, "X-Also": words}
    status, _, answer = gateway.post(f"/in/test?about={words}", body, headers)
    assert status in (200, 202), (status, answer)
    return json.loads(answer)


def erase(gateway, event):
    return call(gateway, "DELETE", f"/api/v1/events/{event}/content", expect=200)[1]


def check_log(gateway, erased):
    """The gateway's own reader and the one that knows the specification alone."""
    said = json.loads(sluice("log", "check", gateway.data, "--json", check=0).stdout)
    assert said["sound"] and said["beingErased"] == 0, said
    counted = json.loads(sluice("log", "stats", gateway.data, "--json", check=0).stdout)
    assert counted["erased"] == erased, counted
    read = subprocess.run([sys.executable, LOG_READER, gateway.data], capture_output=True, text=True)
    assert read.returncode == 0, read.stdout[-300:] + read.stderr[-300:]
    lines = [json.loads(line) for line in read.stdout.splitlines()]
    assert lines[-1]["damages"] == 0 and lines[-1]["records"] == said["records"], lines[-1]
    gone = [line for line in lines[:-1] if line.get("erased")]
    assert len(gone) == erased and not any(line["body"] for line in gone), gone
    # What was published keeps its publisher's labels, and the address that it was published at.
    assert not any(line["target"] or line["key"] for line in gone if line["source"] != "@publish"), gone
    return gone


class Endpoints:
    """One that takes everything, and one that takes nothing while `down`."""

    def __init__(self):
        self.down = True
        self.good = Receiver()
        self.bad = Receiver(lambda delivery, number: 503 if self.down else 204)

    def __enter__(self):
        self.good.__enter__()
        self.bad.__enter__()
        return self

    def __exit__(self, *error):
        self.bad.__exit__(*error)
        self.good.__exit__(*error)

    def settings(self):
        late = {"delays": ["1h", "1h"], "jitter": 0}
        return [endpoint("good", self.good.url), endpoint("bad", self.bad.url, retry=late)]


def states(gateway, event):
    shown = call(gateway, "GET", f"/api/v1/events/{event}", expect=200)[1]["deliveries"]
    return {one["endpoint"]["name"]: (one["state"], one.get("reason"), one.get("class")) for one in shown}


def one_event(report, gateway, ends):
    with report.case("nothing of it is left in the data folder, its neighbours are whole") as notes:
        for size in (0, 3000, 60_000):
            words = [f"canary-{size}-{place}" for place in ("before", "it", "behind")]
            ids = [send(gateway, one, size=size)["id"] for one in words]
            wait_until(lambda: states(gateway, ids[1]).get("bad", "")[:1] == ("pending",), 10, "the first attempt")
            assert all(found(gateway, one) for one in words)
            answer = erase(gateway, ids[1])
            assert answer == {"event": ids[1], "erased_from": "log"}, answer
            left = [found(gateway, one) for one in words]
            assert left[0] and not left[1] and left[2], left
            assert erase(gateway, ids[1]) == answer, "a second time"
            shown = [call(gateway, "GET", f"/api/v1/events/{one}", expect=200)[1] for one in ids]
            assert [words[n] in json.dumps(one) for n, one in enumerate(shown)] == [True, False, True]
            gone = shown[1]
            assert gone["expunged"] is True and gone["event"]["erased"] is True and "body" not in gone, gone
            assert (gone["event"]["type"], gone["headers"], gone["target"]) == ("push", [], ""), gone
            notes.append(f"{size} bytes")
    with report.case("what waited for delivery is a dead letter, what was delivered stays so"):
        assert states(gateway, ids[1]) == {"good": ("delivered", None, None), "bad": ("dead", "erased", "local")}
        assert states(gateway, ids[0])["bad"][0] == states(gateway, ids[2])["bad"][0] == "pending"
        dead = call(gateway, "GET", "/api/v1/dead-letters?class=local", expect=200)[1]["items"]
        assert len(dead) == 3 and {one["reason"] for one in dead} == {"erased"}, dead
    with report.case("no route gives it: retry, replay, find, trace, transformations, filters, the audit log"):
        retry = f"/api/v1/deliveries/{ids[1]}/bad/retry"
        assert call(gateway, "POST", retry)[0] == 404
        order = {"event": ids[1], "states": ["dead", "delivered"], "dry_run": False}
        assert call(gateway, "POST", "/api/v1/replays", order)[0] == 404
        bulk = {"endpoint": "bad", "states": ["dead"], "dry_run": True}
        counted = call(gateway, "POST", "/api/v1/replays", bulk, 200)[1]
        assert (counted["matched"], counted["events_gone"]) == (0, 3), counted
        assert not call(gateway, "GET", f"/api/v1/events?provider_id={words[1]}", expect=200)[1]["items"]
        listed = call(gateway, "GET", "/api/v1/events", expect=200)[1]["items"]
        assert sum(one.get("erased") is True for one in listed) == 3 and len(listed) == 9
        trace = call(gateway, "GET", f"/api/v1/events/{ids[1]}/trace", expect=200)[1]
        assert "erased" in [one["code"] for one in trace["receipt"]] and words[1] not in json.dumps(trace), trace
        for path in ("transformations", "filters"):
            given = {"event": ids[1], "transform": []} if path == "transformations" else {
                "event": ids[1], "filter": {"type": "push"}}
            assert call(gateway, "POST", f"/api/v1/{path}/test", given)[0] == 404, path
        entries = call(gateway, "GET", "/api/v1/audit", expect=200)[1]["items"]
        own = [one for one in entries if ids[1] in json.dumps(one)]
        assert own and own[0]["action"] == "delete" and words[1] not in json.dumps(entries), own
        assert call(gateway, "DELETE", "/api/v1/events/evt_none/content")[0] == 404
        assert call(gateway, "DELETE", f"/api/v1/events/{ids[1][:12]}{'z' * 13}/content")[0] == 404
    with report.case("a duplicate of it is still one, and over a restart; lanes go on"):
        assert send(gateway, "again", key=words[1]) == {"status": "duplicate", "id": ids[1]}
        assert gateway.stop() == 0
        gone = check_log(gateway, 3)
        assert all(line["key"] == "" and line["type"] == "push" for line in gone), gone
        gateway.start()
        assert send(gateway, "again", key=words[1]) == {"status": "duplicate", "id": ids[1]}
        assert not found(gateway, words[1])
        count = ends.good.count()
        fresh = send(gateway, "fresh")["id"]
        wait_until(lambda: ends.good.count() == count + 1, 10, "what came behind it")
        assert states(gateway, ids[1])["bad"] == ("dead", "erased", "local")
        # The endpoint has it a moment before its row is written.
        wait_until(lambda: states(gateway, fresh).get("good", "")[:1] == ("delivered",), 10, "its row")
        assert b"\0" not in b"".join(one.body for one in ends.good.snapshot() + ends.bad.snapshot())


def lanes(report, gateway, ends):
    with report.case("a lane that has not come to it passes it by"):
        call(gateway, "POST", "/api/v1/endpoints/good/pause", {"for": "1h"}, 200)
        words = [f"paused-{n}" for n in range(6)]
        ids = [send(gateway, one)["id"] for one in words]
        erase(gateway, ids[2])
        call(gateway, "POST", "/api/v1/endpoints/good/enable", None, 200)

        def came():
            return {one.id for one in ends.good.snapshot()} >= set(ids) - {ids[2]}

        wait_until(came, 15, "those around it")
        got = [one for one in ends.good.snapshot() if one.id == ids[2]]
        assert not got and not any(words[2].encode() in one.body for one in ends.good.snapshot()), got
        assert states(gateway, ids[2]).get("good", ("dead", "erased", "local")) == ("dead", "erased", "local")
    with report.case("the command line says what it would do, and does it with --yes"):
        admin = ["--admin", f"127.0.0.1:{gateway.admin_port}", "--data-folder", gateway.data]
        event = send(gateway, "by-hand")["id"]
        said = sluice("events", "erase", event, *admin, check=0).stdout
        assert "--yes" in said and found(gateway, "by-hand"), said
        said = sluice("events", "erase", event, "--yes", *admin, check=0).stdout
        assert "erased from the log" in said and not found(gateway, "by-hand"), said
        assert "erased already" in sluice("events", "erase", event, *admin, check=0).stdout
        assert "(erased)" in sluice("events", "show", event, *admin, check=0).stdout
        assert "(erased)" in sluice("log", "show", gateway.data, "--event", event, check=0).stdout
        assert json.loads(sluice("events", "erase", event, "--yes", "--json", *admin, check=0).stdout) == {
            "event": event, "erased_from": "log"}
        assert sluice("events", "erase", "evt_1", "--yes", *admin).returncode == 2


def requests_of_several(report):
    several = source("test", split="json:$.events", dedup={"key": ["json:$.id"], "window": "24h"})
    with report.case("an event of a request takes the request along, which has its bytes too"):
        with Gateway([several]) as gateway:
            body = json.dumps({"events": [{"id": f"part-{n}", "type": "t", "is": f"piece-{n}"} for n in range(4)]})
            status, _, answer = gateway.post("/in/test", body.encode(), {"Content-Type": "application/json"})
            assert status in (200, 202), (status, answer)
            listed = call(gateway, "GET", "/api/v1/events", expect=200)[1]["items"]
            parts = [one for one in reversed(listed) if one.get("part") == "event"]
            whole = next(one for one in listed if one.get("part") == "request")
            assert len(parts) == 4, listed
            erase(gateway, parts[1]["id"])
            left = [bool(found(gateway, f"piece-{n}")) for n in range(4)]
            assert left == [True, False, True, True], left
            listed = call(gateway, "GET", "/api/v1/events", expect=200)[1]["items"]
            gone = {one["id"] for one in listed if one.get("erased")}
            assert gone == {parts[1]["id"], whole["id"]}, gone
            erase(gateway, whole["id"])
            assert not any(found(gateway, f"piece-{n}") for n in range(4)), "a request goes with its events"
            assert gateway.stop() == 0
            check_log(gateway, 5)
            gateway.start()


def messages(report, folder):
    with Gateway([source()], folder=folder, log=TINY_LOG, limits=TINY_LIMITS) as gateway:
        apps = [call(gateway, "POST", "/api/v1/app", {"name": name, "uid": name}, 201)[1]["id"] for name in "ab"]

        def publish(app, words, **more):
            draft = {"eventType": "a.b", "payload": {"is": words, "more": words * 40}, **more}
            return call(gateway, "POST", f"/api/v1/app/{app}/msg", draft, 202)[1]["id"]

        def shown(app, message):
            return call(gateway, "GET", f"/api/v1/app/{app}/msg/{message}", expect=200)[1]

        with report.case("expunge-content: the payload leaves the log, the message's own labels stay"):
            first = publish(apps[0], "message-canary", eventId="own-id", channels=["eu"], tags=["one"])
            call(gateway, "DELETE", f"/api/v1/app/{apps[0]}/msg/{first}/content", expect=204)
            call(gateway, "DELETE", f"/api/v1/app/{apps[0]}/msg/{first}/content", expect=204)
            assert not found(gateway, "message-canary")
            gone = shown(apps[0], first)
            assert (gone["eventId"], gone["channels"], gone["tags"]) == ("own-id", ["eu"], ["one"]), gone
            assert gone["payload"] == {"expired": True}, gone
            assert shown(apps[0], "own-id")["id"] == first
            draft = {"eventType": "a.b", "payload": {}, "eventId": "own-id"}
            assert call(gateway, "POST", f"/api/v1/app/{apps[0]}/msg", draft)[0] == 409, "it is a duplicate still"

        with report.case("expunge-all-contents: all of an application, over segments, and nothing else") as notes:
            mine = [publish(apps[0], f"bulk-canary-{n}-") for n in range(400)]
            other = publish(apps[1], "other-canary")
            plain = send(gateway, "plain-canary")["id"]
            task = call(gateway, "POST", f"/api/v1/app/{apps[0]}/msg/expunge-all-contents", None, 202)[1]
            # From the answer on; and whoever has one event erased meanwhile is not held up by many.
            assert shown(apps[0], mine[-1])["payload"] == {"expired": True}
            erase(gateway, plain)
            path = f"/api/v1/background-task/{task['id']}"

            def over():
                now = call(gateway, "GET", path, expect=200)[1]
                return now if now["status"] != "running" else None

            done = wait_until(over, 60, "the task")
            assert (done["status"], done["data"]) == ("finished", {"messagesPurged": 401}), done
            left = [n for n in range(400) if found(gateway, f"bulk-canary-{n}-")] if found(gateway, "bulk-can") else []
            assert not left, left[:5]
            assert found(gateway, "other-canary") and not found(gateway, "plain-canary")
            assert shown(apps[1], other)["payload"]["is"] == "other-canary"
            segments = len([name for name in os.listdir(gateway.data + "/log") if name.endswith(".log")])
            assert segments > 1, segments
            notes.append(f"{segments} segments")
        with report.case("what an end cut off is erased after the next start, and an earlier version's lines are"):
            late = [publish(apps[0], f"late-canary-{n}-") for n in range(300)]
            publish(apps[1], "lone-canary")
            call(gateway, "POST", f"/api/v1/app/{apps[0]}/msg/expunge-all-contents", None, 202)
            gateway.kill()
            lines = sluice("log", "show", gateway.data, "--json", check=0).stdout.splitlines()
            event = next(one["event"] for one in map(json.loads, lines) if "lone-canary" in (one.get("body") or ""))
            with open(gateway.data + "/expunged", "a") as file:
                file.write(f"m {event['sequence']}\n")
            gateway.start()
            assert shown(apps[0], late[0])["payload"] == {"expired": True}
            wait_until(lambda: not found(gateway, "late-canary") and not found(gateway, "lone-canary"), 60, "the rest")
            assert found(gateway, "other-canary")
            assert gateway.stop() == 0
            check_log(gateway, 1 + 400 + 1 + 300 + 1)
            gateway.start()


def killed(report, rounds, seed):
    """Every round: events, erased one after the other, and a SIGKILL in the middle of it."""
    randomness = random.Random(seed)
    sizes = (0, 400, 3000, 20_000)
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
        gateway = Gateway([source()], folder=folder, log=TINY_LOG, limits=TINY_LIMITS)
        try:
            for number in range(rounds):
                with report.case(f"kill -9 while it erases, round {number + 1}, seed {seed}") as notes:
                    gateway.start()
                    words = [f"k{number}-{n}-canary" for n in range(60)]
                    ids = [send(gateway, one, size=randomness.choice(sizes))["id"] for one in words]
                    order = list(range(60))
                    randomness.shuffle(order)
                    answered, asked = [], []

                    def erase_all():
                        for n in order:
                            asked.append(n)
                            try:
                                erase(gateway, ids[n])
                            except OSError:
                                return
                            answered.append(n)

                    thread = threading.Thread(target=erase_all)
                    thread.start()
                    time.sleep(randomness.uniform(0.02, 0.4))  # the moment of the kill is what a round varies
                    gateway.kill()
                    thread.join()
                    said = json.loads(sluice("log", "check", gateway.data, "--json", check=0).stdout)
                    assert said["sound"], said
                    whole = [n for n in answered if found(gateway, words[n])]
                    assert not whole, f"answered, and on the disk: {whole}"
                    gateway.start()
                    for n, event in enumerate(ids):
                        shown = call(gateway, "GET", f"/api/v1/events/{event}", expect=200)[1]
                        is_erased = shown["event"].get("erased") is True
                        assert is_erased or n not in answered, words[n]
                        assert not is_erased or n in asked, f"{words[n]}: nobody asked for it"
                        assert is_erased or json.loads(shown["body"])["body"] == words[n], shown
                        assert bool(found(gateway, words[n])) != is_erased, (words[n], is_erased)
                        assert send(gateway, "again", key=words[n])["status"] == "duplicate"
                    assert gateway.stop() == 0
                    said = json.loads(sluice("log", "check", gateway.data, "--json", check=0).stdout)
                    assert said["sound"] and said["beingErased"] == 0, said
                    notes.append(f"{len(answered)} answered")
        finally:
            gateway.kill()


def main():
    options = arguments(__doc__, rounds=4, seed=0)
    report = Report("erasure")
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder, Endpoints() as ends:
        with Gateway([source()], ends.settings(), folder=folder) as gateway:
            one_event(report, gateway, ends)
            lanes(report, gateway, ends)
    requests_of_several(report)
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
        messages(report, folder)
    killed(report, options.rounds, options.seed or random.randrange(1 << 30))
    report.finish()


if __name__ == "__main__":
    main()
