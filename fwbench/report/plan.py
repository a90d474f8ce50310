"""A plan that is not executed yet: what, in which order, how long, and what it can show."""

from collections.abc import Iterator

from fwbench.model.run import Plan, Trial
from fwbench.model.suite import Suite
from fwbench.plan import estimated_s
from fwbench.plan import trials as trials_of
from fwbench.report.formatting import counted, wrap
from fwbench.stats.power import expected_detectable

# How much blocks were seen to vary: on quiet hosts, and on shared ones.
_QUIET, _SHARED = 0.02, 0.05


def render_plan(suite: Suite, plan: Plan) -> str:
    """The plan as a page of text: the trials by number, then the order of each block by these."""
    trials = trials_of(suite)
    number = {trial: str(place) for place, trial in enumerate(trials, start=1)}
    orders: dict[tuple[str, int], list[str]] = {}
    for run in plan.runs:
        order = orders.setdefault((run.rig, run.block), [])
        if run.step in (None, 1):
            order.append(number[run.trial])
    rigs = list(dict.fromkeys(rig for rig, _ in orders))
    lines = [
        "Trials",
        *(_trial(trial, number[trial]) for trial in trials),
        "",
        "Order",
        *(
            wrap(f"{rig}, block {block}: {', '.join(order)}", indent="  ", hanging="    ")
            for (rig, block), order in sorted(orders.items(), key=lambda one: rigs.index(one[0][0]))
        ),
        "",
        wrap(
            f"{counted(len(plan.runs), 'run')} on {counted(len(rigs), 'rig')},"
            f" {counted(suite.blocks, 'block')} in the order of seed {plan.seed}:"
            f" {_long(estimated_s(plan))}."
        ),
        *(wrap(line) for line in _detectable_difference(suite, len(rigs))),
    ]
    return "\n".join(lines) + "\n"


def _trial(trial: Trial, number: str) -> str:
    steps = f", {trial.load.search.steps} steps" if trial.load.search is not None else ""
    return wrap(
        f"{number}: {trial.label} ({trial.id}), {trial.setting.label}{steps}",
        indent="  ",
        hanging="     ",
    )


def _long(seconds: float) -> str:
    return f"about {seconds:.0f} s" if seconds < 90 else f"about {seconds / 60:.0f} min"


def _detectable_difference(suite: Suite, rigs: int) -> Iterator[str]:
    if not suite.makes_claims:
        yield "It compares nothing: it has no baseline, or is a smoke test."
        return
    comparisons = (len(suite.contenders) - 1) * len(suite.settings)
    if not comparisons:
        yield "It compares nothing: there is one contender."
        return
    by_rig = rigs >= 3
    units = rigs if by_rig else suite.blocks
    unit = "rig" if by_rig else "block"
    smallest = [expected_detectable(sd, units, comparisons) for sd in (_QUIET, _SHARED)]
    if None in smallest:
        yield f"{counted(units, unit)} can show no difference at all; take at least 3, better 10."
        return
    quiet, shared = (f"{(value or 1) - 1:.1%}" for value in smallest)
    yield (
        f"The smallest difference that {counted(units, unit)}{' of one kind' if by_rig else ''}"
        " will show four times in five:"
        f" {quiet} where {unit}s vary by {_QUIET:.0%}, as on quiet hosts,"
        f" and {shared} where they vary by {_SHARED:.0%}."
    )
