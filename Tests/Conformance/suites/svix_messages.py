#!/usr/bin/env python3
"""What a message of the Svix-shaped API may say of itself beside its payload: tags, a time to be sent at, how long its
content is kept; and event types that were archived. By the official Python client, on both ports, over restarts."""

import json
import os
import shutil
import subprocess
from datetime import datetime, timedelta, timezone

import supportpath  # noqa: F401  (puts the shared modules on the path)
import clockshift
from receiver import Receiver
from report import Report, Skip, arguments, stays_true, wait_until
from serverutil import Gateway, open_source, platform_key, request, sluice

try:
    import svix.api as sv
    from svix.exceptions import HttpError, HTTPValidationError
except ImportError:
    sv = None

HOUR = 3600
JAVASCRIPT = os.path.join(os.path.dirname(supportpath.__file__), os.pardir, "support", "svix_client.cjs")


def now():
    return datetime.now(timezone.utc)


class Bench:
    def __init__(self, gateway, receiver):
        self.gateway, self.receiver = gateway, receiver
        self.connect()
        self.app = self.svix.application.create(sv.ApplicationIn(name="messages")).id

    def connect(self):
        url = f"http://127.0.0.1:{self.gateway.admin_port}"
        self.svix = sv.Svix(platform_key(self.gateway.admin_port), sv.SvixOptions(server_url=url))

    def restart(self, environment=None):
        assert self.gateway.stop() == 0
        self.gateway.environment = environment or {}
        self.gateway.start()
        self.connect()

    def endpoint(self, place, app=None, **more):
        body = sv.EndpointIn(url=f"{self.receiver.url}/{place}", **more)
        return self.svix.endpoint.create(app or self.app, body).id

    def publish(self, kind="a.b", app=None, **more):
        return self.svix.message.create(app or self.app, sv.MessageIn(event_type=kind, payload={"n": 1}, **more))

    def came(self, place):
        return [one.headers["svix-id"] for one in self.receiver.snapshot() if one.path.endswith("/" + place)]

    def content(self, message, app=None):
        options = sv.MessageGetOptions(with_content=True)
        return self.svix.message.get(app or self.app, message, options).payload

    def post(self, port, path, body, wanted, **headers):
        """JSON, with the platform's key."""
        headers = {"Authorization": f"Bearer {platform_key(self.gateway.admin_port)}", **headers}
        status, _, text = request(port, path, json.dumps(body), headers, "POST")
        assert status == wanted, f"{path}: {status} {text[:300]}"
        return json.loads(text)

    def refused(self, field, **body):
        """422 that names the field, on both ports."""
        for port in (self.gateway.admin_port, self.gateway.port):
            whole = {"eventType": "a.b", "payload": {}, **body}
            said = self.post(port, f"/api/v1/app/{self.app}/msg", whole, 422)
            assert said["detail"][0]["loc"][:2] == ["body", field], said


def refused(call, status):
    try:
        call()
    except HTTPValidationError as error:
        assert status == 422, error
    except HttpError as error:
        assert error.status_code == status, error
    else:
        raise AssertionError("it was not refused")


