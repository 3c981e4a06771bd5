#!/usr/bin/env python3
"""RSS over millions of events, the memory budget printed at start against the real RSS, and what an idle gateway costs.

perf/soak.py --events 10000000
"""

import re
import time

from perfutil import fill
from report import arguments
from serverutil import Gateway, open_source

UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def budget(text):
    """Bytes of the budget line of the start, or None."""
    found = re.search(r"(?i)(?:budget|memory)\D{0,40}?([\d.]+)\s*(GiB|MiB|KiB|B)\b", text)
    return float(found[1]) * UNITS[found[2]] if found else None


def main():
    options = arguments(__doc__, events=10_000_000, body=300, idle=10)
    retention = {"segment": "64MiB", "group": "8MiB", "retention": {"size": "512MiB"}}
    with Gateway([open_source()], log=retention, loops=1, dedup={"entries": 1 << 20}) as gateway:
        promised = budget(gateway.output())
        before, started = gateway.cpu_seconds(), time.monotonic()
        time.sleep(options.idle)
        share = (gateway.cpu_seconds() - before) / (time.monotonic() - started)
        print(f"idle: {share:.2%} of a core; RSS {gateway.rss() >> 20} MiB")
        total, number, samples = 0, 0, []
        while total < options.events:
            number += 1
            count, rate = fill(gateway, 10, body=options.body, run=f"s{number}")
            total += count
            samples.append(gateway.rss())
            print(f"{total:>10} events, {rate:.0f}/s, RSS {samples[-1] >> 20} MiB", flush=True)
        kept = gateway.metric_sum("sluice_events_total", outcome="accepted")
        print(f"{kept:.0f} kept of {total} answered")
        assert kept >= total, "some were answered without being kept"
        growth = samples[-1] - samples[min(2, len(samples) - 1)]
        print(f"RSS grew by {growth >> 10} KiB since the third sample")
        if promised:
            print(f"budget {promised / (1 << 20):.0f} MiB, RSS {samples[-1] / promised:.0%} of it")


if __name__ == "__main__":
    main()
