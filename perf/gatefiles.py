"""Parts of the gate's result files (docs/gate.md), as values. Pure."""


def figure(name, kind, better, unit, rounds):
    return {"name": name, "kind": kind, "better": better, "unit": unit, "rounds": rounds}


# What is timed of a case: the name, which is better, the unit.
TIMED = [("rate", "higher", "answers/s"), ("cpu", "lower", "us/answer")]


def timed_figures(case, pairs):
    """The figures of a case such as 64x1024; `pairs(what)` are the subject and the yardstick of each round."""
    return [
        figure(
            f"ingest.{what}.{case}",
            "ratio",
            better,
            unit,
            [{"subject": subject, "yardstick": yardstick} for subject, yardstick in pairs(what)],
        )
        for what, better, unit in TIMED
    ]


def beside_itself(run, tree):
    """The baseline of a run whose yardstick is the other tree: that tree beside itself, always 1."""
    figures = [
        {**one, "rounds": [{"subject": each["yardstick"], "yardstick": each["yardstick"]} for each in one["rounds"]]}
        for one in run["figures"]
    ]
    return {**run, "commit": tree, "figures": figures}