def tags(report, bench):
    with report.case("a message keeps its tags, and lists find it by one"):
        place = bench.endpoint("tags")
        red = bench.publish(tags=["red", "vip.1"])
        blue, none = bench.publish(tags=["blue"]), bench.publish()
        assert red.tags == ["red", "vip.1"] and not none.tags, (red, none)
        assert bench.svix.message.get(bench.app, red.id).tags == ["red", "vip.1"]
        found = bench.svix.message.list(bench.app, sv.MessageListOptions(tag="red")).data
        assert [one.id for one in found] == [red.id] and found[0].tags == ["red", "vip.1"], found
        assert bench.svix.message.list(bench.app, sv.MessageListOptions(tag="re")).data == []
        wait_until(lambda: len(bench.came("tags")) == 3, 15, "the messages")
        attempts = bench.svix.message_attempt

        def tried():
            options = sv.MessageAttemptListByEndpointOptions(tag="blue")
            return [one.msg_id for one in attempts.list_by_endpoint(bench.app, place, options).data]

        wait_until(lambda: tried() == [blue.id], 10, "the attempt by its tag")
        options = sv.MessageAttemptListAttemptedMessagesOptions(tag="vip.1")
        assert [one.id for one in attempts.list_attempted_messages(bench.app, place, options).data] == [red.id]
        options = sv.MessageAttemptListByMsgOptions(tag="blue")
        assert attempts.list_by_msg(bench.app, red.id, options).data == []
        refused(lambda: bench.svix.message.list(bench.app, sv.MessageListOptions(tag="a b")), 422)
        sent = next(one for one in bench.receiver.snapshot() if one.path.endswith("/tags"))
        assert not [name for name in sent.headers if name.startswith("sluice-tag")], sent.headers
    with report.case("on the ingest port the same"):
        body = {"eventType": "a.b", "payload": {"n": 2}, "tags": ["green"], "eventId": "tagged-1"}
        made = bench.post(bench.gateway.port, f"/api/v1/app/{bench.app}/msg", body, 202)
        assert made["tags"] == ["green"], made
        found = bench.svix.message.list(bench.app, sv.MessageListOptions(tag="green")).data
        assert [one.id for one in found] == [made["id"]] and found[0].event_id == "tagged-1", found
    with report.case("what is wrong of it is refused with its place"):
        bench.refused("tags", tags="red")
        bench.refused("tags", tags=["a b"])
        bench.refused("tags", tags=[str(number) for number in range(11)])
        bench.refused("deliverAt", deliverAt="tomorrow")
        bench.refused("deliverAt", deliverAt=(now() + timedelta(seconds=50)).isoformat())
        bench.refused("deliverAt", deliverAt=(now() + timedelta(hours=24, seconds=30)).isoformat())
        bench.refused("payloadRetentionHours", payloadRetentionHours=0)
        bench.refused("payloadRetentionHours", payloadRetentionHours=24, payloadRetentionPeriod=5)
        bench.refused("payloadRetentionPeriod", payloadRetentionPeriod=91)


def archived(report, bench):
    with report.case("an archived event type takes no messages and no endpoints; those that have it keep it"):
        types = bench.svix.event_type
        schemas = {"1": {"type": "object", "examples": [{"n": 1}]}}
        types.create(sv.EventTypeIn(name="old.type", description="d", schemas=schemas))
        place = bench.endpoint("archived", event_types=["old.type"])
        first = bench.publish("old.type")
        types.delete("old.type")
        bench.refused("eventType", eventType="old.type")
        own = sv.ApplicationIn(name="n", uid="never")
        refused(lambda: bench.publish("old.type", application=own, app="never"), 422)
        refused(lambda: bench.svix.application.get("never"), 404)
        refused(lambda: bench.endpoint("archived-2", event_types=["old.type"]), 422)
        example = sv.EventExampleIn(event_type="old.type")
        refused(lambda: bench.svix.endpoint.send_example(bench.app, place, example), 422)
        assert bench.svix.endpoint.get(bench.app, place).event_types == ["old.type"]
        assert bench.svix.message.get(bench.app, first.id).id == first.id
        types.create(sv.EventTypeIn(name="old.type", description="again"))
        second = bench.publish("old.type")
        wait_until(lambda: bench.came("archived") == [first.id, second.id], 15, "both")


def revealed(report, bench):
    with report.case("a secret that is shown has its entry in the audit log, without the secret"):
        place = bench.endpoint("revealed")
        secret = bench.svix.endpoint.get_secret(bench.app, place).key
        event = bench.post(
            bench.gateway.admin_port, "/api/v1/events", {"type": "t", "payload": {}}, 202, **{"X-Sluice-Request": "1"})
        bench.gateway.api(f"/api/v1/events/{event['id']}?reveal=true")
        bench.gateway.api(f"/api/v1/events/{event['id']}")
        entries = [one for one in bench.gateway.api("/api/v1/audit?limit=20")["items"] if one["action"] == "reveal"]
        assert [one["detail"] for one in entries] == [f"event: {event['id']}", "secret: shown"], entries
        assert secret not in json.dumps(entries) and all(one["actor"].startswith("key_") for one in entries), entries


