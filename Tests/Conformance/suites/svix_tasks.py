#!/usr/bin/env python3
"""What goes on behind the answers of the Svix-shaped API, as the official Python client asks for it: examples, messages
sent again in bulk, payloads expunged, usage counted, event types imported, operational webhooks."""

import base64
import hashlib
import hmac
import json
import time
from datetime import datetime, timedelta, timezone

import supportpath  # noqa: F401  (puts the shared modules on the path)
from receiver import Receiver
from report import Report, arguments, wait_until
from serverutil import Gateway, open_source, platform_key, request

try:
    import svix.api as sv
    from svix.exceptions import HttpError, HTTPValidationError
except ImportError:
    sv = None

PETS = """
openapi: 3.1.0
info: {title: Pets, version: "1"}
webhooks:
  pet.adopted:
    post:
      summary: A pet has a home.
      requestBody:
        content:
          application/json:
            schema: {$ref: "#/components/schemas/Pet"}
            example: {name: Rex, parents: []}
  pet.returned:
    post: {deprecated: true, description: A pet came back.}
components:
  schemas:
    Pet:
      type: object
      required: [name]
      properties:
        name: {type: string, nullable: true}
        parents: {type: array, items: {$ref: "#/components/schemas/Pet"}}
"""


def now():
    return datetime.now(timezone.utc)


class Bench:
    """A gateway, a receiver that answers as a path says, and the official client."""

    def __init__(self, gateway, receiver):
        self.gateway, self.receiver = gateway, receiver
        self.svix = self.client(platform_key(gateway.admin_port))

    def client(self, token):
        url = f"http://127.0.0.1:{self.gateway.admin_port}"
        return sv.Svix(token, sv.SvixOptions(server_url=url))

    def app(self, name="one"):
        return self.svix.application.create(sv.ApplicationIn(name=name)).id

    def endpoint(self, app, place, **more):
        return self.svix.endpoint.create(app, sv.EndpointIn(url=f"{self.receiver.url}/{place}", **more)).id

    def publish(self, app, kind, payload=None, **more):
        body = sv.MessageIn(event_type=kind, payload=payload or {"n": 1}, **more)
        return self.svix.message.create(app, body).id

    def came(self, place):
        """The ids of messages that came there, in order."""
        return [one.headers["svix-id"] for one in self.receiver.snapshot() if one.path.endswith("/" + place)]

    def settled(self, app, endpoint, count):
        """So many messages have been tried there."""
        options = sv.MessageAttemptListByEndpointOptions(limit=250)

        def there():
            return self.svix.message_attempt.list_by_endpoint(app, endpoint, options).data

        return wait_until(lambda: len(there()) >= count, 20, f"{count} attempts at {endpoint}")

    def over(self, task):
        """The task when it has ended."""
        found = wait_until(
            lambda: (one := self.svix.background_task.get(task.id)).status != "running" and one, 20, f"{task.id}")
        assert found.task == task.task and found.id.startswith("qtask_"), found
        return found

    def call(self, method, path, body=None, wanted=(200, 201, 202, 204)):
        data = None if body is None else json.dumps(body)
        status, _, text = request(self.gateway.admin_port, "/api/v1" + path, data, None, method)
        assert status in wanted, f"{method} {path}: {status} {text[:300]}"
        return json.loads(text) if text else None


def script(delivery, number):
    """`/…-500` fails as long as it is asked."""
    return 500 if delivery.path.endswith("-500") else 204


def refused(call, status, code=None):
    try:
        call()
    except HTTPValidationError as error:
        assert status == 422, error
    except HttpError as error:
        assert error.status_code == status and (code is None or error.code == code), (error.status_code, error.code)
    else:
        raise AssertionError("it was not refused")


