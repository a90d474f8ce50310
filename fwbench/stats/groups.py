"""The comparisons of each setting: on one rig, or pooled over the rigs of a hardware group."""

import statistics
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

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


def comparison_groups(
    suite: Suite, trials: Collection[Trial], rigs: Sequence[str], by_rig: ResultsByRig
) -> list[ComparisonGroup]:
    """Return one group for each setting on these rigs.

    All comparisons of these groups are one family. `trials` are the planned ones.
    """
    rig = rigs[0] if len(rigs) == 1 else None
    by_setting = _by_setting(suite, trials)
    comparisons: dict[Trial, ContenderComparison] = {}
    for setting, of_setting in by_setting.items():
        of_rigs = {name: by_rig[name] for name in rigs}
        comparisons |= _compare_with_baseline(suite, setting, of_setting, of_rigs)
    controls = {
        trial.setting: comparison for trial, comparison in comparisons.items() if trial.aa_control
    }
    judged = _judge(suite, comparisons, controls)
    return [
        ComparisonGroup(
            rig=rig,
            rigs=tuple(rigs),
            label=setting.label,
            setting=setting,
            load_kind=setting.load.kind,
            trials=tuple(
                _trial_summary(trial, by_rig[rig].get(trial.id, ()))
                for trial in of_setting
                if rig is not None
            ),
            noise_floor=controls.get(setting),
            comparisons=tuple(judged.get(setting, ())),
        )
        for setting, of_setting in by_setting.items()
    ]


class _TrialResults(NamedTuple):
    trial: Trial
    by_rig: Mapping[str, Sequence[RunResult]]


def _by_setting(suite: Suite, trials: Collection[Trial]) -> dict[Setting, list[Trial]]:
    """Return the trials of each setting of the suite, in the suite's order."""
    by_setting: dict[Setting, list[Trial]] = {setting: [] for setting in suite.settings}
    for trial in trials:
        by_setting[trial.setting].append(trial)
    for of_setting in by_setting.values():
        of_setting.sort(key=lambda t: (suite.contenders.index(t.contender), t.aa_control))
    return by_setting


def _compare_with_baseline(
    suite: Suite, setting: Setting, trials: Sequence[Trial], by_rig: ResultsByRig
) -> dict[Trial, ContenderComparison]:
    """Return each trial of a setting compared with the baseline, the A/A control first."""
    if not suite.makes_claims:
        return {}
    baseline, control = (
        Trial(contender=str(suite.baseline), aa_control=is_control, **dict(setting))
        for is_control in (False, True)
    )
    by_trial = {
        trial: _TrialResults(
            trial, {rig: of_rig.get(trial.id, ()) for rig, of_rig in by_rig.items()}
        )
        for trial in (baseline, control, *trials)  # a fork may have planned neither of the two
    }
    of_baseline = by_trial.pop(baseline)
    return {trial: _compare(results, of_baseline) for trial, results in by_trial.items()}


def _compare(contender: _TrialResults, baseline: _TrialResults) -> ContenderComparison:
    rigs = list(baseline.by_rig)
    exclusions = {
        rig: reason
        for rig in rigs
        if (reason := _too_few_runs((baseline, contender), rig)) is not None
    }
    used = [rig for rig in rigs if rig not in exclusions]
    metric = samples.metric(baseline.trial.load.kind)
    result: RatioEstimate | NoComparison
    if not used:
        where = f" on rig {rigs[0]}" if len(rigs) > 1 else ""
        result = NoComparison(reason=exclusions[rigs[0]] + where)
    elif (reason := _censored((baseline, contender), used)) is not None:
        result = NoComparison(reason=reason)
    else:
        contender_values, baseline_values = (
            {
                # All rigs, because the rig is the replicate if there are several.
                rig: samples.by_block(results, metric) if rig in used else {}
                for rig, results in by_rig.items()
            }
            for _, by_rig in (contender, baseline)
        )
        result = paired_ratio(contender_values, baseline_values)
    return ContenderComparison(
        label=contender.trial.label,
        baseline=baseline.trial.label,
        metric=metric,
        result=result,
        excluded_runs=sum(
            not run.has_answer
            for _, by_rig in (contender, baseline)
            for runs in by_rig.values()
            for run in runs
        ),
        excluded_rigs=tuple(f"{rig}, where {reason}" for rig, reason in exclusions.items())
        if used
        else (),
    )


def _too_few_runs(pair: Sequence[_TrialResults], rig: str) -> str | None:
    """Return which of the two trials has too few usable runs on a rig; None if both have enough."""
    for trial, by_rig in pair:
        if (shortage := samples.too_few(by_rig[rig])) is not None:
            return f"{trial.label} has {shortage}"
    return None


def _censored(pair: Sequence[_TrialResults], rigs: Sequence[str]) -> str | None:
    """Return which of the two trials have a highest rate outside the range of the search."""
    messages = []
    for trial, by_rig in pair:
        brackets = [bracket for rig in rigs for bracket in samples.brackets(by_rig[rig])]
        if (message := censored_message(brackets)) is not None:
            messages.append(f"{trial.label} {message}")
    return "; ".join(messages) or None


def _judge(
    suite: Suite,
    comparisons: Mapping[Trial, ContenderComparison],
    controls: Mapping[Setting, ContenderComparison],
) -> dict[Setting, list[ContenderComparison]]:
    """Return all comparisons but the controls with their outcomes; they are one family.

    A ratio without a noise floor gets no outcome.
    """
    family = {
        trial: comparison for trial, comparison in comparisons.items() if not trial.aa_control
    }
    settings = {trial: trial.setting for trial in family}
    noise_floors = {
        trial: control.result.ratio
        for trial, setting in settings.items()
        if isinstance((control := controls[setting]).result, RatioEstimate)
    }
    outcomes = judge_family(
        {trial: comparison.result for trial, comparison in family.items()},
        margin=suite.margin_percent / 100,
        noise_floors=noise_floors,
        higher_is_better={
            trial: comparison.metric.higher_is_better for trial, comparison in family.items()
        },
    )
    judged: dict[Setting, list[ContenderComparison]] = {}
    for trial, comparison in family.items():
        update: dict[str, object] = {"result": outcomes[trial]}
        if isinstance(comparison.result, RatioEstimate) and trial not in noise_floors:
            update = {
                "no_claim_reason": "the A/A control has no ratio, so the noise floor is unknown"
            }
        judged.setdefault(settings[trial], []).append(comparison.model_copy(update=update))
    return judged


def _trial_summary(trial: Trial, results: Sequence[RunResult]) -> TrialSummary:
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
    latencies = {}
    for name in PERCENTILES:
        values = samples.percentiles(results, name, corrected=corrected)
        if values:
            latencies[name] = Latency(
                values=values, median=statistics.median(values), interval=median_interval(values)
            )
    return latencies
