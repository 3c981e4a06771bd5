#!/usr/bin/env python3
"""Polled messages of the Svix-shaped API, as Svix's own client asks for them: everything once and in order, by an
iterator of the caller's or by a consumer that the gateway keeps, over restarts and kills."""

import datetime
import json
import tempfile
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
from receiver import Receiver
from report import Report, arguments, one_line
from serverutil import Gateway, open_source, platform_key, request

try:
    from svix.api import (
        ApplicationIn,
        EndpointIn,
        MessageIn,
        MessagePollerConsumerPollOptions,
        MessagePollerPollOptions,
        PollingEndpointConsumerSeekIn,
        Svix,
        SvixOptions,
    )
    from svix.exceptions import HttpError, HTTPValidationError
except ImportError:
    Svix = None


def client_of(gateway, token=None):
    url = f"http://127.0.0.1:{gateway.admin_port}"
    return Svix(token or platform_key(gateway.admin_port), SvixOptions(server_url=url, retry_schedule=[]))


def gateway_in(folder=None, receiver=None):
    delivery = {"allow": ["127.0.0.0/8"]}
    return Gateway([open_source("in")], folder=folder, delivery=delivery)


def publish(client, application, count, kind="a.b", channels=None, first=0):
    return [
        client.message.create(
            application, MessageIn(event_type=kind, payload={"n": first + number}, channels=channels)).id
        for number in range(count)
    ]


def refusal(call, *arguments):
    try:
        call(*arguments)
    except (HttpError, HTTPValidationError) as error:
        return error.status_code
    raise AssertionError("it was answered")


def drained(poll, limit):
    """All there is by now, from the iterator on; and where that leaves off."""
    found, iterator = [], None
    while True:
        page = poll(limit, iterator)
        assert len(page.data) <= limit, len(page.data)
        found += page.data
        iterator = page.iterator
        if page.done:
            return found, iterator


def iterators(report):
    with report.case("by an iterator: all messages of the application, oldest first, and what comes later"):
        with gateway_in() as gateway:
            client = client_of(gateway)
            application = client.application.create(ApplicationIn(name="one", uid="one")).id
            client.application.create(ApplicationIn(name="two", uid="two"))
            poller, wanted = client.message.poller, []
            for number in range(60):
                wanted += publish(client, "one", 2, first=2 * number)
                publish(client, "two", 1)
            gateway.post("/in/in", b"{}")

            def poll(limit, iterator):
                return poller.poll(application, "poll_mine", MessagePollerPollOptions(limit=limit, iterator=iterator))

            for limit in (7, 50, 120, 250):
                found, iterator = drained(poll, limit)
                assert [one.id for one in found] == wanted, limit
            assert [one.payload["n"] for one in found] == list(range(120)) and found[0].event_type == "a.b"
            again = poll(50, iterator)
            assert again.data == [] and again.done and again.iterator
            more = publish(client, "one", 3, kind="c", channels=["eu"])
            page = poll(50, again.iterator)
            assert [one.id for one in page.data] == more and page.data[0].channels == ["eu"] and page.done
            # Times are shown in milliseconds: what came later in the same one is younger.
            middle = found[99].timestamp
            younger = sum(one.timestamp >= middle for one in found) + 3
            for options, count in (
                (MessagePollerPollOptions(event_type="c"), 3), (MessagePollerPollOptions(channel="eu"), 3),
                (MessagePollerPollOptions(event_type="c", channel="us"), 0),
                (MessagePollerPollOptions(after=middle, limit=250), younger),
            ):
                page = poller.poll("one", "poll_mine", options)
                assert len(page.data) == count and page.done, f"{options}: {len(page.data)}"


def sinks(report):
    with report.case("an endpoint is a sink with its types and channels, from its making on"):
        with Receiver() as receiver, gateway_in() as gateway:
            client = client_of(gateway)
            application = client.application.create(ApplicationIn(name="one", uid="one")).id
            publish(client, "one", 3)
            time.sleep(0.01)
            made = client.endpoint.create(
                "one", EndpointIn(url=receiver.url, uid="polled", channels=["eu"], disabled=True))
            wanted = publish(client, "one", 2, channels=["eu", "us"])
            publish(client, "one", 2, channels=["us"])
            publish(client, "one", 2)
            poller = client.message.poller
            for sink in (made.id, "polled"):
                page = poller.poll(application, sink)
                assert [one.id for one in page.data] == wanted and page.done, sink
            assert poller.consumer_poll("one", "polled", "c").data == page.data
            # The same sink by another name of it.
            assert poller.consumer_poll("one", made.id, "c").data == []
            client.endpoint.delete("one", "polled")
            assert refusal(poller.poll, "one", made.id) == 404
            assert refusal(poller.poll, "one", "polled") == 404, "its sink has not become that of all messages"
            assert len(poller.poll("one", "poll_polled").data) == 9


