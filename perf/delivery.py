#!/usr/bin/env python3
"""Delivery with history kept: fills the log while the endpoint is disabled, then enables it and measures how fast
`sluice sink` gets everything, with the gateway on one processor and the sink on the other.

  perf/delivery.py --events 200000 --body 1024
"""

import json
import subprocess
import tempfile
import time

from perfutil import fill, pinned
from report import arguments, wait_until
from serverutil import BINARY, Gateway, endpoint, free_port, open_source


def delivered(gateway):
    return gateway.metric_sum("sluice_delivery_events_total", outcome="delivered")


def main():
    options = arguments(__doc__, events=200_000, body=1024, concurrency=64)
    port = free_port()
    target = endpoint(
        "sink", f"http://127.0.0.1:{port}/hooks", secret="whsec_" + "A" * 32, concurrency=options.concurrency
    )
    large = {"segment": "64MiB", "group": "16MiB"}
    with tempfile.TemporaryDirectory(prefix="sluice-perf-") as folder:
        with Gateway([open_source()], [{**target, "disabled": True}], folder=folder, log=large, loops=1) as gateway:
            total, number = 0, 0
            while total < options.events:
                number += 1
                total += fill(gateway, 2, body=options.body, run=f"f{number}")[0]
            # wrk leaves out what was in flight when it stopped.
            total = int(gateway.metric_sum("sluice_events_total", outcome="accepted"))
        print(f"{total} events of {options.body} B in the log")
        sink = subprocess.Popen(
            pinned("1", [BINARY, "sink", "--listen", f"127.0.0.1:{port}", "--json"]),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            time.sleep(0.5)
            gateway = Gateway([open_source()], [target], folder=folder, log=large, loops=1, wrapper=pinned("0", []))
            with gateway:
                # Deliveries begin before /ready is seen: what was done by then counts for neither side.
                started, used, before = time.monotonic(), gateway.cpu_seconds(), delivered(gateway)
                wait_until(lambda: delivered(gateway) >= total, 300, lambda: f"{delivered(gateway)} of {total}")
                seconds, used, count = time.monotonic() - started, gateway.cpu_seconds() - used, total - before
                print(
                    f"delivered {count:.0f} in {seconds:.2f} s with the gateway on one core: {count / seconds:.0f}/s"
                )
                print(f"{used / count * 1e6:.1f} us of processor time each; RSS {gateway.rss() >> 20} MiB")
        finally:
            sink.terminate()
            seen = json.loads(sink.communicate()[0])
        assert seen["distinct"] == total, f"the sink has {seen['distinct']} of {total} events"
        print(f"the sink has all {total}, {seen['duplicates']} twice")


if __name__ == "__main__":
    main()
