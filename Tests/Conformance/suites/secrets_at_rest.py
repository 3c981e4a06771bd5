#!/usr/bin/env python3
"""Secrets are put into a gateway through everything that takes one, and it is used: delivers, fails, retries, rotates,
restarts. Afterwards none of them stands in a file of its data folder, in what it says, in its metrics, or in an
answer of its API but where that is what the call is for. Then the master key: missing, wrong, rotated, and killed in
the middle of it."""

import base64
import json
import os
import random
import re
import signal
import stat
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import supportpath  # noqa: F401  (puts the shared modules on the path)
from receiver import Receiver
from report import Report, arguments, wait_until
from serverutil import Gateway, endpoint, github_headers, github_source, platform_key, request, sluice

FIELDS = {"X-Sluice-Request": "1", "Content-Type": "application/json"}


def whsec(text):
    return "whsec_" + base64.b64encode(text.encode().ljust(32, b".")).decode()


class Marks:
    """Every secret by its name, with the operations whose answers may show it; a viewer is shown none but the query."""

    QUERY = "a URL's query"

    def __init__(self):
        self.texts, self.shown, self.looked_for = {}, {}, {}

    def add(self, name, text, *shown):
        assert len(text) >= 16, f"{name} is too short to be looked for"
        self.texts[name], self.shown[name], self.looked_for[name] = text, set(shown), self.forms(text)
        return text

    @staticmethod
    def forms(text):
        """The text, its key bytes, and both as base 64 at each place in its groups of three, and as hexadecimal."""
        values = {text.encode()}
        bare = re.sub(r"^wh(sec|sk)_", "", text)
        try:
            values.add(base64.b64decode(bare, validate=True))
        except ValueError:
            pass
        values |= {bare.encode(), urllib.parse.quote(text, safe="").encode()}
        forms = set(values)
        for value in values:
            forms |= {value.hex().encode(), value.hex().upper().encode()}
            for shift in range(3):
                encoded = base64.b64encode(b"\0" * shift + value)
                # Without the characters that depend on what stands beside it.
                inner = encoded[4 if shift else 0 : -4]
                forms |= {inner, inner.translate(bytes.maketrans(b"+/", b"-_"))}
        return {form for form in forms if len(form) >= 12}

    def found(self, content, operation=None, viewer=False):
        def is_shown(name):
            return operation in self.shown[name] and (not viewer or name == self.QUERY)

        return [
            name
            for name, forms in self.looked_for.items()
            if not is_shown(name) and any(form in content for form in forms)
        ]


class Tokens:
    """A token endpoint that gives one client its token, and tells the other what it sent."""

    def __init__(self, token):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = urllib.parse.parse_qs(sent)
                if form.get("client_id") == ["refused"]:
                    words = f"no client {form['client_secret'][0]} {sent} {self.headers['Authorization']}"
                    status, answer = 401, {"error": "invalid_client", "error_description": words}
                else:
                    status, answer = 200, {"access_token": token, "token_type": "Bearer", "expires_in": 600}
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/token"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


