"""Parts of the gate's result files (docs/gate.md), as values. Pure."""


def figure(name, kind, better, unit, rounds):
    return {"name": name, "kind": kind, "better": better, "unit": unit, "rounds": rounds}


def beside_itself(run, tree):
    """The baseline of a run whose yardstick is the other tree: that tree beside itself, always 1."""
    figures = [
        {**one, "rounds": [{"subject": each["yardstick"], "yardstick": each["yardstick"]} for each in one["rounds"]]}
        for one in run["figures"]
    ]
    return {**run, "commit": tree, "figures": figures}