def examples(report, bench):
    with report.case("an example goes to its endpoint alone, signed, as a message that can be read"):
        app = bench.app()
        one, two = bench.endpoint(app, "example-1"), bench.endpoint(app, "example-2")
        schema = {"type": "object", "examples": [{"order": 7, "total": 1.5}, {"order": 8}]}
        bench.svix.event_type.create(sv.EventTypeIn(name="order.paid", description="d", schemas={"1": schema}))
        sent = bench.svix.endpoint.send_example(app, one, sv.EventExampleIn(event_type="order.paid"))
        assert sent.payload == {} and sent.event_type == "order.paid", sent
        second = bench.svix.endpoint.send_example(
            app, one, sv.EventExampleIn(event_type="order.paid", example_index=1))
        ping = bench.svix.endpoint.send_example(app, one, sv.EventExampleIn(event_type="svix.ping"))
        wait_until(lambda: len(bench.came("example-1")) == 3, 15, "the examples")
        assert bench.came("example-1") == [sent.id, second.id, ping.id] and bench.came("example-2") == []
        first = next(one for one in bench.receiver.snapshot() if one.path.endswith("/example-1"))
        assert json.loads(first.body) == {"order": 7, "total": 1.5}, first.body
        key = base64.b64decode(bench.svix.endpoint.get_secret(app, one).key.removeprefix("whsec_"))
        text = f"{first.headers['svix-id']}.{first.headers['svix-timestamp']}.".encode() + first.body
        wanted = "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
        assert first.headers["svix-signature"] == wanted, first.headers
        options = sv.MessageGetOptions(with_content=True)
        assert bench.svix.message.get(app, sent.id, options).payload == {"order": 7, "total": 1.5}
        bench.settled(app, one, 3)
        destinations = bench.svix.message_attempt.list_attempted_destinations(app, sent.id).data
        assert [one.id for one in destinations] == [one], destinations
    with report.case("an example heeds filters and `disabled`, and an event type without one is said to be so"):
        narrow = bench.endpoint(app, "example-3", event_types=["order.paid"])
        off = bench.endpoint(app, "example-4", disabled=True)
        kept = bench.svix.endpoint.send_example(app, narrow, sv.EventExampleIn(event_type="svix.ping"))
        bench.svix.endpoint.send_example(app, off, sv.EventExampleIn(event_type="svix.ping"))
        bench.svix.endpoint.patch(app, off, sv.EndpointPatch(disabled=False))
        bench.svix.endpoint.send_example(app, narrow, sv.EventExampleIn(event_type="order.paid"))
        last = bench.svix.endpoint.send_example(app, off, sv.EventExampleIn(event_type="order.paid"))
        wait_until(lambda: bench.came("example-3") and last.id in bench.came("example-4"), 15, "the others")
        assert len(bench.came("example-3")) == 1 and bench.came("example-4") == [last.id]
        assert bench.svix.message.get(app, kept.id).id == kept.id
        bench.svix.event_type.create(sv.EventTypeIn(name="bare", description="d"))
        for kind, status, code in (("bare", 400, "invalid_scheme"), ("none", 404, "not_found"), ("a b", 422, None)):
            body = {"eventType": kind}
            said = bench.call("POST", f"/app/{app}/endpoint/{one}/send-example", body, (status,))
            assert code is None or said["code"] == code, said


