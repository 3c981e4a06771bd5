#!/usr/bin/env python3
"""Delivery with history kept: fills the log while the endpoint is disabled, then enables it and measures how fast
`sluice sink` gets everything, with the gateway on one processor and the sink on the other.

  perf/delivery.py --events 200000 --body 1024
"""

import subprocess
import tempfile
import time

from perfutil import fill, pinned
from report import arguments, wait_until
from serverutil import BINARY, Gateway, endpoint, free_port, open_source


def delivered(gateway):
    return sum(
        value
        for series, value in gateway.metrics().items()
        if series.startswith("sluice_delivery") and "total" in series and "delivered" in series
    )


def main():
    options = arguments(__doc__, events=200_000, body=1024, concurrency=64)
    port = free_port()
    target = endpoint(
        "sink", f"http://127.0.0.1:{port}/hooks", secret="whsec_" + "A" * 32, concurrency=options.concurrency
    )
    large = {"segment": "256MiB", "group": "16MiB"}
    with tempfile.TemporaryDirectory(prefix="sluice-perf-") as folder:
        with Gateway([open_source()], [{**target, "disabled": True}], folder=folder, log=large, loops=1) as gateway:
            total, number = 0, 0
            while total < options.events:
                number += 1
                total += fill(gateway, 2, body=options.body, run=f"f{number}")[0]
        print(f"{total} events of {options.body} B in the log")
        sink = subprocess.Popen(
            pinned("1", [BINARY, "sink", "--listen", f"127.0.0.1:{port}"]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            time.sleep(0.5)
            gateway = Gateway([open_source()], [target], folder=folder, log=large, loops=1, wrapper=pinned("0", []))
            with gateway:
                started, used = time.monotonic(), gateway.cpu_seconds()
                wait_until(lambda: delivered(gateway) >= total, 300, lambda: f"{delivered(gateway)} of {total}")
                seconds, used = time.monotonic() - started, gateway.cpu_seconds() - used
                print(f"delivered {total} in {seconds:.2f} s: {total / seconds:.0f}/s")
                print(f"{used / total * 1e6:.1f} us of processor time each")
                print(f"{total / used:.0f} a second a core; RSS {gateway.rss() >> 20} MiB")
        finally:
            sink.terminate()
            sink.wait()


if __name__ == "__main__":
    main()
