#!/usr/bin/env python3
"""kept.py FOLDER SECONDS: what perf/ingest.sh asks after each comparison: is every answer a record on disk? The figure
is only worth printing when it is; a load that repeats itself is answered from the table of duplicates instead.
"""

import glob
import json
import os
import re
import statistics
import subprocess
import sys

SHARE_MIN = 0.97
BINARY = os.environ.get("SLUICE_BIN") or os.path.join(os.path.dirname(__file__), "..", ".build", "release", "sluice")


def main():
    folder, seconds = sys.argv[1], float(sys.argv[2])
    with open(os.path.join(folder, "table")) as file:
        rate = float(re.search(r"(?m)^sluice\s+(\d+)", file.read())[1])
    records = []
    for data in glob.glob(os.path.join(folder, "run.*", "data")):
        done = subprocess.run([BINARY, "log", "stats", data, "--json"], capture_output=True, text=True, check=True)
        records.append(json.loads(done.stdout)["records"])
    share = statistics.median(records) / (rate * seconds)
    print(f"records on disk for each answer: {share:.2f}")
    if share < SHARE_MIN:
        sys.exit("NOT COMPARABLE: answers without a record; the ratio above measures duplicates")


if __name__ == "__main__":
    main()
