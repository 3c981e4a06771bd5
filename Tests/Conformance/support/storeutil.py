"""What is in a gateway's log, asked of the binary itself (`sluice log show --json`), in the log's order."""

import json

from loadgen import NAME
from serverutil import sluice


def log_records(data, statuses=(0,)):
    """One dictionary a record. Status 1 (damage was found) is the caller's to allow."""
    done = sluice("log", "show", "--json", data, timeout=600)
    assert done.returncode in statuses, f"log show: status {done.returncode}: {(done.stderr or done.stdout)[-400:]}"
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def name_of(record):
    """The name the load gave the event: its delivery id, wherever the record shows it."""
    found = NAME.findall(json.dumps(record))
    return found[0] if found else None


def events_in_log(gateway_or_folder, statuses=(0, 1)):
    data = getattr(gateway_or_folder, "data", gateway_or_folder)
    return [name for name in map(name_of, log_records(data, statuses)) if name]
