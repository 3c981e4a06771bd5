#!/usr/bin/env python3
"""The providers' signature vectors as requests through the port, and through `sluice verify --vectors`: those beside
this repository, where they are, and our own always.

One source a vector (its secrets, its provider, its public URL), one gateway a receiver's clock (`serve --test-clock`).
What is not a request (signing, derived values) is for `sluice verify` alone.
"""

import base64
import collections
import glob
import json
import os
import socket
from urllib.parse import urlsplit

import supportpath  # noqa: F401  (puts the shared modules on the path)
from report import Report, Skip, arguments, one_line
from serverutil import ROOT, SHARED, TINY_LIMITS, TINY_LOG, Gateway, read_answer, request, sluice

FOLDER = os.path.join(SHARED, "vectors")
OWN = [os.path.join(ROOT, "Tests", "Fixtures", name) for name in ("vectors.json", "provider_vectors.json")]
# A scheme that is a profile of its own in the catalogue.
PROFILES = {"github-sha1", "adyen-payload"}
# Their path is part of what is signed, so it must be the vector's; the others get a path each.
SIGN_URLS = {"twilio", "square", "hubspot", "hubspot-legacy", "jira-connect"}
LEGACY = {"hubspot-v1": "hubspot-legacy", "hubspot-v2": "hubspot-legacy"}


def load(path):
    with open(path) as file:
        return json.load(file)


def is_for_port(vector):
    # A secret of the wrong form stops the start: no request comes to it.
    return vector["kind"] in ("verify", "handshake") and vector["expect"] != "reject:invalid_secret"


def source_of(vector, name):
    scheme = vector["scheme"]
    provider = scheme if scheme in PROFILES else LEGACY.get(scheme, vector["provider"])
    url = urlsplit(vector["url"])
    source = {"name": name, "provider": provider, "secrets": [], "public_url": f"{url.scheme}://{url.netloc}"}
    # The vectors are the signature's own rule: no old time passes where no repetition is known as one.
    source["dedup"] = {"window": "0s"}
    source["path"] = url.path if provider in SIGN_URLS else f"/{name}"
    for secret in vector["secrets"]:
        kind = secret.get("type")
        if kind == "verify-token":
            source["verify_token"] = secret["value"]
        elif kind == "allowed-origin":
            source.setdefault("allowed_origins", []).append(secret["value"])
        else:
            source["secrets"].append(secret["value"])
        if kind == "header":
            source["scheme"] = {"algorithm": "token", "header": secret["header"]}
    return source


def raw_request(port, vector, target):
    """Method, header order and repetition kept; the vectors depend on them."""
    body = base64.b64decode(vector["body"])
    head = f"{vector['method']} {target} HTTP/1.1\r\nHost: {urlsplit(vector['url']).netloc}\r\n"
    if body or vector["method"] in ("POST", "PUT"):
        head += f"Content-Length: {len(body)}\r\n"
    for key, value in vector["headers"]:
        if key.lower() not in ("host", "content-length"):
            head += f"{key}: {value}\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        s.sendall(head.encode("utf-8") + b"\r\n" + body)
        status, answer_head, answer, _ = read_answer(s)
    return status, answer_head.decode("latin-1"), answer


def header_matches(value, wanted):
    if isinstance(wanted, list):
        return any(header_matches(value, each) for each in wanted)
    if wanted.startswith("<"):
        return value == "*" or value.isdigit() and int(value) > 0
    if wanted.startswith("contains "):
        return wanted.removeprefix("contains ") in value
    return value == wanted


def check_handshake(vector, status, head, body):
    wanted = vector["expect_response"]
    assert status == wanted.get("status", status), f"{status}, want {wanted['status']}: {one_line(body)}"
    lines = [line.split(":", 1) for line in head.split("\r\n")[1:] if ":" in line]
    headers = {name.strip().lower(): value.strip() for name, value in lines}
    for name in wanted.get("absent_headers", ()):
        assert name.lower() not in headers, f"{name}: {headers[name.lower()]}"
    for name, value in wanted.get("headers", {}).items():
        assert header_matches(headers.get(name.lower(), ""), value), f"{name}: {headers.get(name.lower())}"
    if "content_type" in wanted:
        assert headers.get("content-type", "").startswith(wanted["content_type"]), headers.get("content-type")
    options = [o for o in wanted.get("any_of") or [wanted] if "json" in o or "body" in o]
    for option in options:
        if "json" in option:
            try:
                if json.loads(body) == option["json"]:
                    return
            except ValueError:
                continue
        elif body == option["body"].encode():
            return
    assert not options, f"answered {one_line(body)}, want one of {one_line(options)}"


