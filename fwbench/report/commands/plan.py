"""The page of `--dry-run`: trials, their order, the time they take, what they can detect."""

from collections.abc import Iterator

from fwbench.model.run import Plan, Trial
from fwbench.model.suite import Suite
from fwbench.plan import estimated_s
from fwbench.plan import trials as trials_of
from fwbench.report.formatting import counted, percent, wrap
from fwbench.stats.significance import POWER, expected_detectable_ratio

# Typical standard deviation between blocks, on quiet and on shared hosts.
_QUIET, _SHARED = 0.02, 0.05


def render_plan(suite: Suite, plan: Plan) -> str:
    """Return the plan as a page: numbered trials, then their order in each block."""
    trials = trials_of(suite)
    number = {trial: str(index) for index, trial in enumerate(trials, start=1)}
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
        "Order, by the numbers of the trials",
        *(
            wrap(f"rig {rig}, block {block}: {', '.join(order)}", indent="  ", hanging="    ")
            for (rig, block), order in sorted(
                orders.items(), key=lambda item: rigs.index(item[0][0])
            )
        ),
        "",
        wrap(
            f"{counted(len(plan.runs), 'run')} on {counted(len(rigs), 'rig')},"
            f" {counted(suite.blocks, 'block')}, order from seed {plan.seed}."
            f" Estimated duration: {_duration(estimated_s(plan))}."
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


def _duration(seconds: float) -> str:
    return f"about {seconds:.0f} s" if seconds < 90 else f"about {seconds / 60:.0f} min"


def _detectable_difference(suite: Suite, rigs: int) -> Iterator[str]:
    if not suite.makes_claims:
        yield "No comparisons: the suite has no baseline, or is a smoke test."
        return
    comparisons = (len(suite.contenders) - 1) * len(suite.settings)
    if not comparisons:
        yield "No comparisons: the suite has only one contender."
        return
    by_rig = rigs >= 3
    replicates = rigs if by_rig else suite.blocks
    replicate = "rig" if by_rig else "block"
    number = counted(replicates, replicate)
    smallest = [expected_detectable_ratio(sd, replicates, comparisons) for sd in (_QUIET, _SHARED)]
    if None in smallest:
        yield f"{number} cannot detect any difference. Use at least 3, better 10."
        return
    quiet, shared = (percent((value or 1) - 1, 1) for value in smallest)
    yield (
        f"Smallest difference that {number}{' of one hardware group' if by_rig else ''} can detect"
        f" with a power of {percent(POWER)}: {quiet} if {replicate}s vary by {percent(_QUIET)}"
        f" (quiet hosts), {shared} if they vary by {percent(_SHARED)} (shared hosts)."
    )
