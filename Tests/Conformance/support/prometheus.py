"""Prometheus and its tool, where they are: on the PATH, or unpacked by scripts/setup.sh."""

import json
import os
import shutil
import subprocess
import urllib.request

from report import Skip, one_line, wait_until
from serverutil import ROOT, die_with_parent, free_port

TOOLS = os.path.join(ROOT, ".build", "tools", "usr", "bin")


def tool(name):
    path = shutil.which(name) or shutil.which(name, path=TOOLS)
    if not path:
        raise Skip(f"{name} is not installed")
    return path


class Prometheus:
    """A server of its own that scrapes one gateway, as docs/monitoring/README.md has it."""

    def __init__(self, folder, admin_port, key, rules, seconds):
        """`seconds` between two scrapes, and between two looks at the rules."""
        self.folder, self.port = folder, free_port()
        every = f"{round(1000 * seconds)}ms"
        files = {
            "rules.yaml": rules,
            "sluice.key": key,
            "prometheus.yml": f"""
global: {{ scrape_interval: {every}, evaluation_interval: {every} }}
rule_files: [{folder}/rules.yaml]
scrape_configs:
  - job_name: sluice
    authorization: {{ credentials_file: {folder}/sluice.key }}
    static_configs: [{{ targets: ["127.0.0.1:{admin_port}"] }}]
""",
        }
        for name, text in files.items():
            with open(os.path.join(folder, name), "w") as file:
                file.write(text)

    def __enter__(self):
        command = [
            tool("prometheus"), f"--config.file={self.folder}/prometheus.yml",
            f"--storage.tsdb.path={self.folder}/tsdb", f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn"]
        self.log = open(os.path.join(self.folder, "prometheus.log"), "w+")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, preexec_fn=die_with_parent)
        try:
            wait_until(self.scrapes, 30, self.said)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def said(self):
        with open(self.log.name) as file:
            return f"Prometheus does not scrape: {one_line(file.read()[-400:])}"

    def ask(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}", timeout=10) as answer:
            return json.load(answer)["data"]

    def scrapes(self):
        try:
            return any(one["health"] == "up" for one in self.ask("targets")["activeTargets"])
        except OSError:
            return False

    def states(self):
        return {rule["name"]: rule["state"] for group in self.ask("rules")["groups"] for rule in group["rules"]}

    def firing(self):
        return {name for name, state in self.states().items() if state == "firing"}
