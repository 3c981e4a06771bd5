#!/usr/bin/env python3
"""No endpoint takes another's share: a healthy one gets its events at once while others hang, whatever these hold:
connections, memory for bodies, deliveries in flight.

The bound is one on waiting, far below the head time-out of the endpoints that hang (15 s), after which they let go of
what they hold whether or not the gateway shares fairly."""

import supportpath  # noqa: F401  (puts the shared modules on the path)
import hanging
from report import Report, arguments

# Far above what a machine under load needs.
WAIT_SECONDS = 6


def main():
    options = arguments(__doc__, only="")
    report = Report("isolation")
    for key, what, case in hanging.CASES:
        if options.only and options.only != key:
            continue
        with report.case(f"a healthy endpoint gets its events beside {what}") as notes:
            with case() as (count, receiver):
                seconds = hanging.seconds_until(receiver, count, WAIT_SECONDS)
                had = hanging.distinct(receiver)
                assert had == count, f"{had} of {count} within {WAIT_SECONDS} s"
                notes.append(f"{count} events {seconds:.2f} s later")
    report.finish()


if __name__ == "__main__":
    main()
