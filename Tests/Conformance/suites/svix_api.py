#!/usr/bin/env python3
"""The Svix-shaped API as the official Python client drives it: a conformance suite that lies beside the tree
(`../shared/svix-api/suite.py`) is run against a gateway, group by group, and each of its cases is counted. Where it, or
one of the packages that it needs, is not to be had, it is skipped by name."""

import importlib.util
import os
import re
import subprocess
import sys

import supportpath  # noqa: F401  (puts the shared modules on the path)
from report import Report, arguments
from serverutil import SHARED, Gateway, open_source, platform_key

SUITE = os.path.join(SHARED, "svix-api", "suite.py")
GROUPS = ("application", "endpoint", "event-type", "auth", "sdk", "limits")
# Cases of these groups that send messages.
MESSAGES = {
    "endpoint.stats-start-at-zero",
    "endpoint.stats-range-400",
    "endpoint.recover-window",
    "endpoint.send-example-ping-answer",
    "auth.app-token-organization-calls-403",
    "auth.app-token-sees-messages-and-attempts",
    "sdk.content-is-off-unless-asked",
    "sdk.contract-of-every-page",
    "limits.page-size",
    "limits.page-size-default-is-50",
    "limits.iterator-form-422",
    "limits.body-too-large-413",
}
SECONDS_MAX = 150


def missing():
    """What the suite needs and is not here; empty when nothing is."""
    lacks = [] if os.path.exists(SUITE) else ["../shared/svix-api/suite.py"]
    return lacks + [name for name in ("svix", "requests") if importlib.util.find_spec(name) is None]


def run(report, gateway, group):
    url = f"http://127.0.0.1:{gateway.admin_port}"
    command = [sys.executable, "-B", SUITE, "--url", url, "--token", platform_key(gateway.admin_port)]
    done = subprocess.run(
        [*command, "--app-token-ok", "--group", group], capture_output=True, text=True, timeout=SECONDS_MAX, check=False
    )
    found = re.findall(r"^(PASS|FAIL|SKIP) ([\w.-]+)(?:: (.*))?$", done.stdout, re.MULTILINE)
    if not found:
        report.fail(group, f"the suite said nothing: {(done.stdout + done.stderr)[-400:]}")
    for verdict, case, why in found:
        if case in MESSAGES:
            report.skip(case, "messages are not part of this surface yet")
        elif verdict == "PASS":
            report.ok(case)
        elif verdict == "FAIL":
            report.fail(case, why)
        else:
            report.skip(case, why)


def main():
    arguments(__doc__)
    report = Report("svix_api")
    lacks = missing()
    if lacks:
        report.skip("the conformance suite", f"not here: {', '.join(lacks)}")
        return report.finish()
    with Gateway([open_source()], delivery={"allow": ["127.0.0.0/8"]}) as gateway:
        for group in GROUPS:
            run(report, gateway, group)
    report.finish()


if __name__ == "__main__":
    main()
