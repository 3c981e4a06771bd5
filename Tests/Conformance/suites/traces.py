#!/usr/bin/env python3
"""Traces, from outside: what a collector gets of each event, against what happened to it, what endpoints are told of
the trace, and that nothing else suffers when the collector does.

The collector is a Python server of our own; what it gets is checked by the official schema (opentelemetry-proto)."""

import base64
import json
import os
import re
import signal
import socket
import ssl
import tempfile

import supportpath  # noqa: F401  (puts the shared modules on the path)
from certificates import SERVER as SERVES
from certificates import make
from receiver import Receiver
from report import Report, Skip, arguments, wait_until
from serverutil import Gateway, endpoint, free_port, open_source, platform_key, request

SERVER, CLIENT, CONSUMER, ERROR = 2, 3, 5, 2
QUICK = {"delays": ["200ms"] * 20, "jitter": 0}
FOREIGN = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


class Collector(Receiver):
    """Keeps the spans of what it took; `answers` are its answers before that, each (status, fields) or bytes."""

    def __init__(self, answers=(), tls=None):
        self.answers, self.requests, self.all = list(answers), [], []
        super().__init__(self.take, tls=tls)
        self.base = f"https://localhost:{self.port}" if tls else f"http://127.0.0.1:{self.port}"

    def take(self, delivery, number):
        with self.lock:
            self.requests.append(delivery)
            if self.answers:
                return self.answers.pop(0)
            for resource in json.loads(delivery.body)["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    self.all += scope["spans"]
        return 200

    def spans(self, kind=None, event=None):
        with self.lock:
            found = [s for s in self.all if kind in (None, s["kind"])]
        return [s for s in found if event is None or attributes(s).get("sluice.event.id") == event]


def attributes(span):
    found = {}
    for entry in span["attributes"]:
        (form, value), = entry["value"].items()
        assert entry["key"] not in found, f"{entry['key']} twice in {span}"
        found[entry["key"]] = int(value) if form == "intValue" else value
    return found


def settings(collector, **more):
    return {"endpoint": getattr(collector, "base", collector), "ratio": 1, **more}


def send(gateway, body=b"{}", headers=None, path="/in/test"):
    status, _, answer = gateway.post(path, body, headers)
    assert status in (200, 202), f"{status} {answer[:200]}"
    return json.loads(answer)["id"]


def check_tree(collector, event, states, trace=None, parent=None):
    """(arrival, deliveries, attempts) of the event, whose deliveries are in these states at last."""
    wait_until(
        lambda: len(collector.spans(CONSUMER, event)) == len(states), 20, lambda: f"{collector.spans(event=event)}")
    wait_until(lambda: collector.spans(SERVER, event), 20, "no arrival")
    (arrival,) = collector.spans(SERVER, event)
    deliveries, attempts = collector.spans(CONSUMER, event), collector.spans(CLIENT, event)
    ids = [s["spanId"] for s in [arrival] + deliveries + attempts]
    assert len(set(ids)) == len(ids), f"an id twice: {ids}"
    assert all(re.fullmatch("[0-9a-f]{16}", one) and int(one, 16) for one in ids), ids
    assert {s["traceId"] for s in [arrival] + deliveries + attempts} == {trace or arrival["traceId"]}
    assert re.fullmatch("[0-9a-f]{32}", arrival["traceId"]) and int(arrival["traceId"], 16), arrival
    assert arrival.get("parentSpanId") == parent, arrival
    assert all(d["parentSpanId"] == arrival["spanId"] for d in deliveries), deliveries
    assert sorted(attributes(d)["sluice.delivery.state"] for d in deliveries) == sorted(states), deliveries
    for delivery in deliveries:
        own = [a for a in attempts if a["parentSpanId"] == delivery["spanId"]]
        assert len(own) == attributes(delivery)["sluice.delivery.attempts"], (delivery, own)
        for attempt in own:
            nested(delivery, attempt)
        is_dead = attributes(delivery)["sluice.delivery.state"] == "dead"
        assert (delivery.get("status", {}).get("code") == ERROR) == is_dead, delivery
    assert {a["parentSpanId"] for a in attempts} <= {d["spanId"] for d in deliveries}, "an attempt of no delivery"
    assert int(arrival["startTimeUnixNano"]) <= int(arrival["endTimeUnixNano"])
    return arrival, deliveries, sorted(attempts, key=lambda a: attributes(a)["sluice.attempt"])


def nested(outer, inner):
    # The loops' clock and the dispatcher's are set apart from each other by less than this.
    slack = 50_000_000
    assert int(outer["startTimeUnixNano"]) - slack <= int(inner["startTimeUnixNano"]), (outer, inner)
    assert int(inner["startTimeUnixNano"]) <= int(inner["endTimeUnixNano"]), inner
    assert int(inner["endTimeUnixNano"]) <= int(outer["endTimeUnixNano"]) + slack, (outer, inner)


def check_schema(request):
    """Names, types and ids as the official schema has them; ids are hexadecimal where protobuf's JSON has base64."""
    try:
        from google.protobuf.json_format import Parse
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    except ImportError:
        raise Skip("opentelemetry-proto is not installed")

    def replaced(value):
        if isinstance(value, list):
            return [replaced(one) for one in value]
        if not isinstance(value, dict):
            return value
        changed = {}
        for key, one in value.items():
            is_id = key in ("traceId", "spanId", "parentSpanId")
            changed[key] = base64.b64encode(bytes.fromhex(one)).decode() if is_id else replaced(one)
        return changed

    read = Parse(json.dumps(replaced(json.loads(request.body))), ExportTraceServiceRequest())
    spans = [s for r in read.resource_spans for scope in r.scope_spans for s in scope.spans]
    assert spans and all(len(s.trace_id) == 16 and len(s.span_id) == 8 for s in spans)
    assert all(s.start_time_unix_nano > 1 << 60 and s.end_time_unix_nano >= s.start_time_unix_nano for s in spans)
    return read


def trees(report):
    with report.case("one trace over arrival, delivery, a retry and its success"):
        answers = [503]
        with Collector() as collector, Receiver(lambda d, number: answers.pop() if answers else 204) as receiver:
            url = receiver.url + "/a?key=geheim"
            with Gateway([open_source()], [endpoint("first", url, retry=QUICK)], traces=settings(collector)) as gateway:
                event = send(gateway, b'{"a":1}')
                arrival, (delivery,), attempts = check_tree(collector, event, ["delivered"])
                assert arrival["name"] == "POST /in/test" and attributes(arrival)["sluice.tenant"] == "default"
                assert attributes(arrival)["http.request.body.size"] == 7
                assert delivery["name"] == "deliver test"
                assert attributes(delivery)["messaging.consumer.group.name"] == "first"
                first, second = attempts
                assert attributes(first)["http.response.status_code"] == 503, first
                assert attributes(first)["error.type"] == "503" and first["status"]["code"] == ERROR, first
                assert attributes(second)["http.response.status_code"] == 204 and "status" not in second, second
                assert attributes(second)["http.request.resend_count"] == 1, second
                assert "http.request.resend_count" not in attributes(first), first
                assert attributes(first)["url.full"] == f"{receiver.url}/a", first
                assert attributes(first)["server.port"] == receiver.port, first
                waited = int(second["startTimeUnixNano"]) - int(first["endTimeUnixNano"])
                assert 150_000_000 <= waited, f"{waited} ns between the two"
                for attempt, got in zip(attempts, receiver.snapshot()):
                    wanted = f"00-{arrival['traceId']}-{attempt['spanId']}-01"
                    assert got.headers.get("traceparent") == wanted, got.headers
                assert all("geheim" not in r.body.decode() for r in collector.requests)
    with report.case("a dead letter, and another endpoint of the same event"):
        with Collector() as collector, Receiver(lambda d, n: 400) as dead, Receiver() as other:
            ends = [endpoint("dead", dead.url), endpoint("other", other.url)]
            with Gateway([open_source()], ends, traces=settings(collector)) as gateway:
                _, deliveries, attempts = check_tree(collector, send(gateway), ["dead", "delivered"])
                (ended,) = [d for d in deliveries if attributes(d)["sluice.endpoint"] == "dead"]
                assert attributes(ended)["error.type"] == "permanent_answer", ended
                assert len(attempts) == 2, attempts
    with report.case("nobody listens at the endpoint: the attempt says so"):
        with Collector() as collector:
            ends = [endpoint("none", f"http://127.0.0.1:{free_port()}/", retry={"delays": []})]
            with Gateway([open_source()], ends, traces=settings(collector)) as gateway:
                _, _, (attempt,) = check_tree(collector, send(gateway), ["dead"])
                assert attributes(attempt)["error.type"] == "connect_failed", attempt
                assert "http.response.status_code" not in attributes(attempt), attempt
    with report.case("what nobody wants, arrives"):
        with Collector() as collector, Gateway([open_source()], traces=settings(collector)) as gateway:
            check_tree(collector, send(gateway), [])


def parents(report):
    with report.case("a sender's trace is taken over, its state goes along"):
        with Collector() as collector, Receiver() as receiver:
            ends = [endpoint("first", receiver.url)]
            with Gateway([open_source()], ends, traces=settings(collector, ratio=0)) as gateway:
                fields = {"traceparent": f"00-{FOREIGN}-{PARENT}-01", "tracestate": "a=1,b=2"}
                event = send(gateway, headers=fields)
                arrival, _, (attempt,) = check_tree(collector, event, ["delivered"], FOREIGN, PARENT)
                assert arrival["traceState"] == "a=1,b=2" and arrival["flags"] & 0x300 == 0x300, arrival
                (got,) = receiver.snapshot()
                assert got.headers["traceparent"] == f"00-{FOREIGN}-{attempt['spanId']}-01", got.headers
                assert got.headers["tracestate"] == "a=1,b=2", got.headers
    with report.case("what its sender does not sample is not seen, and passes as it was"):
        with Collector() as collector, Receiver() as receiver:
            ends = [endpoint("first", receiver.url)]
            with Gateway([open_source()], ends, traces=settings(collector)) as gateway:
                unsampled = f"00-{FOREIGN}-{PARENT}-00"
                quiet = send(gateway, headers={"traceparent": unsampled})
                check_tree(collector, send(gateway, b"1"), ["delivered"])
                assert collector.spans(event=quiet) == [], collector.spans(event=quiet)
                (got,) = [d for d in receiver.snapshot() if d.body == b"{}"]
                assert got.headers.get("traceparent") == unsampled, got.headers
    with report.case("a publisher's trace is taken over, on either port"):
        with Collector() as collector, Receiver() as receiver:
            ends = [endpoint("first", receiver.url)]
            with Gateway([open_source()], ends, publish=True, traces=settings(collector, ratio=0)) as gateway:
                fields = {"X-Sluice-Request": "1", "Authorization": f"Bearer {platform_key(gateway.admin_port)}"}
                event = json.dumps({"type": "a.b", "payload": {"n": 1}})
                message = json.dumps({"eventType": "a.b", "payload": {"n": 2}})
                messages = f"/api/v1/app/{gateway.api('/api/v1/tenants/default')['id']}/msg"
                calls = [
                    (gateway.admin_port, "/api/v1/events", event, {}), (gateway.port, "/api/v1/events", event, {}),
                    # The loop knows the publisher now.
                    (gateway.port, "/api/v1/events", event, {}),
                    (gateway.port, "/api/v1/events", event, {"tracestate": "a=1"}),
                    (gateway.admin_port, messages, message, {"tracestate": "a=1"}),
                    (gateway.port, messages, message, {"tracestate": "a=1"}),
                ]
                for count, (port, path, body, more) in enumerate(calls, 1):
                    trace = f"{count:032x}"
                    own = {**fields, **more, "traceparent": f"00-{trace}-{PARENT}-01"}
                    status, _, answer = request(port, path, body, own, "POST")
                    assert status == 202, f"{status} {answer}"
                    wait_until(lambda: collector.spans(SERVER), 20, "no arrival")
                    wait_until(lambda: [s for s in collector.spans(CONSUMER) if s["traceId"] == trace], 20, f"{count}")
                    wait_until(lambda: [s for s in collector.spans(SERVER) if s["traceId"] == trace], 20, f"{count}")
                    (arrival,) = [s for s in collector.spans(SERVER) if s["traceId"] == trace]
                    assert arrival["parentSpanId"] == PARENT, arrival
                    assert arrival.get("traceState", "") == more.get("tracestate", ""), arrival
                    wait_until(lambda: receiver.count() == count, 10, "no delivery")
                    assert receiver.snapshot()[-1].headers["traceparent"].startswith(f"00-{trace}-"), count
                for wrong in (f"00-{FOREIGN}-{PARENT}-00", f"00-{'0' * 32}-{PARENT}-01", "nonsense"):
                    own = {**fields, "traceparent": wrong}
                    for port in (gateway.admin_port, gateway.port):
                        status, _, answer = request(port, "/api/v1/events", event, own, "POST")
                        assert status == 202, f"{wrong}: {status} {answer}"
                wait_until(lambda: receiver.count() == len(calls) + 6, 10, "no delivery")
                came = [d.headers.get("traceparent") for d in receiver.snapshot()[len(calls):]]
                # What is not sampled passes as it was; what is none goes on to nobody.
                assert sorted(map(str, came)) == sorted([f"00-{FOREIGN}-{PARENT}-00"] * 2 + ["None"] * 4), came
    with report.case("parent: false asks the ratio alone"):
        with Collector() as collector, Receiver() as receiver:
            ends = [endpoint("first", receiver.url)]
            traces = settings(collector, parent=False)
            with Gateway([open_source()], ends, traces=traces) as gateway:
                event = send(gateway, headers={"traceparent": f"00-{FOREIGN}-{PARENT}-00"})
                check_tree(collector, event, ["delivered"], FOREIGN, PARENT)
    with report.case("what is no traceparent begins a trace of its own, and goes on to nobody"):
        with Collector() as collector, Receiver() as receiver:
            with Gateway([open_source()], [endpoint("first", receiver.url)], traces=settings(collector)) as gateway:
                event = send(gateway, headers={"traceparent": f"00-{'0' * 32}-{PARENT}-01"})
                arrival, _, (attempt,) = check_tree(collector, event, ["delivered"])
                (got,) = receiver.snapshot()
                assert got.headers["traceparent"] == f"00-{arrival['traceId']}-{attempt['spanId']}-01", got.headers
    with report.case("without traces a sender's fields pass as they are"):
        with Receiver() as receiver:
            with Gateway([open_source()], [endpoint("first", receiver.url)]) as gateway:
                send(gateway, headers={"traceparent": f"00-{FOREIGN}-{PARENT}-01"})
                send(gateway, b"2")
                wait_until(lambda: receiver.count() == 2, 10, "no delivery")
                got = sorted(d.headers.get("traceparent", "") for d in receiver.snapshot())
                assert got == ["", f"00-{FOREIGN}-{PARENT}-01"], got
                assert gateway.metric_sum("sluice_trace_spans_total") == 0


def restart(report):
    with report.case("a trace goes on after kill -9"):
        broken = [True]
        with tempfile.TemporaryDirectory() as folder, Collector() as collector:
            with Receiver(lambda d, number: 503 if broken else 204) as receiver:
                ends = [endpoint("first", receiver.url, retry={"delays": ["5s"] * 20, "jitter": 0})]
                gateway = Gateway([open_source()], ends, folder=folder, traces=settings(collector)).start()
                try:
                    event = send(gateway)
                    wait_until(lambda: collector.spans(CLIENT, event), 20, "no attempt before the kill")
                    wait_until(lambda: collector.spans(SERVER, event), 20, "no arrival before the kill")
                    os.killpg(gateway.process.pid, signal.SIGKILL)
                    gateway.process.wait()
                    broken.clear()
                    gateway.start()
                    _, _, attempts = check_tree(collector, event, ["delivered"])
                    assert attributes(attempts[-1])["http.response.status_code"] == 204, attempts
                    assert len(attempts) >= 2, attempts
                    assert gateway.stop() == 0
                finally:
                    gateway.kill()
    with report.case("what is told last is sent before the end"):
        with Collector() as collector, Receiver() as receiver:
            with Gateway([open_source()], [endpoint("first", receiver.url)], traces=settings(collector)) as gateway:
                events = [send(gateway, str(n).encode()) for n in range(20)]
                wait_until(lambda: receiver.count() == 20, 10, "no delivery")
                assert gateway.stop() == 0
            for event in events:
                check_tree(collector, event, ["delivered"])


def troubles(report):
    with report.case("a collector that is not there costs spans and nothing else") as notes:
        with Receiver() as receiver:
            traces = settings(f"http://127.0.0.1:{free_port()}")
            with Gateway([open_source()], [endpoint("first", receiver.url)], traces=traces) as gateway:
                count = 4000
                for number in range(count):
                    send(gateway, str(number).encode())
                wait_until(lambda: receiver.count() == count, 60, lambda: f"{receiver.count()} delivered")
                wait_until(
                    lambda: gateway.metric_sum("sluice_trace_spans_total", outcome="dropped") > 0, 20,
                    "nothing is counted")
                exported = gateway.metric_sum("sluice_trace_spans_total", outcome="exported")
                assert exported == 0 and gateway.metric_sum("sluice_trace_spans_queued") <= 8192
                notes.append(f"{gateway.metric_sum('sluice_trace_spans_total', outcome='dropped'):.0f} dropped")
                assert gateway.output().count("traces are not exported") == 1, "said once"
    with report.case("a collector that never answers holds up no delivery and no end"):
        with socket.socket() as silent, Receiver() as receiver:
            silent.bind(("127.0.0.1", 0))
            silent.listen(64)
            traces = settings(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout="1m")
            with Gateway([open_source()], [endpoint("first", receiver.url)], traces=traces) as gateway:
                for number in range(50):
                    send(gateway, str(number).encode())
                wait_until(lambda: receiver.count() == 50, 20, lambda: f"{receiver.count()} delivered")
                assert gateway.stop() == 0, gateway.output()[-400:]
    with report.case("over TLS it has to be who it says"):
        root = make("Root", authority=True)
        with tempfile.TemporaryDirectory() as place:
            known, _ = root.write(place, "root")
            pair = make("collector", root, names=["localhost"], purposes=[SERVES]).write(place, "collector")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*pair)
            with Collector(tls=context) as collector:
                trusting = {"SSL_CERT_FILE": known}
                with Gateway([open_source()], traces=settings(collector), environment=trusting) as gateway:
                    check_tree(collector, send(gateway), [])
                count = collector.count()
                with Gateway([open_source()], traces=settings(collector)) as gateway:
                    send(gateway)
                    wait_until(lambda: "not by a root" in gateway.output(), 20, gateway.output)
                assert collector.count() == count, "it was told something"
    with report.case("a busy collector is asked again, after what it says"):
        with Collector([(503, {"Retry-After": "2"}), (429, {})]) as collector, Receiver() as receiver:
            with Gateway([open_source()], [endpoint("first", receiver.url)], traces=settings(collector)) as gateway:
                check_tree(collector, send(gateway), ["delivered"])
                first, second = collector.snapshot()[:2]
                assert second.at - first.at >= 1.9, f"after {second.at - first.at:.2f} s"
                assert first.body == second.body, "another batch"
                assert gateway.metric_sum("sluice_trace_spans_total", outcome="failed") == 0
                wait_until(
                    lambda: gateway.metric_sum("sluice_trace_spans_total", outcome="exported")
                    == len(collector.spans()), 5, "the count is another")
    with report.case("what it refuses, or does not keep, is counted"):
        part = b'{"partialSuccess":{"rejectedSpans":"1","errorMessage":"no"}}'
        kept = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(part) + part
        with Collector([400, kept]) as collector, Gateway([open_source()], traces=settings(collector)) as gateway:
            send(gateway)
            wait_until(
                lambda: gateway.metric_sum("sluice_trace_spans_total", outcome="failed") == 1, 10, "none has failed")
            send(gateway, b"1")
            wait_until(
                lambda: gateway.metric_sum("sluice_trace_spans_total", outcome="rejected") == 1, 10, "none rejected")
            check_tree(collector, send(gateway, b"2"), [])
    with report.case("a chunked answer is read, and one that is no HTTP is not"):
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        with Collector([b"nonsense\r\n\r\n", chunked]) as collector:
            with Gateway([open_source()], traces=settings(collector)) as gateway:
                send(gateway)
                wait_until(
                    lambda: gateway.metric_sum("sluice_trace_spans_total", outcome="exported") == 1, 10, "not exported")
                assert collector.count() == 2, collector.count()


