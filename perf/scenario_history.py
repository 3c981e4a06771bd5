"""The scenario of the delivery history: the store by itself, filled with finished deliveries by perf/store-growth."""

import json
import os
import shutil
import subprocess

from perfutil import ROOT
from scenario import NotMeasured
from servers import data_folder

TOOL = os.path.join(ROOT, ".build", "release", "store-growth")


def history(what, outcome, scale):
    """Finished rows go in, then the questions that an operator asks, then the oldest slices go."""
    if not os.path.exists(TOOL):
        raise NotMeasured("build first: swift build -c release --product store-growth")
    rows = max(100_000, int(what["rows"] * scale))
    slice_rows = max(10_000, int(what["slice"] * min(1, scale * 10)))
    folder = data_folder()
    try:
        command = [TOOL, folder, str(rows), str(slice_rows), str(what["endpoints"])]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout)
        size = sum(os.path.getsize(os.path.join(base, name)) for base, _, names in os.walk(folder) for name in names)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    outcome.figure("rows", found["rows"])
    outcome.figure("rate_first", found["rateFirst"], 0)
    outcome.figure("rate_last", found["rateLast"], 0)
    outcome.figure("rate_kept", found["rateLast"] / found["rateFirst"])
    outcome.figure("batch_millis_slowest", found["slowestBatchMillis"], 1)
    outcome.figure("failed_listing_millis", found["failedListingP50"])
    outcome.figure("failed_listing_millis_max", found["failedListingMax"])
    outcome.figure("attempts_millis", found["attemptsP50"])
    outcome.figure("attempts_millis_max", found["attemptsMax"])
    outcome.figure("drop_millis", found["dropMillis"])
    outcome.figure("rate_kept_by_drop", found["rateKeptByDrop"])
    outcome.figure("bytes_a_row", size / found["rowsLeft"], 1)
    outcome.check("every listing and every attempt that was asked for is there", found["isComplete"])
    outcome.check("inserting is at least 0.9 times as fast at the end", found["rateLast"] >= 0.9 * found["rateFirst"])
    outcome.check("the last 50 failed deliveries of an endpoint come within 20 ms", found["failedListingP99"] <= 20)
    outcome.check("the attempts of an event come within 20 ms", found["attemptsP99"] <= 20)


KINDS = {"history": (history, {"rows": 50_000_000, "endpoints": 20_000, "slice": 2_000_000})}
