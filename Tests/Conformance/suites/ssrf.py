#!/usr/bin/env python3
"""Addresses that a delivery must never reach, in every spelling: written in a URL, answered by a name server, named by
a redirect. The list is shared/security/ssrf.json; without it nothing is tried.

Names are answered by a hosts file of our own in a mount namespace; what must not be reached is a server that counts its
connections."""

import json
import os
import tempfile
import urllib.parse

import supportpath  # noqa: F401  (puts the shared modules on the path)
from hostsfile import hosts_wrapper
from receiver import Receiver
from report import Report, arguments, stays_true, wait_until
from serverutil import SHARED, Gateway, endpoint, github_headers, github_source, sluice

ONCE = {"delays": [], "jitter": 0}


def known():
    try:
        with open(os.path.join(SHARED, "security", "ssrf.json")) as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def send(gateway):
    body = b'{"zen":"x"}'
    status, _, answer = gateway.post("/in/github", body, github_headers(body))
    assert status == 202, f"{status} {answer[:200]}"


def written(report, rows):
    """One manifest with all of them; each must be refused at its own line."""
    with tempfile.TemporaryDirectory(prefix="sluice-ssrf-") as folder:
        path = os.path.join(folder, "sluice.yaml")
        lines = ["data: ./data", "sources: [{ name: s, provider: github, secrets: [x] }]", "endpoints:"]
        first = len(lines) + 1
        lines += [f"  - {json.dumps({'name': row['id'], 'url': row['url']})}" for row in rows]
        with open(path, "w") as file:
            file.write("\n".join(lines) + "\n")
        said = sluice("config", "check", path, check=2)
        text = said.stdout + said.stderr
        for number, row in enumerate(rows):
            with report.case(f"{row['id']}: {row['why']}"):
                assert f"sluice.yaml:{first + number}: " in text, f"accepted: {row['url']!r}"


def answered(report, names, wrapper):
    with Receiver() as canary:
        endpoints = [
            endpoint(f"n{number}", f"{scheme}://{name}:{canary.port}/", retry=ONCE)
            for number, (scheme, name) in enumerate(names)]
        with Gateway([github_source()], endpoints, delivery={"allow": []}, wrapper=wrapper) as gateway:
            send(gateway)

            def states():
                return {one["name"]: one["status"] for one in gateway.api("/api/v1/endpoints?limit=200")["items"]}

            wait_until(lambda: all(one.get("last_error") for one in states().values()), 20, states)
            found = states()
            for number, (scheme, name) in enumerate(names):
                with report.case(f"answered by the name server: {scheme}://{name}"):
                    said = found[f"n{number}"]["last_error"]
                    assert "which is not a public address" in said, said
            with report.case("nothing was connected"):
                stays_true(lambda: canary.connections == 0, 1, lambda: f"{canary.connections} connections")


def redirected(report):
    with Receiver() as canary, Receiver() as receiver:
        targets = [canary.url, "http://169.254.169.254/", "file:///etc/passwd", f"//127.0.0.1:{canary.port}/"]
        statuses = (301, 302, 303, 307, 308)
        answers = [(status, target) for status in statuses for target in targets]

        def redirect(delivery, number):
            status, target = answers[(number - 1) % len(answers)]
            return status, {
                "Location": target, "Alt-Svc": f'h2="127.0.0.1:{canary.port}"', "Refresh": f"0; url={canary.url}"}

        receiver.script = redirect
        one = [endpoint("one", receiver.url, retry=ONCE)]
        with Gateway([github_source()], one) as gateway:
            with report.case("redirects are failures, whatever they name"):
                for answer in answers:
                    body = json.dumps({"n": receiver.count(), "of": answer}).encode()
                    gateway.post("/in/github", body, github_headers(body))
                wait_until(lambda: receiver.count() == len(answers), 20, lambda: f"{receiver.count()} attempts")
                wait_until(
                    lambda: len(gateway.api("/api/v1/deliveries?state=dead&limit=100")["items"]) == len(answers),
                    10, "not all are dead letters")
                stays_true(lambda: canary.connections == 0, 1, lambda: f"{canary.connections} connections")


def main():
    arguments(__doc__)
    report = Report("ssrf")
    rows = known()
    if rows is None:
        report.skip("everything", "shared/security/ssrf.json is not there")
    else:
        blocked = [row for row in rows["urls"] if row["expect"] == "blocked"]
        written(report, [row for row in blocked if row["stage"] != "resolve"])
        names = sorted({urllib.parse.urlsplit(row["url"]).hostname for row in blocked if row["stage"] == "resolve"})
        with tempfile.TemporaryDirectory(prefix="sluice-hosts-") as folder:
            # What a rebinding name server answers: one good address and one that is not, in both orders and families.
            mixed = [
                ("both.test", "8.8.8.8"), ("both.test", "127.0.0.1"), ("six.test", "8.8.8.8"), ("six.test", "::1"),
                ("private.test", "10.0.0.1"), ("metadata.test", "169.254.169.254")]
            wrapper = hosts_wrapper(folder, [(name, "127.0.0.1") for name in names] + mixed)
            if wrapper is None:
                report.skip("names", "no mount namespace for a hosts file of our own")
            else:
                every = names + sorted({name for name, _ in mixed})
                answered(report, [(scheme, name) for name in every for scheme in ("http", "https")], wrapper)
        redirected(report)
    report.finish()


if __name__ == "__main__":
    main()