def forms(report):
    with report.case("the encoding is that of the official schema"):
        answers = [503]
        with Collector() as collector, Receiver(lambda d, number: answers.pop() if answers else 204) as receiver:
            ends = [endpoint("first", receiver.url, retry=QUICK)]
            traces = settings(collector, service_name="hooks", headers={"Authorization": "Bearer geheim", "X-A": "b"})
            with Gateway([open_source()], ends, traces=traces) as gateway:
                fields = {"traceparent": f"00-{FOREIGN}-{PARENT}-01", "tracestate": "a=1"}
                check_tree(collector, send(gateway, headers=fields), ["delivered"], FOREIGN, PARENT)
                for one in collector.requests:
                    assert one.path == "/v1/traces" and one.headers["content-type"] == "application/json", one.headers
                    assert one.headers["authorization"] == "Bearer geheim" and one.headers["x-a"] == "b", one.headers
                    (resource,) = check_schema(one).resource_spans
                    named = {a.key: a.value.string_value for a in resource.resource.attributes}
                    assert named["service.name"] == "hooks" and named["service.version"], named
                said = gateway.output() + json.dumps(gateway.api("/api/v1/config")) + str(gateway.metrics())
                assert "geheim" not in said, "the collector's key is shown"
    with report.case("the ratio is of traces, whole"):
        with Collector() as collector, Receiver() as receiver:
            ends = [endpoint("first", receiver.url), endpoint("second", receiver.url)]
            with Gateway([open_source()], ends, traces=settings(collector, ratio=0.2)) as gateway:
                events = [send(gateway, str(n).encode()) for n in range(300)]
                wait_until(lambda: receiver.count() == 600, 30, "no delivery")
                # Of what is seen the endpoints are told.
                named = [d for d in receiver.snapshot() if "traceparent" in d.headers]
                wait_until(
                    lambda: len(named) == len(collector.spans(CONSUMER)) == 2 * len(collector.spans(SERVER)), 20,
                    lambda: f"{len(collector.spans(SERVER))} arrivals, {len(named)} deliveries of traces")
                seen = [event for event in events if collector.spans(event=event)]
                assert 25 <= len(seen) <= 100, f"{len(seen)} of 300"
                for event in seen:
                    check_tree(collector, event, ["delivered", "delivered"])
                assert len(named) == 2 * len(seen), f"{len(named)} of {len(seen)} traces"
    with report.case("an endpoint of a base with a path"):
        with Collector() as collector:
            traces = settings(collector.base + "/otlp/")
            with Gateway([open_source()], traces=traces) as gateway:
                check_tree(collector, send(gateway), [])
                assert {r.path for r in collector.requests} == {"/otlp/v1/traces"}
    with report.case("what is wrong is refused with its place"):
        wrong = [
            ({"endpoint": "127.0.0.1:4318"}, "use https://"),
            ({"endpoint": "http://user:geheim@127.0.0.1:4318"}, "user name or password"),
            ({"endpoint": "http://127.0.0.1:4318/?a=b"}, "has a query"), ({"ratio": 0.5}, "needs `endpoint`"),
            ({"endpoint": "http://127.0.0.1:1234", "ratio": 2}, "share from 0 to 1"),
            ({"endpoint": "http://127.0.0.1:1234", "headers": {"Host": "geheim"}}, "which the gateway sets"),
            ({"endpoint": "http://127.0.0.1:1234", "headers": {"a b": "geheim"}}, "no header field can have"),
            ({"endpoint": "http://127.0.0.1:1234", "rate": 2}, "did you mean `ratio`"),
        ]
        for traces, said in wrong:
            output = Gateway([open_source()], traces=traces).refused_start()
            assert said in output and "geheim" not in output, f"{traces}: {output}"
    with report.case("a change needs a restart, and says so"):
        with Collector() as collector, Gateway([open_source()]) as gateway:
            gateway.keys["traces"] = settings(collector)
            gateway.write_configuration()
            gateway.reload()
            assert "traces" in gateway.output(), gateway.output()[-400:]


def main():
    arguments(__doc__)
    report = Report("traces")
    for part in (trees, parents, restart, troubles, forms):
        part(report)
    report.finish()


if __name__ == "__main__":
    main()