def replays(report, bench):
    with report.case("replay-missing sends what the endpoint takes and never had, once") as notes:
        app, since = bench.app(), now() - timedelta(minutes=1)
        ids = [bench.publish(app, "a.b", {"n": number}) for number in range(20)]
        bench.publish(app, "c.d")
        bench.publish(app, "a.b", channels=["eu"])
        other = bench.endpoint(app, "missing-other")
        bench.svix.endpoint.send_example(app, other, sv.EventExampleIn(event_type="svix.ping"))
        for kind in ("a.b", "c.d"):
            bench.svix.event_type.create(sv.EventTypeIn(name=kind, description="d"))
        late = bench.endpoint(app, "missing", event_types=["a.b"])
        task = bench.svix.endpoint.replay_missing(app, late, sv.ReplayIn(since=since))
        assert task.task == "endpoint.replay" and task.status == "running", task
        ended = bench.over(task)
        assert ended.status == "finished" and ended.data == {"messagesSent": 21}, ended
        wait_until(lambda: len(bench.came("missing")) == 21, 15, "what was missing")
        assert set(ids) < set(bench.came("missing")) and bench.came("missing-other") != bench.came("missing")
        bench.settled(app, late, 21)
        again = bench.over(bench.svix.endpoint.replay_missing(app, late, sv.ReplayIn(since=since)))
        assert again.data == {"messagesSent": 0}, again
        eu = bench.endpoint(app, "missing-eu", channels=["eu"])
        ended = bench.over(bench.svix.endpoint.replay_missing(app, eu, sv.ReplayIn(since=since)))
        assert ended.data == {"messagesSent": 1}, ended
        before = sv.ReplayIn(since=since - timedelta(days=30), until=since)
        assert bench.over(bench.svix.endpoint.replay_missing(app, other, before)).data == {"messagesSent": 0}
        notes.append("21 of 23")
    with report.case("bulk-replay sends what its filter takes, whatever became of it"):
        app, since = bench.app(), now() - timedelta(minutes=1)
        good, bad = bench.endpoint(app, "bulk"), bench.endpoint(app, "bulk-500")
        bulk = bench.svix.endpoint.bulk_replay
        for number in range(6):
            bench.publish(app, "even" if number % 2 == 0 else "odd", channels=["eu"] if number < 3 else None)
        bench.settled(app, good, 6)
        bench.settled(app, bad, 6)

        def sent(endpoint, **more):
            ended = bench.over(bulk(app, endpoint, sv.BulkReplayIn(since=since, **more)))
            assert ended.task == "endpoint.bulk-replay" and ended.status == "finished", ended
            return ended.data["messagesSent"]

        assert sent(good) == 6
        wait_until(lambda: len(bench.came("bulk")) == 12, 15, "all of them again")
        assert len(set(bench.came("bulk"))) == 6, "under the ids that they had"
        bench.settled(app, good, 12)
        assert sent(good, event_types=["even"]) == 3
        bench.settled(app, good, 15)
        assert sent(good, channel="eu", event_types=["odd"]) == 1
        bench.settled(app, good, 16)
        assert sent(good, tag="none") == 0
        assert sent(good, status=sv.MessageStatus.FAIL) == 0
        assert sent(good, status_code_class=sv.StatusCodeClass.CODE5XX) == 0
        assert sent(bad) == 0, "they wait for their retries"
        assert sent(bad, status=sv.MessageStatus.SENDING, status_code_class=sv.StatusCodeClass.CODE5XX) == 6
        bench.settled(app, bad, 12)
        manual = bench.svix.message_attempt.list_by_endpoint(app, bad).data
        assert sum(one.trigger_type == 1 for one in manual) == 6, manual
    with report.case("a disabled endpoint is sent nothing, and orders are read before they are begun"):
        bench.svix.endpoint.patch(app, good, sv.EndpointPatch(disabled=True))
        assert bench.over(bulk(app, good, sv.BulkReplayIn(since=since))).data == {"messagesSent": 0}
        refused(lambda: bulk(app, "none", sv.BulkReplayIn(since=since)), 404, "not_found")
        path = f"/app/{app}/endpoint/{good}"
        for name, body in (("bulk-replay", {}), ("replay-missing", {"since": "x"}), ("recover", {"since": 7})):
            bench.call("POST", f"{path}/{name}", body, (422,))
    with report.case("a POST that is sent again begins no second task"):
        options = sv.EndpointBulkReplayOptions(idempotency_key="once")
        tasks = [bulk(app, bad, sv.BulkReplayIn(since=since, tag="none"), options).id for _ in range(2)]
        assert tasks[0] == tasks[1], tasks