def javascript(report, bench):
    with report.case("the official JavaScript client, from making an application to its end"):
        node = shutil.which("node")
        if node is None:
            raise Skip("node is not installed")
        looked = subprocess.run([node, "-e", "require.resolve('svix')"], capture_output=True, timeout=60)
        if looked.returncode != 0:
            raise Skip("npm's svix is not where node looks (NODE_PATH)")
        url = f"http://127.0.0.1:{bench.gateway.admin_port}"
        token = platform_key(bench.gateway.admin_port)
        done = subprocess.run(
            [node, JAVASCRIPT, url, token, bench.receiver.url], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-800:]
        said = json.loads(done.stdout)
        assert said["sameApplication"] and said["conflict"] == 409 and said["rotated"], said
        assert said["listed"] == [[said["message"], "js-1", ["js"]]], said
        assert said["attempts"] == [[said["message"], 0, 204]], said
        came = next(one for one in bench.receiver.snapshot() if one.path.endswith("/javascript"))
        given = {"secret": said["secret"], "headers": came.headers, "body": came.body.decode()}
        subprocess.run([node, JAVASCRIPT, "verify"], input=json.dumps(given), text=True, check=True, timeout=60)


def later(report, bench, folder):
    app = bench.svix.application.create(sv.ApplicationIn(name="later")).id
    place = bench.endpoint("later", app)
    at = (now() + timedelta(seconds=120)).replace(microsecond=0)
    made = {}
    with report.case("a message for later is in the log at once, and its delivery is pending"):
        made["client"] = bench.publish(app=app, deliver_at=at)
        assert made["client"].deliver_at == at, made
        body = {"eventType": "a.b", "payload": {"n": 2}, "deliverAt": at.isoformat()}
        answer = bench.post(bench.gateway.port, f"/api/v1/app/{app}/msg", body, 202)
        made["port"] = bench.svix.message.get(app, answer["id"])
        assert made["port"].deliver_at == at, answer
        soon = bench.publish(app=app)
        wait_until(lambda: bench.came("later") == [soon.id], 15, "the one that is not for later")
        attempts = bench.svix.message_attempt

        def waiting():
            rows = attempts.list_attempted_messages(app, place).data
            return {one.id: one for one in rows if one.status == 3}

        rows = wait_until(lambda: (found := waiting()) and len(found) == 2 and found, 10, "two pending ones")
        assert set(rows) == {one.id for one in made.values()}, rows
        assert all(one.next_attempt == at and one.deliver_at == at for one in rows.values()), rows
    with report.case("the own API takes a time too, and so does `sluice publish`"):
        own = {"type": "a.b", "payload": {"n": 3}, "deliver_at": at.isoformat(), "retention_hours": 5}
        mark = {"X-Sluice-Request": "1", "X-Tenant-Id": app}
        for port in (bench.gateway.admin_port, bench.gateway.port):
            event = bench.post(port, "/api/v1/events", own, 202, **mark)["id"]
            shown = bench.gateway.api(f"/api/v1/events/{event}")
            assert ["Sluice-Deliver-At", f"{int(at.timestamp())}000"] in shown["headers"], shown
            assert ["Sluice-Retention-Hours", "5"] in shown["headers"], shown
        admin = f"127.0.0.1:{bench.gateway.admin_port}"
        words = ["publish", "--admin", admin, "--tenant", app, "--type", "a.b", "--deliver-at"]
        sluice(*words, at.isoformat(), "--retention-hours", "5", check=0, stdin='{"n":4}')
        late = sluice(*words, "2020-01-01T00:00:00Z", stdin="{}")
        assert late.returncode == 2 or late.returncode == 64, late
        assert "one minute to 24 hours" in late.stderr, late.stderr
        own["deliver_at"] = "2020-01-01T00:00:00Z"
        wrong = bench.post(bench.gateway.admin_port, "/api/v1/events", own, 422, **mark)
        assert "deliver_at" in json.dumps(wrong), wrong
    with report.case("it waits over a restart, and goes when its time has come") as notes:
        bench.restart()
        stays_true(lambda: len(bench.came("later")) == 1, 1, "something went before its time")
        bench.restart(clockshift.environment(folder, 125))
        came = wait_until(lambda: len(found := bench.came("later")) == 6 and found, 20, lambda: bench.came("later"))
        assert {one.id for one in made.values()} < set(came), came
        notes.append("6 messages")
        bench.restart()


