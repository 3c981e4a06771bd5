"""What a scenario file may say, and the outcome of a scenario. The files are flat YAML: `key: value`, values numbers,
words, or lists in brackets; the first line is a comment, the question that the scenario answers. An unknown key is an
error with its line, so that nobody measures something else than what is written.
"""

import glob
import os
import re

from perfutil import HERE

SCENARIOS = os.path.join(HERE, "scenarios")


class ScenarioError(Exception):
    """The file is wrong; the text names file and line."""


class NotMeasured(Exception):
    """The scenario cannot run here; the text says why."""


class Outcome:
    """Figures (name → number), and checks that must hold whatever the machine: nothing lost, nothing refused."""

    def __init__(self):
        self.figures, self.checks, self.notes = {}, [], []

    def figure(self, name, value, digits=3):
        self.figures[name] = round(value, digits) if isinstance(value, float) else value
        print(f"    {name} = {self.figures[name]}", flush=True)

    def check(self, what, is_so):
        self.checks.append({"what": what, "ok": bool(is_so)})
        print(f"    {'ok  ' if is_so else 'FAIL'}  {what}", flush=True)

    def note(self, text):
        self.notes.append(text)
        print(f"    note: {text}", flush=True)

    @property
    def ok(self):
        return all(check["ok"] for check in self.checks)


def names():
    return sorted(os.path.basename(path)[:-5] for path in glob.glob(os.path.join(SCENARIOS, "*.yaml")))


def value_of(text, place):
    if text.startswith("["):
        if not text.endswith("]"):
            raise ScenarioError(f"{place}: a list begins with [ and ends with ] on the same line")
        return [value_of(part.strip(), place) for part in text[1:-1].split(",") if part.strip()]
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if re.fullmatch(r"-?\d+\.\d+", text):
        return float(text)
    return text.strip("\"'")


def read(path, kinds):
    """{'question', 'kind', …}; `kinds`: {kind: {key: default}}."""
    name = os.path.basename(path)
    with open(path) as file:
        lines = file.read().splitlines()
    if not lines or not re.match(r"# .*\?$", lines[0]):
        raise ScenarioError(f"{name}:1: the first line is the question: `# …?`")
    values, places = {}, {}
    for number, line in enumerate(lines, 1):
        text = re.sub(r"(^|\s)#.*", "", line).rstrip()
        if not text:
            continue
        found = re.fullmatch(r"([a-z_]+):\s+(.+)", text)
        if not found:
            raise ScenarioError(f"{name}:{number}: wanted is `key: value`")
        if found[1] in values:
            raise ScenarioError(f"{name}:{number}: `{found[1]}` appears twice")
        values[found[1]], places[found[1]] = value_of(found[2], f"{name}:{number}"), number
    kind = values.pop("kind", None)
    if kind not in kinds:
        raise ScenarioError(f"{name}: `kind` is one of {', '.join(sorted(kinds))}")
    for key, value in values.items():
        if key not in kinds[kind]:
            known = ", ".join(sorted(kinds[kind]))
            raise ScenarioError(f"{name}:{places[key]}: unknown key `{key}`; {kind} has {known}")
        if isinstance(kinds[kind][key], list) != isinstance(value, list):
            wanted = "a list" if isinstance(kinds[kind][key], list) else "one value"
            raise ScenarioError(f"{name}:{places[key]}: `{key}` takes {wanted}")
    return {"question": lines[0][2:], "kind": kind, **kinds[kind], **values}