def consumers(report):
    with report.case("a consumer goes on where it was, over a stop and a kill; others are not moved by it"):
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
            with gateway_in(folder) as gateway:
                client = client_of(gateway)
                client.application.create(ApplicationIn(name="one", uid="one"))
                wanted = publish(client, "one", 30)
                found = []

                def poll(consumer="c", limit=4, iterator=None):
                    options = MessagePollerConsumerPollOptions(limit=limit, iterator=iterator)
                    return client_of(gateway).message.poller.consumer_poll("one", "poll_s", consumer, options)

                for _ in range(3):
                    page = poll()
                    found += [one.id for one in page.data]
                assert found == wanted[:12] and not page.done
                # An answer that was lost: again, with the iterator of the one before.
                lost = poll()
                assert [one.id for one in lost.data] == wanted[12:16]
                assert poll(iterator=page.iterator).data == lost.data
                found += [one.id for one in lost.data]
                assert gateway.stop() == 0
            with Gateway([open_source("in")], folder=folder, expect_clean=False) as gateway:
                found += [one.id for one in poll().data]
                gateway.kill()
            with gateway_in(folder) as gateway:
                client = client_of(gateway)
                wanted += publish(client, "one", 2)
                while not (page := poll()).done:
                    found += [one.id for one in page.data]
                found += [one.id for one in page.data]
                assert found == wanted, f"{len(found)} of {len(wanted)}"
                assert [one.id for one in poll("d", 250).data] == wanted, "another consumer was moved"
                assert poll().data == [] and poll().done
    with report.case("who may only look moves no consumer by an iterator"):
        with gateway_in() as gateway:
            client = client_of(gateway)
            application = client.application.create(ApplicationIn(name="one", uid="one")).id
            order = json.dumps({"tenant_id": application, "role": "viewer"})
            status, _, text = request(
                gateway.admin_port, "/api/v1/keys", order, {"X-Sluice-Request": "1"}, "POST")
            assert status == 201, f"{status} {one_line(text.decode())}"
            viewer, wanted = client_of(gateway, json.loads(text)["token"]), publish(client, "one", 6)

            def page(who, limit, iterator=None):
                options = MessagePollerConsumerPollOptions(limit=limit, iterator=iterator)
                return who.message.poller.consumer_poll(application, "poll_s", "c", options)

            first = page(client, 2)
            assert [one.id for one in page(client, 2).data] == wanted[2:4]
            assert [one.id for one in page(viewer, 250, first.iterator).data] == wanted[2:]
            assert [one.id for one in page(viewer, 1).data] == wanted[4:5], "the consumer was moved"
            assert [one.id for one in page(client, 1, first.iterator).data] == wanted[2:3]
            assert [one.id for one in page(client, 250).data] == wanted[3:], "an operator's iterator moves it"
    with report.case("seek moves a consumer to a time, back and forwards"):
        with gateway_in() as gateway:
            client = client_of(gateway)
            client.application.create(ApplicationIn(name="one", uid="one"))
            wanted, poller = publish(client, "one", 5), client.message.poller
            known = poller.poll("one", "poll_s").data
            middle = known[2].timestamp
            ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
            begins = ends - datetime.timedelta(days=1)
            later = [one.id for one in known if one.timestamp >= middle]
            for time_of, rest in ((middle, later), (begins, wanted), (ends, [])):
                sought = poller.consumer_seek("one", "poll_s", "c", PollingEndpointConsumerSeekIn(after=time_of))
                assert sought.iterator
                assert [one.id for one in poller.consumer_poll("one", "poll_s", "c").data] == rest, time_of


def refusals(report):
    with report.case("what is another's is not there, and what cannot be is refused"):
        with gateway_in() as gateway, gateway_in() as other:
            client = client_of(gateway)
            for name in ("one", "two"):
                client.application.create(ApplicationIn(name=name, uid=name))
            made = client.endpoint.create("two", EndpointIn(url="https://example.com/", uid="theirs"))
            publish(client, "two", 1)
            publish(client, "one", 1)
            token = client.authentication.app_portal_access
            access = call(gateway, "POST", "/api/v1/auth/app-portal-access/one", {})["token"]
            assert token
            own = client_of(gateway, access).message.poller
            assert len(own.poll("one", "poll_s").data) == 1
            assert refusal(own.poll, "two", "s") == 404 and refusal(own.consumer_poll, "two", "s", "c") == 404
            after = PollingEndpointConsumerSeekIn(after=datetime.datetime.now(datetime.timezone.utc))
            assert refusal(own.consumer_seek, "two", "s", "c", after) == 404
            assert refusal(own.poll, "one", made.id) == 404
            assert refusal(own.poll, "one", "ep_nothing") == 404 and refusal(own.poll, "one", "a b") == 404
            assert refusal(own.consumer_poll, "one", "poll_s", "a b") == 422
            theirs = client_of(other)
            theirs.application.create(ApplicationIn(name="one", uid="one"))
            foreign = theirs.message.poller.poll("one", "poll_s").iterator
            for options in (
                MessagePollerPollOptions(limit=0), MessagePollerPollOptions(limit=251),
                MessagePollerPollOptions(iterator="nothing"), MessagePollerPollOptions(iterator=foreign),
            ):
                assert refusal(own.poll, "one", "poll_s", options) == 422, options


def call(gateway, method, path, body):
    status, _, text = request(gateway.admin_port, path, json.dumps(body), None, method)
    assert status == 200, f"{status} {one_line(text.decode())}"
    return json.loads(text)


def main():
    arguments(__doc__)
    report = Report("polling")
    if Svix is None:
        report.skip("polled messages", "the python package `svix` is not installed")
    else:
        for group in (iterators, sinks, consumers, refusals):
            group(report)
    report.finish()


if __name__ == "__main__":
    main()