class Bench:
    def __init__(self, receiver):
        self.marks, self.receiver, self.app, self.ids = Marks(), receiver, {}, {}
        add = self.marks.add
        source = github_source("github", secret=add("a source's secret", "marker-source-secret-3f9a1c"))
        hook = endpoint(
            "file-hook", receiver.url, secret=add("a file's endpoint secret", whsec("marker-file-hook")),
            headers={"X-Api-Key": add("a file's header", "marker-file-header-7c41")},
            authorization={"bearer": add("a file's bearer token", "marker-file-bearer-5ae9")})
        self.tokens = Tokens(add("an access token", "marker-access-token-e09b"))
        self.gateway = Gateway([source], [hook], delivery={"allow": ["127.0.0.0/8", "::1/128"]})

    def call(self, method, path, body=None, token=None, headers=None, wanted=(200, 201, 202, 204)):
        fields = {**FIELDS, **({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        data = None if body is None else json.dumps(body)
        status, _, text = request(self.gateway.admin_port, path, data, fields, method)
        assert status in wanted, f"{method} {path}: {status} {text[:300]!r}"
        return json.loads(text) if text else None

    def fill(self):
        add, call, url = self.marks.add, self.call, self.receiver.url
        made = call("POST", "/api/v1/tenants", {"name": "acme"})
        add("a tenant's signing secret", made["signing_secret"])
        for role in ("viewer", "admin"):
            key = call("POST", "/api/v1/keys", {"tenant_id": made["tenant_id"], "role": role})
            self.app[role] = add(f"the token of a {role}", key["token"])
        own = add("an endpoint's secret", whsec("marker-own-endpoint"), "v1.endpoint.get-secret")
        for name, path in (("good", "/good"), ("bad", "/bad"), ("dead", "/dead")):
            draft = {"name": name, "tenant": "acme", "url": url + path, "secrets": [own]}
            self.ids[name] = call("POST", "/api/v1/endpoints", draft)["id"]
        self.authorize(url)
        app = f"/api/v1/app/{made['id']}"
        portal = call("POST", f"/api/v1/auth/app-portal-access/{made['id']}", {}, headers={"idempotency-key": "one"})
        add("a portal's token", portal["token"])
        shown = ["v1.endpoint." + verb for verb in ("list", "get")]
        verbs = ("list-by-endpoint", "list-by-msg", "get", "list-attempted-destinations")
        shown += ["v1.message-attempt." + verb for verb in verbs]
        user = add("the credentials of a URL", "marker-user-77:marker-password-8812", *shown)
        shown += ["listEndpoints", "getEndpoint", "deprecatedListEndpoints"]
        query = add(Marks.QUERY, "marker-capability-51cc02", *shown)
        first = add("a secret that was rotated out", whsec("marker-rotated-out"))
        secret = {
            "url": f"{url}/out?key={query}".replace("://", f"://{user}@"),
            "secret": first,
            "headers": {"X-Api-Key": add("a header", "marker-header-value-620f"), "X-Plain": "seen"},
        }
        out = call("POST", app + "/endpoint", secret, headers={"idempotency-key": "two"})["id"]
        second = add("the secret in force", whsec("marker-in-force"), "v1.endpoint.get-secret")
        path = f"{app}/endpoint/{out}/secret"
        call("POST", path + "/rotate", {"key": second}, headers={"idempotency-key": "three"})
        made_here = call("POST", app + "/endpoint", {"url": url + "/made"})["id"]
        rotated = call("POST", f"{app}/endpoint/{made_here}/secret/rotate", {})
        self.ids["made here"] = made_here
        key = rotated or call("GET", f"{app}/endpoint/{made_here}/secret")
        add("a secret that was made here", key["key"], "v1.endpoint.get-secret")
        self.app.update(path=app, id=made["id"], endpoint=out, secret=path)

    def authorize(self, url):
        """Endpoints with credentials of each kind; one's token endpoint gives nothing, and says the secret again."""
        add, oauth = self.marks.add, {"token_url": self.tokens.url, "client_id": "client"}
        basic = {"username": "user", "password": add("a basic password", "marker-basic-password-31fd")}
        kinds = {
            "basic": {"basic": basic},
            "bearer": {"bearer": add("a bearer token", "marker-bearer-token-c2d8")},
            "oauth": {"oauth2": {**oauth, "client_secret": add("a client's secret", "marker-client-secret-a94e")}},
            "refused": {
                "oauth2": {
                    **oauth, "client_id": "refused", "auth_style": "body",
                    "client_secret": add("a client's secret that is refused", "marker-refused-secret-58b0"),
                }
            },
        }
        header = add("an own header", "marker-own-header-d07c")
        for name, authorization in kinds.items():
            draft = {"name": name, "tenant": "acme", "url": f"{url}/{name}", "headers": {"X-Key": header}}
            made = self.call("POST", "/api/v1/endpoints", {**draft, "authorization": authorization})
            self.ids[name] = made["id"]
        bad = {"authorization": {"bearer": "marker-basic-password-31fd \n"}, "headers": {"X-Key": header + "\n"}}
        path = f"/api/v1/endpoints/{self.ids['bearer']}"
        said = json.dumps(self.call("PATCH", path, bad, wanted=(422,))).encode()
        assert not self.marks.found(said), said

    def use(self):
        """Deliveries that succeed, fail, wait and die; a request that is refused; keys that are wrong."""
        for number in range(4):
            body = json.dumps({"n": number}).encode()
            answer = self.gateway.post("/in/github", body, github_headers(body, "marker-source-secret-3f9a1c"))
            assert answer[0] in (200, 202), answer
            message = {"eventType": "invoice.paid", "payload": {"n": number}, "eventId": f"e{number}"}
            said = self.call("POST", self.app["path"] + "/msg", message, headers={"idempotency-key": f"m{number}"})
            self.app["message"] = said["id"]
        body = b'{"refused":true}'
        assert self.gateway.post("/in/github", body, github_headers(body, "wrong"))[0] == 401
        self.call("GET", "/api/v1/events", token="sluice_" + "0" * 49, wanted=(401,))
        dead = wait_until(lambda: self.items("/api/v1/dead-letters"), 20, "a dead letter")
        self.app["event"] = dead[0]["event"] if isinstance(dead[0]["event"], str) else dead[0]["event"]["id"]
        wait_until(lambda: sum("/out" in d.path for d in self.receiver.snapshot()) >= 4, 20, "deliveries")
        wait_until(lambda: self.items("/api/v1/deliveries?state=pending"), 20, "a delivery that waits")
        self.credentials_are_used()
        self.call("POST", f"/api/v1/endpoints/{self.ids['bad']}/retry-now", wanted=(200, 404))
        self.call("POST", f"/api/v1/replays", {"event": self.app["event"], "dry_run": False}, wanted=(200, 404, 409))

    def credentials_are_used(self):
        def field(name, path):
            return {d.headers.get(name) for d in self.receiver.snapshot() if d.path.endswith("/" + path)}

        wait_until(lambda: field("authorization", "oauth") == {"Bearer marker-access-token-e09b"}, 20, "a token")
        assert field("authorization", "bearer") == {"Bearer marker-bearer-token-c2d8"}
        assert field("x-key", "basic") == {"marker-own-header-d07c"}
        refused = f"/api/v1/deliveries?endpoint={self.ids['refused']}"
        said = wait_until(lambda: self.items(refused), 20, "an attempt without a token")
        assert said[0]["result"] == "authorization_failed", said

    def items(self, path):
        return self.call("GET", path)["items"]


def grep_folder(bench):
    found = []
    for base, _, names in os.walk(bench.gateway.data):
        for name in names:
            path = os.path.join(base, name)
            with open(path, "rb") as file:
                # Segments of the log are full of zeros ahead of need.
                pieces = iter(lambda file=file: file.read(1 << 16), b"")
                content = b"".join(piece for piece in pieces if piece.count(0) < len(piece))
            found += [f"{name}: {mark}" for mark in bench.marks.found(content)]
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, f"others may read {name}"
    return found


def answers(bench):
    """(operation, target, is it to a viewer, status, content) of every GET of the document, by each role."""
    document = bench.call("GET", "/api/v1/openapi.json")
    app = bench.app
    key = bench.items("/api/v1/keys?tenant=acme")[0]["key_id"]
    asked = set()
    own = {"app": app["id"], "endpoint": app["endpoint"], "msg": app["message"], "event": app["event"]}
    ids = {"tenants": app["id"], "keys": key, "endpoints": bench.ids["dead"], "events": app["event"]}
    for path, methods in document["paths"].items():
        if "get" not in methods:
            continue
        variants = [own, {**own, "endpoint": bench.ids["made here"]}, {**own, "endpoint": bench.ids["dead"]}]
        for values in variants:
            target = re.sub(r"\{(\w+)\}", lambda m: values.get(m[1], ids.get(path.split("/")[3], "nothing")), path)
            if target in asked:
                continue
            asked.add(target)
            for token in (platform_key(bench.gateway.admin_port), app["admin"], app["viewer"]):
                fields = {**FIELDS, "Authorization": f"Bearer {token}"}
                status, _, content = request(bench.gateway.admin_port, target, None, fields)
                yield methods["get"]["operationId"], target, token == app["viewer"], status, content


def nowhere(report, bench):
    gateway = bench.gateway
    with report.case("no secret is in a file of the data folder, whatever was done") as notes:
        found = grep_folder(bench)
        assert not found, "; ".join(found)
        notes.append(f"{len(bench.marks.texts)} secrets")
    with report.case("nor in what the process says, in its metrics, or in an answer that is not for it") as notes:
        count, good = 0, 0
        for operation, target, is_viewer, status, content in answers(bench):
            found = bench.marks.found(content, operation, is_viewer)
            assert not found, f"{target}: {'; '.join(found)}"
            count, good = count + 1, good + (status == 200)
        assert good > 80, f"only {good} of {count} answers were 200"
        notes.append(f"{good} answers")
        with open(gateway.log_path, "rb") as file:
            found = bench.marks.found(file.read())
        assert not found, f"the log: {'; '.join(found)}"
    with report.case("the suite finds what it looks for"):
        shown = bench.call("GET", bench.app["secret"])["key"]
        assert "the secret in force" in bench.marks.found(json.dumps(shown).encode())
        for name, text in bench.marks.texts.items():
            for form in (text.encode(), base64.b64encode(b"x" + text.encode()), text.encode().hex().encode()):
                assert name in bench.marks.found(b"before" + form + b"behind"), name


def keys(report, bench):
    gateway, path = bench.gateway, os.path.join(bench.gateway.data, "master.key")
    secret = whsec("marker-in-force")
    with report.case("the master key is nowhere but in its file, and is rotated while the gateway runs"):
        with open(path) as file:
            bench.marks.add("the first master key", file.read().strip())
        bench.app["first"] = bench.marks.texts["the first master key"]
        before = json.loads(sluice("secrets", "status", "--config", gateway.config_path, "--json", check=0).stdout)
        assert before["kept_in"] == "data_folder" and before["data_keys"] >= 1, before
        for words in ([], ["--data-keys"]):
            said = sluice("secrets", "rewrap", "--config", gateway.config_path, "--json", *words, check=0).stdout
            done = json.loads(said)
            assert done["previous_master_key"] == before["master_key"] != done["master_key"], done
            assert done["clean"] and (done["values"] > 0) == bool(words), done
            before = {"master_key": done["master_key"]}
            assert bench.call("GET", bench.app["secret"])["key"] == secret
        found = grep_folder(bench)
        assert not found, "; ".join(found)
        audit = json.dumps(bench.items("/api/v1/audit?limit=5"))
        assert done["master_key"] in audit, audit
    with report.case("a tenant's key neither sees nor rotates it"):
        for token in (bench.app["admin"], bench.app["viewer"]):
            bench.call("GET", "/api/v1/secrets", token=token, wanted=(403,))
            bench.call("POST", "/api/v1/secrets/rewrap", {}, token=token, wanted=(403,))
    with report.case("a start without the key, or with another one, ends with words and changes nothing"):
        gateway.stop()
        os.rename(path, path + ".away")
        for content, words in ((None, "is missing"), (bench.app["first"], "put that key back"), ("x", "is no key")):
            if content is not None:
                with open(path, "w") as file:
                    file.write(content)
            gateway.spawn()
            status = gateway.process.wait(20)
            said = gateway.output()
            assert status == 2 and "master.key" in said and words in said, f"{status}: {said[-400:]}"
            assert bench.app["first"] not in said
            assert os.path.exists(path) == (content is not None), "it made one"
        os.rename(path + ".away", path)
        gateway.start()
        assert bench.call("GET", bench.app["secret"])["key"] == secret


def killed(report, bench, rounds):
    gateway = bench.gateway
    with report.case("killed in the middle of a rotation it has the old keys or the new ones") as notes:
        secret, seen = whsec("marker-in-force"), set()
        expected = {path: bench.call("GET", path)["key"] for path in (bench.app["secret"],)}
        for number in range(200):
            draft = {"name": f"many{number}", "tenant": "acme", "url": bench.receiver.url, "secrets": [secret]}
            bench.call("POST", "/api/v1/endpoints", draft)
        for number in range(rounds):
            before = bench.call("GET", "/api/v1/secrets")["master_key"]

            def rotate():
                try:
                    bench.call("POST", "/api/v1/secrets/rewrap", {"data_keys": number % 2 == 0})
                except (OSError, AssertionError, ValueError):
                    pass  # it is killed

            thread = threading.Thread(target=rotate)
            thread.start()
            thread.join(random.Random(number).uniform(0, 0.06))
            os.killpg(gateway.process.pid, signal.SIGKILL)
            gateway.process.wait()
            thread.join()
            gateway.start()
            seen.add(bench.call("GET", "/api/v1/secrets")["master_key"] != before)
            for path, key in expected.items():
                assert bench.call("GET", path)["key"] == key, f"round {number}"
            shown = bench.items("/api/v1/endpoints?tenant=acme&limit=1000")
            assert len(shown) >= 200 and all(one["secret_count"] == 1 for one in shown if "many" in one["name"])
        notes.append(f"{rounds} rounds, ended {' and '.join('new' if new else 'old' for new in sorted(seen))}")
    with report.case("nothing of all this is in the folder either"):
        found = grep_folder(bench)
        assert not found, "; ".join(found)


def elsewhere(report):
    """The operator's own key, in a variable."""
    with report.case("a key from the environment is used, and never written"):
        text = base64.b64encode(os.urandom(32)).decode()
        variable = {"SLUICE_MASTER_KEY": text}
        with Gateway([github_source()], master_key="env:SLUICE_MASTER_KEY", environment=variable) as gateway:
            said = sluice("secrets", "status", "--config", gateway.config_path, "--json", check=0).stdout
            assert json.loads(said)["kept_in"] == "environment", said
            refused = sluice("secrets", "rewrap", "--config", gateway.config_path, check=1)
            assert "SLUICE_MASTER_KEY" in refused.stderr and text not in refused.stderr, refused.stderr
            for base, _, names in os.walk(gateway.data):
                assert "master.key" not in names
                for name in names:
                    with open(os.path.join(base, name), "rb") as file:
                        content = file.read()
                    assert text.encode() not in content and base64.b64decode(text) not in content, name


def main():
    options = arguments(__doc__, rounds=8)
    report = Report("secrets_at_rest")

    def script(delivery, number):
        path = delivery.path
        return 500 if "/bad" in path else 404 if "/dead" in path else 204

    with Receiver(script) as receiver:
        bench = Bench(receiver)
        with bench.gateway:
            with report.case("everything that takes a secret is given one, and the gateway is used"):
                bench.fill()
                bench.use()
            nowhere(report, bench)
            with report.case("after a restart it is the same"):
                bench.gateway.stop()
                bench.gateway.start()
                bench.use()
                found = grep_folder(bench)
                assert not found, "; ".join(found)
            keys(report, bench)
            killed(report, bench, options.rounds)
    elsewhere(report)
    report.finish()


if __name__ == "__main__":
    main()