def contents(report, bench):
    with report.case("expunge-all-contents: no payload is shown or sent by hand again, of this application"):
        app, other = bench.app(), bench.app()
        there = bench.endpoint(app, "expunged")
        since = now() - timedelta(minutes=1)
        ids = [bench.publish(app, "a.b", {"secret": "geheim"}) for _ in range(5)]
        kept = bench.publish(other, "a.b", {"secret": "geheim"})
        bench.settled(app, there, 5)
        options = sv.MessageGetOptions(with_content=True)
        task = bench.svix.message.expunge_all_contents(app)
        # With the answer it is done; what comes after it stays.
        at_once = bench.publish(app, "a.b", {"secret": "at once"})
        for one in ids:
            assert bench.svix.message.get(app, one, options).payload == {"expired": True}
        ended = bench.over(task)
        assert ended.task == "application.purge_content" and ended.data == {"messagesPurged": 5}, ended
        assert bench.svix.message.get(app, at_once, options).payload == {"secret": "at once"}
        bench.settled(app, there, 6)
        refused(lambda: bench.svix.message_attempt.resend(app, ids[0], there), 400, "missing_payload")
        bulk = bench.svix.endpoint.bulk_replay(app, there, sv.BulkReplayIn(since=since))
        assert bench.over(bulk).data == {"messagesSent": 1}
        assert bench.svix.message.get(other, kept, options).payload == {"secret": "geheim"}
        new = bench.publish(app, "a.b", {"secret": "later"})
        assert bench.svix.message.get(app, new, options).payload == {"secret": "later"}
        assert bench.over(bench.svix.message.expunge_all_contents(app)).data == {"messagesPurged": 2}


def prechecks(report, bench):
    with report.case("a precheck says whether an endpoint would get it, and publishes nothing"):
        app = bench.app()

        def active(kind, channels=None):
            return bench.svix.message.precheck(app, sv.MessagePrecheckIn(event_type=kind, channels=channels)).active

        assert not active("order.paid")
        one = bench.endpoint(app, "pre", event_types=["order.paid"], channels=["eu"])
        assert active("order.paid", ["eu", "us"]) and not active("order.paid") and not active("other", ["eu"])
        bench.svix.endpoint.patch(app, one, sv.EndpointPatch(disabled=True))
        assert not active("order.paid", ["eu"])
        assert bench.svix.message.list(app).data == []


def tenants(report, bench):
    with report.case("an application sees its own tasks, and the platform those of all"):
        app, other = bench.app(), bench.app()
        task = bench.svix.message.expunge_all_contents(app).id
        tokens = [bench.svix.authentication.app_portal_access(one, sv.AppPortalAccessIn()).token
                  for one in (app, other)]
        own, foreign = (bench.client(token) for token in tokens)
        assert [one.id for one in own.background_task.list().data] == [task]
        assert foreign.background_task.list().data == []
        refused(lambda: foreign.background_task.get(task), 404, "not_found")
        options = sv.BackgroundTaskListOptions(task="application.purge_content", limit=1)
        assert [one.id for one in bench.svix.background_task.list(options).data] == [task]
        refused(lambda: own.message.expunge_all_contents(app), 403)
        refused(own.operational_webhook.endpoint.list, 403)
    with report.case("expire-all ends the tokens of one application"):
        bench.svix.authentication.expire_all(app, sv.ApplicationTokenExpireIn())
        refused(own.background_task.list, 401)
        assert foreign.background_task.list().data == []
        bench.call("POST", f"/auth/app/{app}/expire-all", {"expiry": 60}, (422,))


