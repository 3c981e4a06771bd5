#!/usr/bin/env python3
"""Pastes the README's five-minute tour into a shell, block by block, and looks at what it shows. Ports and
the folder are
replaced, so that two runs do not meet; `make build` is left out, the binary is there.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile

import supportpath  # noqa: F401  (puts the shared modules on the path)
from report import Report, arguments, one_line
from serverutil import BINARY, ROOT, die_with_parent, free_port

# Text that a block's output must show, by the order of the blocks after the build.
EXPECTED = ["good", "", "sluice_", "401", "", ""]


def blocks():
    text = open(os.path.join(ROOT, "README.md")).read()
    tour = text.split("## Five minutes", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"```sh\n(.*?)```", tour, re.DOTALL)


def main():
    arguments(__doc__)
    report = Report("tour")
    folder = tempfile.mkdtemp(prefix="sluice-tour-")
    replaced = {"/tmp/sluice-tour": folder}
    for port in ("8080", "8081", "9000"):
        replaced[port] = str(free_port())
    with report.case("the README's tour works when pasted") as notes:
        found = blocks()
        assert len(found) >= 6 and "make build" in found[0], "the tour is not where this test looks for it"
        script = f'export PATH="{os.path.dirname(BINARY)}:$PATH"\nset -m\n'
        for number, block in enumerate(found[1:]):
            script += f"echo '@@{number}'\n{block}\necho \"@@status $?\"\n"
        for old, new in replaced.items():
            script = script.replace(old, new)
        process = subprocess.Popen(
            ["bash", "-c", script],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=die_with_parent,
            stdin=subprocess.DEVNULL,
        )
        try:
            out = process.communicate(timeout=90)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out = process.communicate()[0]
            raise AssertionError(f"not done within 90 s: {one_line(out[-800:])}") from None
        finally:
            leftover = subprocess.run(["pgrep", "-f", folder], capture_output=True, text=True).stdout.split()
            for pid in leftover:
                os.kill(int(pid), signal.SIGKILL)
            shutil.rmtree(folder, ignore_errors=True)
        parts = dict(re.findall(r"@@(\d+)\n(.*?)(?=@@status)", out, re.DOTALL))
        for number, words in enumerate(EXPECTED[: len(found) - 1]):
            assert words in parts.get(
                str(number), ""
            ), f"block {number}: no `{words}` in {one_line(parts.get(str(number)))}"
        assert "1000" in parts["2"], f"the thousand events: {one_line(parts['2'])}"
        assert not leftover, f"left running: {leftover}"
        assert "command not found" not in out and "Error" not in out, one_line(out)
        notes.append(f"{len(found) - 1} blocks")
    report.finish()


if __name__ == "__main__":
    main()
