#!/usr/bin/env python3
"""The providers' signature vectors as requests through the port, and through `sluice verify --vectors`.

One source a vector (its secrets, its provider), one gateway a receiver's clock (`serve --test-clock`). Vectors
about asymmetric keys and about signing are not for these providers' ports and are not counted.
"""

import base64
import collections
import json
import os

from report import Report, Skip, arguments, one_line
from serverutil import TINY_LIMITS, TINY_LOG, SHARED, Gateway, request, sluice

PROVIDERS = [
    "standard-webhooks",
    "svix",
    "github",
    "gitlab",
    "stripe",
    "slack",
    "zoom",
    "shopify",
    "fireflies",
    "otter",
]
FOLDER = os.path.join(SHARED, "vectors")
# `github-sha1` is not what the catalogue's GitHub entry verifies: the same scheme as data shows it.
SCHEMES = {
    "github-sha1": {"algorithm": "hmac-sha1", "header": "X-Hub-Signature", "prefix": "sha1=", "encoding": "hex"}
}


def load(provider):
    with open(os.path.join(FOLDER, provider + ".json")) as file:
        return json.load(file)


def is_for_port(vector):
    return vector["kind"] in ("verify", "handshake") and all(not s.get("type") for s in vector["secrets"])


def source_of(vector, name):
    source = {"name": name, "provider": vector["provider"], "secrets": [s["value"] for s in vector["secrets"]]}
    if vector["scheme"] in SCHEMES:
        source.update(provider="generic", scheme=SCHEMES[vector["scheme"]])
    return source


def raw_post(port, path, headers, body):
    """Header order and repetition kept; the vectors depend on both."""
    import socket
    from serverutil import read_answer

    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    head += "".join(f"{key}: {value}\r\n" for key, value in headers if key.lower() not in ("host", "content-length"))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        s.sendall(head.encode("utf-8") + b"\r\n" + body)
        status, answer_head, answer, _ = read_answer(s)
    return status, answer_head.decode("latin-1"), answer


def check_handshake(vector, status, head, body):
    wanted = vector["expect_response"]
    assert status == wanted["status"], f"{status}, want {wanted['status']}: {one_line(body)}"
    options = wanted.get("any_of") or [wanted]
    for option in options:
        if "json" in option:
            try:
                if json.loads(body) == option["json"]:
                    return
            except ValueError:
                continue
        elif "body" in option and body == option["body"].encode():
            return
    raise AssertionError(f"answered {one_line(body)}, want one of {one_line(options)}")


def check(vector, status, head, body):
    if vector["expect"] == "accept" and vector.get("expect_response"):
        return check_handshake(vector, status, head, body)
    allowed = [vector["expect"]] + list(vector.get("alt_expect") or [])
    if 200 <= status < 300:
        assert "accept" in allowed, f"accepted with {status}, want {allowed}"
        return None
    assert status == 401, f"answered {status} {one_line(body)}, want {allowed}"
    reason = json.loads(body).get("reason")
    assert f"reject:{reason}" in allowed, f"rejected for {reason}, want {allowed}"


def through_port(report, vectors):
    by_clock = collections.defaultdict(list)
    for vector in vectors:
        by_clock[vector["now"]].append(vector)
    failures = collections.Counter()
    counts = collections.Counter(vector["provider"] for vector in vectors)
    for now, group in sorted(by_clock.items()):
        sources = [source_of(vector, f"v{number}") for number, vector in enumerate(group)]
        with Gateway(
            sources,
            arguments=["--test-clock", str(now)],
            loops=1,
            limits=TINY_LIMITS,
            log=TINY_LOG,
            dedup={"entries": 1024},
        ) as gateway:
            for number, vector in enumerate(group):
                try:
                    answer = raw_post(
                        gateway.port, f"/in/v{number}", vector["headers"], base64.b64decode(vector["body"])
                    )
                    check(vector, *answer)
                except Exception as error:
                    failures[vector["provider"]] += 1
                    report.fail("port " + vector["id"], one_line(f"{type(error).__name__}: {error}"))
    for provider, count in sorted(counts.items()):
        if not failures[provider]:
            report.ok(f"port {provider}", f"{count} vectors")


def through_verify(report, providers):
    for provider in providers:
        with report.case(f"verify --vectors {provider}") as notes:
            done = sluice("verify", "--vectors", os.path.join(FOLDER, provider + ".json"))
            lines = done.stdout.strip().splitlines()
            bad = []
            wanted = {vector["id"]: vector for vector in load(provider)}
            for line in lines[:-1]:
                result = json.loads(line)
                vector = wanted[result["id"]]
                if vector["kind"] != "verify":
                    continue
                if result["result"] == "skipped":
                    # Only what needs an asymmetric key may be left out.
                    if all(not secret.get("type") for secret in vector["secrets"]):
                        bad.append(f"{result['id']} skipped")
                    continue
                said = "accept" if result["result"] == "accept" else "reject:" + str(result.get("reason"))
                if said not in [vector["expect"]] + list(vector.get("alt_expect") or []):
                    bad.append(f"{result['id']} {said} want {vector['expect']}")
            notes.append(lines[-1] if lines else "silent")
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
    if os.path.isdir(FOLDER):
        providers = [p for p in PROVIDERS if not options.only or p == options.only]
        vectors = [v for p in providers for v in load(p) if is_for_port(v)]
        through_port(report, vectors)
        through_verify(report, providers)
    else:
        with report.case("providers' vectors"):
            raise Skip("the shared vectors are not beside this repository")
    report.finish()


if __name__ == "__main__":
    main()