def retention(report, bench, folder):
    with report.case("content is gone when its time is over, by every way to it"):
        app = bench.svix.application.create(sv.ApplicationIn(name="retention")).id
        place = bench.endpoint("retention", app)
        hours = bench.publish(app=app, payload_retention_hours=2)
        days = bench.publish(app=app, payload_retention_period=5)
        body = {"eventType": "a.b", "payload": {"n": 1}, "payloadRetentionHours": 2}
        port = bench.post(bench.gateway.port, f"/api/v1/app/{app}/msg", body, 202)["id"]
        event = {"type": "own", "payload": {"n": 1}, "retention_hours": 2}
        mark = {"X-Sluice-Request": "1", "X-Tenant-Id": app}
        own = bench.post(bench.gateway.admin_port, "/api/v1/events", event, 202, **mark)["id"]
        wait_until(lambda: len(bench.came("retention")) == 4, 15, "the messages")
        assert all(bench.content(one, app) == {"n": 1} for one in (hours.id, days.id, port))
        step = [{"remove": ["$.n"]}]

        def tried(wanted, events):
            admin = bench.gateway.admin_port
            bench.post(admin, "/api/v1/transformations/test", {"event": own, "transform": step}, wanted, **mark)
            bench.post(admin, "/api/v1/filters/test", {"event": own, "filter": {"type": "own"}}, wanted, **mark)
            span = {"type": "own", "transform": step}
            shown = bench.post(admin, "/api/v1/transformations/what-if", span, 200, **mark)
            assert shown["events"] == len(shown["examples"]) == events, shown

        tried(200, 1)
        bench.restart(clockshift.environment(folder, 3 * HOUR))
        assert [bench.content(one, app) for one in (hours.id, days.id, port)] == [
            {"expired": True}, {"n": 1}, {"expired": True}]
        refused(lambda: bench.svix.message_attempt.resend(app, hours.id, place), 400)
        shown = bench.gateway.api(f"/api/v1/events/{own}")
        assert shown.get("expunged") is True and "body" not in shown, shown
        assert shown["deliveries"], "what became of it is still known"
        tried(404, 0)
        trace = bench.gateway.api(f"/api/v1/events/{own}/trace")
        assert "erased" in [one["code"] for one in trace["receipt"]], trace
        bench.svix.message_attempt.resend(app, days.id, place)
        wait_until(lambda: bench.came("retention").count(days.id) == 2, 15, "the one that is kept")
        since = now() - timedelta(minutes=30)

        def replayed():
            task = bench.svix.endpoint.bulk_replay(app, place, sv.BulkReplayIn(since=since))
            done = wait_until(
                lambda: (one := bench.svix.background_task.get(task.id)).status != "running" and one, 20, task.id)
            return done.data == {"messagesSent": 1}

        # What was sent by hand is under way until its outcome is in the store.
        wait_until(replayed, 20, "the one that is kept, and no other")
        bench.restart()


def main():
    arguments(__doc__)
    report = Report("svix_messages")
    if sv is None:
        report.skip("the official client", "svix is not installed")
        return report.finish()
    with Receiver() as receiver:
        with Gateway([open_source()], delivery={"allow": ["127.0.0.0/8"]}, publish=True) as gateway:
            bench = Bench(gateway, receiver)
            tags(report, bench)
            archived(report, bench)
            revealed(report, bench)
            javascript(report, bench)
            for group in (later, retention):
                group(report, bench, gateway.folder)
    report.finish()


if __name__ == "__main__":
    main()
