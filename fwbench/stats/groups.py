"""What may be compared, setting by setting: on one rig, or over several that are alike."""

import statistics
from collections.abc import Collection, Mapping, Sequence

from fwbench.model.load import LoadKind
from fwbench.model.run import Trial
from fwbench.model.setting import Setting
from fwbench.model.suite import Suite
from fwbench.stats import samples
from fwbench.stats.estimate import estimate, median_interval
from fwbench.stats.outcomes import judge_family
from fwbench.stats.ratios import NoComparison, RatioEstimate, paired_ratio
from fwbench.stats.run_result import PERCENTILES, ResultsByRig, RunResult
from fwbench.stats.search import censored_message, highest_rate
from fwbench.stats.summary import ComparisonGroup, ContenderComparison, Latency, TrialSummary


def groups(
    suite: Suite, trials: Collection[Trial], rigs: Sequence[str], by_rig: ResultsByRig
) -> list[ComparisonGroup]:
    """Return one group for each setting on these rigs.

    All comparisons of these groups are one family. `trials` are the planned ones.
    """
    rig = rigs[0] if len(rigs) == 1 else None
    by_setting = _by_setting(suite, trials)
    pairs = {
        setting: _pairs(suite, setting, of_setting, {name: by_rig[name] for name in rigs})
        for setting, of_setting in by_setting.items()
    }
    noises = {
        setting: next((one for trial, one in compared.items() if trial.aa_control), None)
        for setting, compared in pairs.items()
    }
    judged = _judged(suite, pairs, noises)
    return [
        ComparisonGroup(
            rig=rig,
            rigs=tuple(rigs),
            label=setting.label,
            setting=setting,
            load_kind=setting.load.kind,
            trials=tuple(
                _trial(trial, by_rig[rig].get(trial.id, ()))
                for trial in of_setting
                if rig is not None
            ),
            noise_floor=noises[setting],
            comparisons=tuple(judged[setting]),
        )
        for setting, of_setting in by_setting.items()
    ]


Pairs = dict[Trial, ContenderComparison]
"""Each trial beside the baseline's in its setting, the A/A control's among them."""

Side = tuple[Trial, Mapping[str, Sequence[RunResult]]]
"""A trial with its results by rig."""


def _by_setting(suite: Suite, trials: Collection[Trial]) -> dict[Setting, list[Trial]]:
    """Return the trials of each setting of the suite, in the suite's order."""
    found: dict[Setting, list[Trial]] = {setting: [] for setting in suite.settings}
    for trial in trials:
        found[trial.setting].append(trial)
    for of_setting in found.values():
        of_setting.sort(key=lambda t: (suite.contenders.index(t.contender), t.aa_control))
    return found


def _pairs(suite: Suite, setting: Setting, trials: Sequence[Trial], by_rig: ResultsByRig) -> Pairs:
    if not suite.makes_claims:
        return {}
    baseline, control = (
        Trial(contender=str(suite.baseline), aa_control=is_control, **dict(setting))
        for is_control in (False, True)
    )
    sides: dict[Trial, Side] = {
        trial: (trial, {rig: of_rig.get(trial.id, ()) for rig, of_rig in by_rig.items()})
        for trial in (baseline, control, *trials)  # a fork may have planned neither of the two
    }
    theirs = sides.pop(baseline)
    return {trial: _pair(side, theirs) for trial, side in sides.items()}


def _pair(contender: Side, baseline: Side) -> ContenderComparison:
    metric = samples.metric(baseline[0].load.kind)
    sides, rigs = (baseline, contender), list(baseline[1])
    lacking = {rig: why for rig in rigs if (why := _lacking(sides, rig)) is not None}
    used = [rig for rig in rigs if rig not in lacking]
    result: RatioEstimate | NoComparison
    if not used:
        on = f" on rig {rigs[0]}" if len(rigs) > 1 else ""
        result = NoComparison(reason=lacking[rigs[0]] + on)
    elif (reason := _censored(sides, used)) is not None:
        result = NoComparison(reason=reason)
    else:
        ours, theirs = (
            {
                # All rigs, since with several of them the rig is the unit.
                rig: samples.by_block(results, metric) if rig in used else {}
                for rig, results in side.items()
            }
            for _, side in (contender, baseline)
        )
        result = paired_ratio(ours, theirs)
    return ContenderComparison(
        label=contender[0].label,
        baseline=baseline[0].label,
        metric=metric,
        result=result,
        excluded_runs=sum(
            not result.has_answer
            for _, side in sides
            for results in side.values()
            for result in results
        ),
        excluded_rigs=tuple(f"{rig}, where {why}" for rig, why in lacking.items()) if used else (),
    )


