"""The second URL of a contract's entry, against the real process. A part of the suite `contract_port`."""

import json
import threading

from contractclient import Edge, signature
from contractport import EVENT, PATH, edge_source, envelope, exchange, raw
from receiver import Receiver
from report import wait_until
from serverutil import Gateway, free_port, sluice


def failover(report):
    """The second URL of an entry, before the dead-letter queue."""
    answers, held = {"/400": 400, "/503": 503, "/second": 204, "/also-bad": 500, "/held": 204}, threading.Event()

    def answer(delivery, _):
        if delivery.path == "/held":
            held.wait(20)
        return answers[delivery.path]

    receiver = Receiver(answer)
    with receiver, Gateway([edge_source()], delivery={"allow": ["127.0.0.0/8"]}) as gateway:
        edge, base = Edge(gateway, "default"), receiver.url.removesuffix("/hooks")

        def register(kind, path, second, **more):
            return edge.register(base + path, kind, secret="s" * 20, delivery_policy={"failover_url": second}, **more)

        def detail(event, status):
            rows = lambda: [  # noqa: E731
                one for one in edge.deliveries(f"?status={status}") if one["event_id"] == event]
            row = wait_until(rows, 20, f"the delivery is {status}")[0]
            return edge.call("GET", "/deliveries/" + row["delivery_id"])

        with report.case("failover_url: refused when it is saved where it may not be delivered to, or is no URL"):
            for second in ("http://10.0.0.1/", "ftp://a.test/", "http://127.0.0.1:25/"):
                draft = {"target_url": base + "/400", "event_type": "*", "delivery_policy": {"failover_url": second}}
                said = edge.call("POST", "/registry", draft, (422,))["error"]
                assert [it["field"] for it in said["details"]] == ["delivery_policy.failover_url"], said
        with report.case("failover_url: one attempt there, signed alike, and the history has it"):
            made = register("a", "/400", base + "/second")
            assert made["delivery_policy"]["failover_url"] == base + "/second", made
            sent = edge.ingest(edge.event("a"))["event_id"]
            one = detail(sent, "delivered")
            shown = [(it["attempt"], it["response_code"], it.get("failover")) for it in one["attempts"]]
            assert shown == [(1, 400, None), (2, 204, True)] and one["attempt"] == 2, one
            host = base.removeprefix("http://")
            assert [it.get("host") for it in one["attempts"]] == [None, host], one
            audited = edge.call("GET", "/audit?category=delivery")["items"]
            audited = {it["attempt"]: it.get("host") for it in audited if it["delivery_id"] == one["delivery_id"]}
            assert audited == {1: None, 2: host}, audited
            first, second = receiver.snapshot()
            assert (first.path, second.path) == ("/400", "/second") and first.body == second.body
            for it in (first, second):
                named = it.headers
                assert named["x-signature"] == signature("s" * 20, named["x-request-id"], named["x-timestamp"], it.body)
            assert first.headers["x-request-id"] != second.headers["x-request-id"]
            assert first.headers["x-idempotency-key"] == second.headers["x-idempotency-key"]
        with report.case("failover_url: also when the target is away, and of what came to the port"):
            closed = f"http://127.0.0.1:{free_port()}/"
            edge.register(closed, "b", retry_policy={"max_retries": 0}, delivery_policy={
                "failover_url": base + "/second"})
            body = json.dumps({**EVENT, "event_type": "b"}).encode()
            _, _, said = exchange(gateway.port, raw(PATH, envelope(edge.id, body).items(), body))
            one = detail(said["event_id"], "delivered")
            assert [it.get("failover") for it in one["attempts"]] == [None, True], one
        with report.case("failover_url: the gateway's own API and command line say where each attempt went"):
            host, row = base.removeprefix("http://"), gateway.api("/api/v1/deliveries?type=a")["items"][0]
            event, endpoint = row["event"], row["endpoint"]["id"]
            trace = gateway.api(f"/api/v1/events/{event}/trace")["endpoints"]
            for attempts in (
                gateway.api(f"/api/v1/deliveries/{event}/{endpoint}")["attempts"],
                next(it for it in trace if it.get("attempts"))["attempts"],
            ):
                assert [it.get("host") for it in attempts] == [None, host], attempts
            for words in (("deliveries", "show", event, endpoint), ("events", "why", event)):
                lines = sluice(*words, "--config", gateway.config_path).stdout.splitlines()
                lines = [it for it in lines if "attempt " in it and "status" in it]
                assert [host in it for it in lines] == [False, True] and "failover" in lines[1], lines
        with report.case("failover_url: who fails there is in the queue for what the target said, and is counted"):
            retry = {"max_retries": 1, "initial_delay_ms": 50, "max_delay_ms": 50}
            register("c", "/503", base + "/also-bad", retry_policy=retry)
            register("d", "/400", base + "/also-bad")
            for kind, wanted in (("c", [503, 503, 500]), ("d", [400, 500])):
                one = detail(edge.ingest(edge.event(kind))["event_id"], "dlq")
                assert [it["response_code"] for it in one["attempts"]] == wanted, one
                assert (one["response_code"], one["attempt"]) == (wanted[0], len(wanted)), one
                assert one["error_class"] == ("transient" if kind == "c" else "validation"), one
            count = lambda it: gateway.metric_sum("sluice_delivery_failovers_total", outcome=it)  # noqa: E731
            wait_until(lambda: [count("delivered"), count("failed")] == [2, 2], 10, "both are counted")
        with report.case("failover_url: killed while one is there, it is delivered after the next start"):
            register("e", "/400", base + "/held")
            event = edge.ingest(edge.event("e"))["event_id"]

            def paths():
                return [it.path for it in receiver.snapshot() if json.loads(it.body)["event_id"] == event]

            wait_until(lambda: "/held" in paths(), 10, "the second URL has it")
            gateway.kill()
            held.set()
            gateway.start()
            one = detail(event, "delivered")
            assert one["attempts"][-1]["failover"] and paths() == ["/400", "/held"] * 2, (one, paths())
