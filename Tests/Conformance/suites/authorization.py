#!/usr/bin/env python3
"""How the gateway proves to endpoints who it is: header fields of their own, basic, bearer, and OAuth 2 with a real
token endpoint: first use, reuse, its end, a 401, a token endpoint that is away and comes back, answers that are no
token, a secret that changes, addresses that are refused, TLS, a proxy, a restart."""

import base64
import contextlib
import json
import os
import shutil
import ssl
import tempfile
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import supportpath  # noqa: F401  (puts the shared modules on the path)
from hostsfile import hosts_wrapper
from receiver import Receiver
from report import Report, Skip, arguments, wait_until
from serverutil import Gateway, endpoint, free_port, open_source, request, sluice
from tunnel import Tunnel

try:
    from certificates import SERVER, make
except ImportError:
    make = None

SECRET, NEXT = "client-secret-7f31c2", "client-secret-after-90ab"


class TokenServer:
    """A token endpoint (RFC 6749 section 4.4): knows its clients and counts what it gave. `faults` are answered first,
    one a request: (status, body). `lifetime` is what `expires_in` says."""

    def __init__(self, tls=None, port=0):
        self.secrets, self.lifetime, self.faults, self.asked = {SECRET, NEXT}, 3600, [], []
        self.given, self.lock = 0, threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                server.handle(self)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/token"

    def handle(self, call):
        form = dict(urllib.parse.parse_qsl(call.rfile.read(int(call.headers["Content-Length"])).decode()))
        style, client, secret = "body", form.get("client_id"), form.get("client_secret")
        if call.headers["Authorization"]:
            pair = base64.b64decode(call.headers["Authorization"].removeprefix("Basic ")).decode()
            style, (client, secret) = "basic", map(urllib.parse.unquote_plus, pair.split(":"))
        with self.lock:
            self.asked.append({**form, "style": style, "client": client, "secret": secret})
            fault = self.faults.pop(0) if self.faults else None
            self.given += fault is None and secret in self.secrets
            token = f"token-{self.port}-{self.given}"
        if fault:
            status, body = fault
        elif form.get("grant_type") != "client_credentials" or secret not in self.secrets:
            status, body = 401, {"error": "invalid_client", "error_description": f"it is not {secret}"}
        else:
            status, body = 200, {"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        call.send_response(status)
        call.send_header("Content-Length", str(len(data)))
        call.send_header("Content-Type", "application/json")
        call.end_headers()
        call.wfile.write(data)

    def count(self):
        with self.lock:
            return len(self.asked)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()


def oauth(url, **more):
    settings = {"token_url": url, "client_id": "the client", "client_secret": SECRET, **more}
    return {"oauth2": settings}


class World:
    """Endpoints of one gateway by name; each has a source of its name, and a path at the receiver."""

    def __init__(self, gateway, receiver):
        self.gateway, self.receiver = gateway, receiver

    def send(self, name, count=1):
        for number in range(count):
            assert self.gateway.post(f"/in/{name}", json.dumps({"n": number}))[0] == 202

    def got(self, name):
        return [one for one in self.receiver.snapshot() if one.path == f"/{name}"]

    def fields(self, name, count=1):
        wait_until(lambda: len(self.got(name)) >= count, 15, lambda: f"{name}: {len(self.got(name))} of {count}")
        return [one.headers.get("authorization") for one in self.got(name)]

    def deliveries(self, name, state=None):
        query = f"?endpoint={self.id(name)}" + (f"&state={state}" if state else "")
        return self.gateway.api("/api/v1/deliveries" + query)["items"]

    def id(self, name):
        listed = self.gateway.api("/api/v1/endpoints?limit=1000")["items"]
        return next(one["id"] for one in listed if one["name"] == name)

    def patch(self, name, value, wanted=200):
        head = {"X-Sluice-Request": "1", "Content-Type": "application/json"}
        path = f"/api/v1/endpoints/{self.id(name)}"
        status, _, text = request(self.gateway.admin_port, path, json.dumps(value), head, "PATCH")
        assert status == wanted, f"{status} {text[:300]!r}"
        return json.loads(text)

    def make(self, name, **more):
        head = {"X-Sluice-Request": "1", "Content-Type": "application/json"}
        draft = {"name": name, "url": self.base + f"/{name}", "sources": [name], **more}
        status, _, text = request(self.gateway.admin_port, "/api/v1/endpoints", json.dumps(draft), head, "POST")
        return status, json.loads(text)

    @property
    def base(self):
        return self.receiver.url.rsplit("/", 1)[0]


def fixed(world):
    world.send("basic")
    assert world.fields("basic") == ["Basic " + base64.b64encode("user:p:wörd".encode()).decode()]
    one = world.got("basic")[0]
    assert one.headers["x-api-key"] == "a key of 1" and one.headers["x-plain"] == "seen", one.headers
    world.gateway.post("/in/bearer", b"{}", {"Authorization": "Bearer theirs", "X-Api-Key": "theirs"})
    assert world.fields("bearer") == ["Bearer a.fixed.token"]
    assert world.got("bearer")[0].headers["x-api-key"] == "ours"


def first_and_again(world, tokens):
    world.send("oauth", 20)
    fields = world.fields("oauth", 20)
    assert fields == [f"Bearer token-{tokens.port}-1"] * 20, set(fields)
    # The other one has the same client in the same tenant.
    world.send("same")
    assert world.fields("same") == [f"Bearer token-{tokens.port}-1"]
    assert tokens.count() == 1, tokens.asked
    asked = tokens.asked[0]
    assert asked["style"] == "basic" and asked["client"] == "the client" and asked["scope"] == "a:read b", asked
    assert asked["audience"] == "https://api.example/" and asked["grant_type"] == "client_credentials", asked
    world.send("in-the-form")
    world.fields("in-the-form")
    assert tokens.asked[-1]["style"] == "body" and tokens.asked[-1]["client_id"] == "the client", tokens.asked[-1]


def ends_case(world, tokens):
    tokens.lifetime = 2
    before = tokens.count()
    for number in range(1, 4):
        world.send("short")
        world.fields("short", number)
        wait_until(lambda: world.deliveries("short", "delivered")[number - 1 :], 10, "delivered")
        # Longer than it lives: the next delivery has to ask.
        threading.Event().wait(2.2)
    assert len(set(world.fields("short", 3))) == 3, world.fields("short")
    assert tokens.count() == before + 3, "asked while nothing was to be sent"
    tokens.lifetime = 3600


def refused_by_the_endpoint(world, tokens, good):
    before = tokens.count()
    good["revoked"] = lambda field: not field.endswith(f"-{before + 1}")
    world.send("revoked", 10)
    wait_until(lambda: len(world.deliveries("revoked", "delivered")) == 10, 15, "delivered with another token")
    assert tokens.count() == before + 2, f"{tokens.count() - before} requests"
    assert all(one["attempts"] == 1 for one in world.deliveries("revoked")), world.deliveries("revoked")
    # One that takes no token gets each delivery once more, and no endless stream of tokens.
    good["never"] = lambda field: False
    before = tokens.count()
    world.send("never", 5)
    wait_until(lambda: len(world.deliveries("never", "dead")) == 5, 15, "dead letters")
    dead = world.deliveries("never", "dead")
    assert {(one["status"], one["class"], one["reason"]) for one in dead} == {
        (401, "authentication", "permanent_answer")}, dead
    assert tokens.count() <= before + 2 and len(world.got("never")) <= 10, (tokens.count() - before, world.got("never"))


def away_and_back(world, port):
    world.send("away", 5)
    wait_until(lambda: world.deliveries("away", "pending"), 15, "a delivery that waits")
    assert not world.got("away"), "it was sent without a token"
    one = world.deliveries("away", "pending")[0]
    assert one["result"] == "authorization_failed", one
    status = world.gateway.api(f"/api/v1/endpoints/{world.id('away')}")["status"]
    assert status["state"] == "failing" and status["reason"] == "authorization_failed", status
    assert "no access token: no connection to the token endpoint" in status["last_error"], status
    assert len(world.deliveries("away")) < 5, "one that waits costs an attempt"
    with TokenServer(port=port) as tokens:
        wait_until(lambda: len(world.deliveries("away", "delivered")) == 5, 60, "delivered when it is back")
        assert set(world.fields("away")) == {f"Bearer token-{port}-1"} and tokens.count() == 1


def no_token(world, tokens):
    """What comes to nothing dies by the schedule, with the reason and what was said, but no secret."""
    for fault, error, words in (
        ((200, b"<html>"), "bad_answer", None),
        ((200, {"access_token": "hidden-token", "token_type": "mac"}), "bad_answer", None),
        ((200, {"access_token": "a b", "token_type": "Bearer"}), "bad_answer", None),
        ((200, b"x" * 100_000), "answer_too_large", None),
        ((503, b""), "unavailable", None),
        ((400, {"error": "invalid_scope"}), "refused", "invalid_scope"),
        ((401, {"error": "invalid_client", "error_description": f"not {SECRET}"}), "refused", "not ***"),
    ):
        name = f"no-{error}-{fault[0]}-{len(str(fault[1]))}"
        tokens.faults = [fault] * 50
        status, made = world.make(
            name, sources=["no-token"], authorization=oauth(tokens.url, client_id=name), retry={"delays": []})
        assert status == 201, made
        world.send("no-token")
        wait_until(lambda: world.deliveries(name, "dead"), 20, f"{name}: a dead letter")
        dead = world.deliveries(name, "dead")[0]
        assert (dead["reason"], dead["class"]) == ("authorization_failed", "authorization-failed"), dead
        event = dead["event"]
        detail = world.gateway.api(f"/api/v1/deliveries/{event}/{made['id']}")
        attempt = detail["attempts"][0]
        assert attempt["authorization_error"] == error, (name, attempt)
        assert words is None or words in attempt["answer"], attempt
        assert attempt.get("token_status", 200) == fault[0], attempt
        assert not world.got(name)
        head = {"X-Sluice-Request": "1"}
        request(world.gateway.admin_port, f"/api/v1/endpoints/{made['id']}", None, head, "DELETE")
    tokens.faults = []
    said = world.gateway.output()
    assert "no access token was given" in said and SECRET not in said and "hidden-token" not in said
    asked = lambda: world.gateway.metric_sum("sluice_authorization_token_requests_total", result="bad_answer")
    wait_until(lambda: asked() >= 3, 10, lambda: f"{asked()} of 3 answers that are no token")
    # What has been removed is counted no more.
    assert world.gateway.metric_sum("sluice_delivery_dead_letters_total", reason="authorization_failed") >= 1


def by_the_api(world, tokens):
    status, made = world.make(
        "made", authorization=oauth(tokens.url, client_id="made"),
        headers={"X-Api-Key": "write-only", "X-Partner": "write-only-too"})
    assert status == 201 and made["headers"] == {"X-Api-Key": "***", "X-Partner": "***"}, made
    # Nor does the Svix-shaped API show what was set here.
    elsewhere = world.gateway.api(f"/api/v1/app/{made['tenant']['id']}/endpoint/{made['id']}/headers")
    assert elsewhere == {"headers": {}, "sensitive": ["X-Api-Key", "X-Partner"]}, elsewhere
    assert made["authorization"]["oauth2"]["client_secret"] == "***", made
    assert SECRET not in json.dumps(made) and "write-only" not in json.dumps(made), made
    world.send("made")
    first = world.fields("made")[0]
    # The client's secret changes: the token of the old one serves until the new one has brought another.
    tokens.secrets = {NEXT}
    changed = world.patch("made", {"authorization": {"oauth2": {"client_secret": NEXT}}})
    assert changed["authorization"]["oauth2"]["client_id"] == "made", changed
    world.send("made")
    assert world.fields("made", 2)[1] == first, "it waited for the new one"
    wait_until(lambda: tokens.asked[-1]["secret"] == NEXT, 10, "nobody asked with the new secret")
    wait_until(
        lambda: (world.send("made"), world.fields("made", 3))[1][-1] != first, 15, "the new token is not used")
    tokens.secrets = {SECRET, NEXT}
    assert world.got("made")[-1].headers["x-api-key"] == "write-only"
    for value, path, words in (
        ({"authorization": {"bearer": "x"}}, "authorization", "takes one of"),
        ({"authorization": {"oauth2": {"client_secret": "***"}}}, "authorization.oauth2.client_secret", "shown|show"),
        ({"headers": {"X-Api-Key": "***"}}, "headers.X-Api-Key", "show"),
        ({"headers": {"Content-Length": "5"}}, "headers", "writes itself"),
        ({"headers": {"Connection": "close"}}, "headers", "hop-by-hop"),
        ({"headers": {"webhook-id": "mine"}}, "headers", "webhook-"),
        ({"headers": {"X-A": "a\r\nHost: b"}}, "headers", "control character"),
        ({"headers": {"Authorization": "Basic x"}}, "authorization", "stands beside"),
        ({"authorization": {"oauth2": {"token_url": "http://login.example/t"}}}, "token_url", "https://"),
        ({"authorization": {"oauth2": {"token_url": "https://10.0.0.1/t"}}}, "token_url", "10.0.0.1"),
        ({"authorization": {"oauth2": {"token_url": "https://169.254.169.254/t"}}}, "token_url", "metadata"),
        ({"authorization": {"oauth2": {"endpoint_tls": True}}}, "endpoint_tls", "of no use"),
    ):
        problem = world.patch("made", value, 422)
        found = [one for one in problem["errors"] if path in one["path"]]
        assert found and any(word in found[0]["reason"] for word in words.split("|")), (value, problem)
    plain = world.patch("made", {"authorization": None, "headers": None})
    assert "authorization" not in plain and plain["headers"] == {}, plain
    world.send("made")
    count = len(world.got("made"))
    wait_until(lambda: len(world.got("made")) >= count, 10, "delivered without")
    wait_until(lambda: world.got("made")[-1].headers.get("authorization") is None, 10, "credentials that were removed")
    audit = json.dumps(world.gateway.api("/api/v1/audit?limit=200")["items"])
    assert "authorization" in audit and SECRET not in audit and NEXT not in audit and "write-only" not in audit


def restart(world, tokens):
    before = tokens.count()
    world.send("oauth")
    world.fields("oauth", 21)
    assert tokens.count() == before, "the token in force was not used"
    world.gateway.stop()
    world.gateway.start()
    world.send("oauth")
    assert world.fields("oauth", 22)[-1] == f"Bearer token-{tokens.port}-{tokens.given}"
    assert tokens.count() == before + 1, "tokens are kept in memory alone"


def a_name_that_leads_inside(report, folder):
    """A host name may lead anywhere at any time: what it resolves to is looked at before it is connected to."""
    with report.case("a token endpoint's name that leads to an address that is refused"):
        wrapper = hosts_wrapper(folder, [("login.test", "127.0.0.9")])
        if wrapper is None:
            raise Skip("no mount namespace here")
        with TokenServer() as tokens, Receiver() as receiver:
            url = f"https://login.test:{tokens.port}/token"
            end = endpoint("inside", receiver.url, authorization=oauth(url), retry={"delays": []})
            allow = {"allow": ["127.0.0.1/32"]}
            with Gateway([open_source()], [end], delivery=allow, wrapper=wrapper) as gateway:
                gateway.post("/in/test", b"{}")
                dead = wait_until(lambda: gateway.api("/api/v1/dead-letters")["items"], 20, "a dead letter")[0]
                assert dead["reason"] == "authorization_failed", dead
                one = gateway.api("/api/v1/endpoints")["items"][0]
                assert "127.0.0.9 (loopback)" in one["status"]["last_error"], one["status"]
                assert tokens.count() == 0 and not receiver.snapshot()


def over_tls(report, folder):
    """TLS as of deliveries, and the same proxy."""
    if make is None:
        return report.skip("over TLS and through a proxy", "the module cryptography is missing")

    def context(name, certificate):
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(*certificate.write(folder, name))
        return made

    root, other = make("Root", authority=True), make("Another root", authority=True)
    ca = os.path.join(folder, "ca.pem")
    with open(ca, "wb") as file:
        file.write(root.pem)
    good = context("good", make("login", root, names=("localhost",), purposes=[SERVER]))
    bad = context("bad", make("login", other, names=("localhost",), purposes=[SERVER]))
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(Receiver(tls=good))
        tokens, stranger = stack.enter_context(TokenServer(good)), stack.enter_context(TokenServer(bad))
        tunnel = stack.enter_context(Tunnel())

        def end(name, server, **more):
            return endpoint(
                name, f"https://localhost:{receiver.port}/{name}", tls={"ca": ca}, sources=[name],
                authorization=oauth(f"https://localhost:{server.port}/token", **more), retry={"delays": []})

        ends = [
            end("trusted", tokens, endpoint_tls=True), end("stranger", stranger, endpoint_tls=True),
            end("system", tokens),
        ]
        sources = [open_source(one["name"]) for one in ends]
        proxy = {"proxy": {"url": tunnel.url}}
        for name, delivery in (("over TLS", {}), ("over TLS through a proxy", proxy)):
            with report.case(name), Gateway(sources, ends, delivery=delivery) as gateway:
                world, before = World(gateway, receiver), tokens.count()
                for one in ends:
                    world.send(one["name"])
                wait_until(lambda: world.deliveries("trusted", "delivered"), 20, "delivered")
                assert tokens.count() == before + 1
                for bad_one in ("stranger", "system"):
                    dead = wait_until(lambda n=bad_one: world.deliveries(n, "dead"), 20, f"{bad_one}: a dead letter")
                    assert dead[0]["result"] == "authorization_failed", dead
                    shown = gateway.api(f"/api/v1/endpoints/{world.id(bad_one)}")["status"]["last_error"]
                    assert "TLS to the token endpoint failed" in shown, shown
                assert stranger.count() == 0, "it was told a secret"
                wanted = ("CONNECT", f"127.0.0.1:{tokens.port}")
                asked = [target for target in tunnel.asked if target[1].endswith(f":{tokens.port}")]
                assert bool(asked) == bool(delivery), tunnel.asked
                assert all(one == wanted or one[1] == f"[::1]:{tokens.port}" for one in asked), tunnel.asked


def bad_manifest(gateway):
    path = gateway.config_path + ".bad"
    for lines, words in (
        ("authorization: { baerer: x }", "did you mean `bearer`?"),
        ("authorization: { bearer: geheim, basic: { username: u, password: geheim } }", "takes one of"),
        ("authorization: { oauth2: { token_url: 'http://l.example/', client_id: c, client_secret: geheim } }", "https"),
        ("headers: { Host: geheim }", "writes itself"),
        ("headers: { 'X A': geheim }", "letters, digits"),
    ):
        with open(path, "w", encoding="utf-8") as file:
            file.write(
                "sources: [{ name: a, provider: generic, unverified: true }]\n"
                f"endpoints: [{{ name: e, url: 'http://h.example/', {lines} }}]\n")
        said = sluice("config", "check", path)
        text = said.stdout + said.stderr
        assert said.returncode != 0 and words in text and "geheim" not in text, (lines, text)


def main():
    arguments(__doc__)
    report = Report("authorization")
    good = {}

    def script(delivery, number):
        wanted = good.get(delivery.path[1:])
        return 204 if wanted is None or wanted(delivery.headers.get("authorization", "")) else 401

    folder = tempfile.mkdtemp(prefix="sluice-authorization-")
    nobody = free_port()
    with TokenServer() as tokens, Receiver(script) as receiver:
        base = receiver.url.rsplit("/", 1)[0]
        more = {"scopes": ["a:read", "b"], "audience": "https://api.example/"}
        settings = {
            "basic": {
                "authorization": {"basic": {"username": "user", "password": "${PASSWORD}"}},
                "headers": {"X-Api-Key": "${KEY}", "X-Plain": "seen"},
            },
            "bearer": {"authorization": {"bearer": "a.fixed.token"}, "headers": {"x-api-key": "ours"}},
            "oauth": {"authorization": oauth(tokens.url, **more)},
            "same": {"authorization": oauth(tokens.url, **more)},
            "in-the-form": {"authorization": oauth(tokens.url, auth_style="body", **more)},
            "short": {"authorization": oauth(tokens.url, client_id="short")},
            "revoked": {"authorization": oauth(tokens.url, client_id="revoked")},
            "never": {"authorization": oauth(tokens.url, client_id="never")},
            "away": {
                "authorization": oauth(f"http://127.0.0.1:{nobody}/token"), "retry": {"delays": ["1s"] * 50},
            },
        }
        ends = [endpoint(name, f"{base}/{name}", sources=[name], **more) for name, more in settings.items()]
        sources = [open_source(name) for name in [*settings, "no-token", "made"]]
        environment = {"PASSWORD": "p:wörd", "KEY": "a key of 1"}
        with Gateway(sources, ends, environment=environment) as gateway:
            world = World(gateway, receiver)
            for name, body in (
                ("header fields, basic and bearer", lambda: fixed(world)),
                ("a token is asked for once and used again", lambda: first_and_again(world, tokens)),
                ("a token that has ended", lambda: ends_case(world, tokens)),
                ("a 401 of the endpoint", lambda: refused_by_the_endpoint(world, tokens, good)),
                ("a token endpoint that is away, and comes back", lambda: away_and_back(world, nobody)),
                ("answers that are no token", lambda: no_token(world, tokens)),
                ("by the API, and another secret", lambda: by_the_api(world, tokens)),
                ("a restart", lambda: restart(world, tokens)),
                ("mistakes in the file", lambda: bad_manifest(gateway)),
            ):
                with report.case(name):
                    body()
    a_name_that_leads_inside(report, folder)
    over_tls(report, folder)
    shutil.rmtree(folder, ignore_errors=True)
    report.finish()


if __name__ == "__main__":
    main()