def _lacking(sides: Sequence[Side], rig: str) -> str | None:
    """Return why a rig is no part of a comparison: which side has too few runs there."""
    for trial, by_rig in sides:
        if (why := samples.too_few(by_rig[rig])) is not None:
            return f"{trial.label} has {why}"
    return None


def _censored(sides: Sequence[Side], rigs: Sequence[str]) -> str | None:
    """Return which sides of a search lie beyond its range, if one does."""
    said = []
    for trial, by_rig in sides:
        found = [one for rig in rigs for one in samples.brackets(by_rig[rig])]
        if (why := censored_message(found)) is not None:
            said.append(f"{trial.label} {why}")
    return "; ".join(said) or None


def _judged(
    suite: Suite, pairs: dict[Setting, Pairs], noises: dict[Setting, ContenderComparison | None]
) -> dict[Setting, list[ContenderComparison]]:
    """Each comparison with its word; Holm's correction is over the settings together."""
    everything = {
        f"{number} {trial.label}": (setting, one)
        for number, (setting, compared) in enumerate(pairs.items())
        for trial, one in compared.items()
        if not trial.aa_control
    }
    floors = {
        name: noise.result.ratio
        for name, (setting, _) in everything.items()
        if (noise := noises[setting]) is not None and isinstance(noise.result, RatioEstimate)
    }
    results = judge_family(
        {name: one.result for name, (_, one) in everything.items()},
        margin=suite.margin_percent / 100,
        noise_floors=floors,
        higher_is_better={
            name: one.metric.higher_is_better for name, (_, one) in everything.items()
        },
    )
    judged: dict[Setting, list[ContenderComparison]] = {setting: [] for setting in pairs}
    for name, (setting, one) in everything.items():
        if isinstance(one.result, RatioEstimate) and name not in floors:
            # Without a ratio of the A/A pair nobody knows what is noise.
            update: dict[str, object] = {"no_claim_reason": "the A/A control gives no noise floor"}
        else:
            update = {"result": results[name]}
        judged[setting].append(one.model_copy(update=update))
    return judged


def _trial(trial: Trial, results: Sequence[RunResult]) -> TrialSummary:
    used = sum(result.has_answer for result in results)
    usable = samples.usable_results(results)
    withheld = samples.too_few(results) if results else None
    kind = trial.load.kind
    return TrialSummary(
        label=trial.label,
        contender=trial.contender,
        aa_control=trial.aa_control,
        trial=trial.id,
        executed=len(results),
        used=used,
        invalid=len(results) - used,
        suspect=sum(result.verdict == "suspect" for result in results),
        throughput=None if kind is LoadKind.SEARCH else estimate(samples.throughputs(usable)),
        latency=_latencies(usable, corrected=kind is LoadKind.FIXED_RATE),
        uncorrected_latency=_latencies(usable, corrected=False)
        if kind is LoadKind.FIXED_RATE
        else {},
        highest_rate=None
        if trial.load.search is None or withheld is not None
        else highest_rate(trial.load.search, samples.steps(results)),
        withheld=withheld,
    )


def _latencies(results: Sequence[RunResult], *, corrected: bool) -> dict[str, Latency]:
    found = {}
    for name in PERCENTILES:
        values = samples.percentiles(results, name, corrected=corrected)
        if values:
            found[name] = Latency(
                values=values, median=statistics.median(values), interval=median_interval(values)
            )
    return found
