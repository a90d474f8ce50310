"""What may be compared, setting by setting: on one rig, or over several that are alike."""

from collections.abc import Sequence

from fwbench.model.load import LoadKind
from fwbench.model.record import Record
from fwbench.model.run import Plan, Trial
from fwbench.model.setting import Setting
from fwbench.model.suite import Suite
from fwbench.stats import samples
from fwbench.stats.compare import NoComparison, RatioEstimate, judge_family, paired_ratio
from fwbench.stats.estimate import estimate, median_interval
from fwbench.stats.search import censored_message, highest_rate
from fwbench.stats.summary import ComparisonGroup, ContenderComparison, Latency, TrialSummary


def groups(
    suite: Suite, plan: Plan, rigs: tuple[str, ...], records: Sequence[Record]
) -> list[ComparisonGroup]:
    """One for each setting on these rigs; everything that is compared in them is one family."""
    rig = rigs[0] if len(rigs) == 1 else None
    settings = suite.settings
    trials = sorted(
        {run.trial for run in plan.runs},
        key=lambda t: (
            settings.index(t.setting),
            suite.contenders.index(t.contender),
            t.aa_control,
        ),
    )
    by_trial: dict[Trial, list[Record]] = {trial: [] for trial in trials}
    for record in records:
        if record.run.rig in rigs:
            by_trial.setdefault(record.run.trial, []).append(record)
    pairs = {setting: _pairs(suite, setting, rigs, by_trial) for setting in settings}
    noises = {
        setting: next((one for trial, one in compared.items() if trial.aa_control), None)
        for setting, compared in pairs.items()
    }
    judged = _judged(suite, pairs, noises)
    return [
        ComparisonGroup(
            rig=rig,
            rigs=rigs,
            label=setting.label,
            setting=setting,
            load_kind=setting.load.kind,
            trials=tuple(
                _trial(trial, by_trial[trial])
                for trial in trials
                if rig is not None and trial.setting == setting
            ),
            noise_floor=noises[setting],
            comparisons=tuple(judged[setting]),
        )
        for setting in settings
    ]


Pairs = dict[Trial, ContenderComparison]
"""Each trial beside the baseline's in its setting, the A/A control's among them."""

Side = tuple[Trial, Sequence[Record]]


def _pairs(
    suite: Suite, setting: Setting, rigs: Sequence[str], by_trial: dict[Trial, list[Record]]
) -> Pairs:
    if not suite.makes_claims:
        return {}
    baseline, control = (
        Trial(contender=str(suite.baseline), aa_control=is_control, **dict(setting))
        for is_control in (False, True)
    )
    # The rest of a session may have neither of the two.
    here: dict[Trial, list[Record]] = {control: []}
    here |= {trial: records for trial, records in by_trial.items() if trial.setting == setting}
    theirs = here.pop(baseline, [])
    return {
        trial: _pair((trial, records), (baseline, theirs), rigs) for trial, records in here.items()
    }


def _pair(contender: Side, baseline: Side, rigs: Sequence[str]) -> ContenderComparison:
    metric = samples.metric(baseline[0].load.kind)
    sides = (baseline, contender)
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
                rig: samples.by_block(_on(rig, records), metric) if rig in used else {}
                for rig in rigs  # all of them, since of several the rig is the unit
            }
            for _, records in (contender, baseline)
        )
        result = paired_ratio(ours, theirs)
    return ContenderComparison(
        label=contender[0].label,
        baseline=baseline[0].label,
        metric=metric,
        result=result,
        excluded_runs=sum(
            not samples.has_answer(record) for _, records in sides for record in records
        ),
        excluded_rigs=tuple(f"{rig}, where {why}" for rig, why in lacking.items()) if used else (),
    )


def _lacking(sides: Sequence[Side], rig: str) -> str | None:
    """Why a rig can be no part of a comparison: which side has too few runs there."""
    for trial, records in sides:
        if (why := samples.too_few(_on(rig, records))) is not None:
            return f"{trial.label} has {why}"
    return None


def _censored(sides: Sequence[Side], rigs: Sequence[str]) -> str | None:
    """Which sides of a search lie beyond its range, if one does."""
    said = []
    for trial, records in sides:
        found = [one for rig in rigs for one in samples.brackets(_on(rig, records))]
        if (why := censored_message(found)) is not None:
            said.append(f"{trial.label} {why}")
    return "; ".join(said) or None


def _on(rig: str, records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.run.rig == rig]


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


def _trial(trial: Trial, records: Sequence[Record]) -> TrialSummary:
    used = [record for record in records if samples.has_answer(record)]
    believed = samples.believed_records(records)
    withheld = samples.too_few(records) if records else None
    kind = trial.load.kind
    return TrialSummary(
        label=trial.label,
        contender=trial.contender,
        aa_control=trial.aa_control,
        trial=trial.id,
        executed=len(records),
        used=len(used),
        invalid=len(records) - len(used),
        suspect=sum(record.verdict.status == "suspect" for record in records),
        throughput=None if kind is LoadKind.SEARCH else estimate(samples.throughputs(believed)),
        latency=_latencies(believed, corrected=kind is LoadKind.FIXED_RATE),
        uncorrected_latency=_latencies(believed, corrected=False)
        if kind is LoadKind.FIXED_RATE
        else {},
        highest_rate=None
        if trial.load.search is None or withheld is not None
        else highest_rate(trial.load.search, samples.steps(records, trial.load.search)),
        withheld=withheld,
    )


def _latencies(records: Sequence[Record], *, corrected: bool) -> dict[str, Latency]:
    found = {}
    for name, field in samples.PERCENTILES.items():
        values = samples.percentile(records, field, corrected=corrected)
        if values:
            middle = estimate(values)
            found[name] = Latency(
                values=values,
                median=values[0] if middle is None else middle.median,
                interval=median_interval(values),
            )
    return found