def imports(report, bench):
    kinds = bench.svix.event_type
    with report.case("the webhooks of an OpenAPI document are event types, with schemas that stand alone"):
        dry = kinds.import_openapi(sv.EventTypeImportOpenApiIn(spec_raw=PETS, dry_run=True)).data
        assert dry.modified == [] and [one.name for one in dry.to_modify] == ["pet.adopted", "pet.returned"], dry
        refused(lambda: kinds.get("pet.adopted"), 404)
        done = kinds.import_openapi(sv.EventTypeImportOpenApiIn(spec_raw=PETS)).data
        assert done.modified == ["pet.adopted", "pet.returned"], done
        pet = kinds.get("pet.adopted")
        properties = {
            "name": {"type": ["string", "null"]},
            "parents": {"type": "array", "items": {"$ref": "#/definitions/Pet"}},
        }
        schema = {"type": "object", "required": ["name"], "properties": properties}
        assert pet.schemas == {
            "1": {**schema, "definitions": {"Pet": schema}, "examples": [{"name": "Rex", "parents": []}]}
        }, pet.schemas
        assert pet.description == "A pet has a home." and kinds.get("pet.returned").deprecated
        assert kinds.import_openapi(sv.EventTypeImportOpenApiIn(spec_raw=PETS)).data.modified == []
        app = bench.app()
        bench.endpoint(app, "pets")
        there = bench.svix.endpoint.list(app).data[0].id
        bench.svix.endpoint.send_example(app, there, sv.EventExampleIn(event_type="pet.adopted"))
        wait_until(lambda: bench.came("pets"), 15, "the example")
    with report.case("an import brings archived types back, keeps other versions, and archives the rest if asked"):
        kinds.delete("pet.adopted")
        kinds.patch("pet.returned", sv.EventTypePatch(schemas={"7": {"type": "object"}}))
        spec = {"webhooks": {"pet.returned": {"post": {"summary": "Back.", "requestBody": {"content": {
            "application/json": {"schema": {"type": "string"}}}}}}}}
        done = kinds.import_openapi(sv.EventTypeImportOpenApiIn(spec=spec, replace_all=True)).data
        assert done.modified == ["pet.returned"], done
        returned = kinds.get("pet.returned")
        assert returned.schemas == {"1": {"type": "string"}, "7": {"type": "object"}} and not returned.deprecated
        assert [one.name for one in kinds.list().data] == ["pet.returned"]
        assert kinds.import_openapi(sv.EventTypeImportOpenApiIn(spec_raw=PETS)).data.modified == [
            "pet.adopted", "pet.returned"]
        assert kinds.get("pet.adopted").archived is False
    with report.case("a document that is wrong changes nothing and is told where"):
        before = [one.name for one in kinds.list().data]
        wrong = {"webhooks": {"fine": {}, "bad": {"$ref": "other.yaml#/x"}}}
        said = bench.call("POST", "/event-type/import/openapi", {"spec": wrong}, (422,))
        assert said["detail"][0]["loc"] == ["body", "spec", "webhooks", "bad", "$ref"], said
        for body in ({}, {"spec": wrong, "specRaw": "x"}):
            bench.call("POST", "/event-type/import/openapi", body, (400,))
        began = time.monotonic()
        laughs = "l0: &l0 ha\n" + "\n".join(
            f"l{n}: &l{n} [{','.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 12))
        bench.call("POST", "/event-type/import/openapi", {"specRaw": laughs}, (422,))
        assert time.monotonic() - began < 30
        assert [one.name for one in kinds.list().data] == before
    with report.case("the 31 events of Ops-Center are a preset"):
        done = bench.call("POST", "/event-type/import/preset", {"preset": "ops-center"})["data"]
        assert len(done["modified"]) == 31 and "ota.deployment_failed" in done["modified"], done
        names = {one.name for one in kinds.list().data}
        assert set(done["modified"]) <= names
        again = bench.call("POST", "/event-type/import/preset", {"preset": "ops-center", "dryRun": True})["data"]
        assert again == {"modified": [], "to_modify": [], "archived": []}, again


def usage(report, bench):
    with report.case("usage is counted for each application, and what its endpoints ask for is listed"):
        app, quiet, since = bench.app(), bench.app(), now() - timedelta(minutes=1)
        one = bench.endpoint(app, "usage")
        bench.endpoint(quiet, "usage-quiet", event_types=["order.paid"])
        for _ in range(3):
            bench.publish(app, "a.b")
        bench.settled(app, one, 3)
        order = sv.AppUsageStatsIn(since=since, until=now() + timedelta(minutes=1), app_ids=[app, quiet, "none"])
        task = bench.svix.statistics.aggregate_app_stats(order)
        assert task.unresolved_app_ids == ["none"], task
        ended = bench.over(task)
        counts = {row["appId"]: row["messageDestinations"] for row in ended.data["appStats"]}
        assert counts == {app: 3, quiet: 0}, ended
        everything = sv.AppUsageStatsIn(since=since, until=now() + timedelta(minutes=1))
        rows = bench.over(bench.svix.statistics.aggregate_app_stats(everything)).data["appStats"]
        counts = {row["appId"]: row["messageDestinations"] for row in rows}
        assert counts[app] == 3 and quiet not in counts, rows
        refused(lambda: bench.svix.statistics.aggregate_app_stats(
            sv.AppUsageStatsIn(since=since, until=now(), app_ids=["none"])), 422)
        rows = bench.over(bench.svix.statistics.aggregate_event_types()).data["event_types"]
        by_app = {row["appId"]: row for row in rows}
        assert by_app[app]["hasCatchAllEndpoint"] and by_app[app]["explicitlySubscribedEventTypes"] == []
        assert by_app[quiet]["explicitlySubscribedEventTypes"] == ["order.paid"], by_app[quiet]


def operational(report, bench):
    with report.case("operational webhooks are made, heard, rotated and removed in Svix's form"):
        own = bench.svix.operational_webhook.endpoint
        made = own.create(sv.OperationalWebhookEndpointIn(
            url=f"{bench.receiver.url}/ears", event_types=["endpoint.created"], metadata={"k": "v"}))
        assert made.event_types == ["endpoint.created"] and made.metadata == {"k": "v"}, made
        assert own.get_secret(made.id).key.startswith("whsec_")
        own.set_headers(made.id, sv.OperationalWebhookEndpointHeadersIn(headers={"x-own": "1"}))
        assert own.get_headers(made.id).headers == {"x-own": "1"}
        default = next(one.id for one in bench.svix.application.list().data if one.name == "default")
        bench.endpoint(default, "heard")

        def heard():
            return [one for one in bench.receiver.snapshot() if one.path.endswith("/ears")]

        came = wait_until(heard, 15, "the event")[0]
        assert json.loads(came.body)["type"] == "endpoint.created" and came.headers["x-own"] == "1", came.body
        assert [one.id for one in own.list().data] == [made.id]
        old = own.get_secret(made.id).key
        own.rotate_secret(made.id, sv.OperationalWebhookEndpointSecretIn())
        assert own.get_secret(made.id).key != old
        changed = own.upsert(made.id, sv.OperationalWebhookEndpointUpsertIn(url=f"{bench.receiver.url}/ears2"))
        assert changed.id == made.id and changed.url.endswith("/ears2") and not changed.event_types, changed
        assert all(one.id != made.id for one in bench.svix.endpoint.list(default).data)
        refused(lambda: bench.svix.endpoint.get(default, made.id), 404)
        wrong = {"url": f"{bench.receiver.url}/x", "eventTypes": ["no.such"]}
        bench.call("POST", "/operational-webhook/endpoint", wrong, (422,))
        own.delete(made.id)
        refused(lambda: own.get(made.id), 404)


def restart(report, bench):
    with report.case("tasks that are over last over a restart, and so does what was expunged"):
        app = bench.app()
        one = bench.publish(app, "kept.until")
        task = bench.over(bench.svix.message.expunge_all_contents(app))
        before = [one.id for one in bench.svix.background_task.list().data]
        bench.gateway.stop()
        bench.gateway.start()
        bench.svix = bench.client(platform_key(bench.gateway.admin_port))
        assert bench.svix.background_task.get(task.id) == task
        assert [one.id for one in bench.svix.background_task.list().data] == before
        options = sv.MessageGetOptions(with_content=True)
        assert bench.svix.message.get(app, one, options).payload == {"expired": True}


def main():
    arguments(__doc__)
    report = Report("svix_tasks")
    if sv is None:
        report.skip("the official client", "svix is not installed")
        return report.finish()
    with Receiver(script) as receiver:
        with Gateway([open_source()], delivery={"allow": ["127.0.0.0/8"]}) as gateway:
            bench = Bench(gateway, receiver)
            for group in (examples, replays, contents, prechecks, tenants, usage, operational, imports, restart):
                group(report, bench)
    report.finish()


if __name__ == "__main__":
    main()