def check(vector, status, head, body):
    if vector.get("expect_response"):
        check_handshake(vector, status, head, body)
        if vector["expect"] == "accept":
            return
    allowed = [vector["expect"]] + list(vector.get("alt_expect") or [])
    if 200 <= status < 300:
        assert "accept" in allowed, f"accepted with {status}, want {allowed}"
        return
    assert status in (400, 401, 403), f"answered {status} {one_line(body)}, want {allowed}"
    reason = json.loads(body).get("reason")
    assert f"reject:{reason}" in allowed, f"rejected for {reason}, want {allowed}"


def rounds_of(vectors):
    """Lists of (source, its vectors), of which each fits one gateway: no path twice."""
    rounds = []
    for number, vector in enumerate(vectors):
        source = source_of(vector, f"v{number}")
        for group in rounds:
            same = next((entry for entry in group if entry[0]["path"] == source["path"]), None)
            if same is None:
                group.append((source, [vector]))
            elif {**same[0], "name": ""} == {**source, "name": ""}:
                same[1].append(vector)
            else:
                continue
            break
        else:
            rounds.append([(source, [vector])])
    return rounds


def through_port(report, vectors):
    by_clock = collections.defaultdict(list)
    for vector in vectors:
        by_clock[vector["now"]].append(vector)
    failures = collections.Counter()
    counts = collections.Counter(vector["provider"] for vector in vectors)
    for now, group in sorted(by_clock.items()):
        for sources in rounds_of(group):
            with Gateway(
                [source for source, _ in sources],
                arguments=["--test-clock", str(now)],
                loops=1,
                limits=TINY_LIMITS,
                log=TINY_LOG,
                dedup={"entries": 1024},
            ) as gateway:
                for source, members in sources:
                    for vector in members:
                        try:
                            query = urlsplit(vector["url"]).query
                            target = source["path"] + ("?" + query if query else "")
                            check(vector, *raw_request(gateway.port, vector, target))
                        except Exception as error:
                            failures[vector["provider"]] += 1
                            report.fail("port " + vector["id"], one_line(f"{type(error).__name__}: {error}"))
    for provider, count in sorted(counts.items()):
        if not failures[provider]:
            report.ok(f"port {provider}", f"{count} vectors")


def through_verify(report, files):
    for path in files:
        name = os.path.basename(path).removesuffix(".json")
        with report.case(f"verify --vectors {name}") as notes:
            done = sluice("verify", "--vectors", path)
            lines = done.stdout.strip().splitlines()
            bad = []
            wanted = {vector["id"]: vector for vector in load(path)}
            for line in lines[:-1]:
                result = json.loads(line)
                vector = wanted.pop(result["id"])
                said = "accept" if result["result"] == "accept" else f"{result['result']}:{result.get('reason')}"
                if said not in [vector["expect"]] + list(vector.get("alt_expect") or []):
                    bad.append(f"{result['id']} {said} want {vector['expect']}")
            notes.append(lines[-1] if lines else "silent")
            assert not wanted, f"not looked at: {sorted(wanted)[:5]}"
            assert done.returncode == 0 and not bad, f"status {done.returncode}; {bad[:5]}; {one_line(done.stderr)}"


def self_made(report):
    """Where the vectors are not: a signature of our own per result, so that the port is never left untried."""
    from serverutil import github_headers, github_source

    with report.case("port github, own fixtures"):
        with Gateway([github_source()]) as gateway:
            body = b'{"zen":"own"}'
            good = github_headers(body)
            assert gateway.post("/in/github", body, good)[0] in (200, 202)
            status, _, answer = gateway.post("/in/github", body + b" ", good)
            assert status == 401 and json.loads(answer)["reason"] == "signature_mismatch", answer
            status, _, answer = gateway.post("/in/github", body, {"X-GitHub-Event": "push"})
            assert status == 401 and json.loads(answer)["reason"] == "missing_header", answer
            assert request(gateway.port, "/in/nobody", b"{}", method="POST")[0] == 404


def main():
    options = arguments(__doc__, only="")
    report = Report("vectors")
    self_made(report)
    files = OWN + sorted(glob.glob(os.path.join(FOLDER, "*.json")))
    if options.only:
        files = [path for path in files if os.path.basename(path) == options.only + ".json"]
    vectors = [vector for path in files for vector in load(path) if is_for_port(vector)]
    through_port(report, vectors)
    through_verify(report, files)
    if not os.path.isdir(FOLDER):
        with report.case("vectors beside this repository"):
            raise Skip("they are not there")
    report.finish()


if __name__ == "__main__":
    main()
