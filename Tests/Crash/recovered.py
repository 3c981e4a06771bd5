#!/usr/bin/env python3
"""Prints one recovered event name a line: starts the real gateway on a folder, lets it recover, stops it, reads its
log.

The check command of crashgen.py. Exit 0 when the gateway started and stopped clean; what it says otherwise is on
stderr.
"""

import os
import sys
import tempfile

import crashutil  # noqa: F401  (puts the conformance helpers on the path)
from serverutil import TINY_LIMITS, TINY_LOG, Gateway, StartFailed, github_source
from storeutil import events_in_log


def main():
    folder = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="sluice-recovered-") as place:
        gateway = Gateway(
            [github_source()], folder=place, limits=TINY_LIMITS, log=TINY_LOG, dedup={"entries": 65536}, loops=1
        )
        gateway.data = os.path.join(folder, "data")
        try:
            with gateway:
                pass
        except (StartFailed, AssertionError) as error:
            sys.exit(f"recovered.py: {error}")
        print("\n".join(events_in_log(gateway)))


if __name__ == "__main__":
    main()
