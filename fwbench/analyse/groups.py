"""What may be compared, setting by setting: on one rig, or over several that are alike."""

from collections.abc import Sequence

from fwbench.analyse import samples
from fwbench.analyse.compare import NoComparison, Paired, Values, family, paired
from fwbench.analyse.estimate import estimate, median_interval
from fwbench.analyse.samples import Metric
from fwbench.analyse.search import highest_rate
from fwbench.analyse.summary import Compared, Group, Latency, TrialSummary
from fwbench.model.load import LoadKind
from fwbench.model.record import Record
from fwbench.model.run import Plan, Trial
from fwbench.model.setting import Setting
from fwbench.model.suite import Suite


def groups(
    suite: Suite, plan: Plan, rigs: tuple[str, ...], records: Sequence[Record]
) -> list[Group]:
    """One for each setting on these rigs; everything that is compared in them is one family."""
    rig = rigs[0] if len(rigs) == 1 else None
    settings = suite.settings
    trials = sorted(
        {run.trial for run in plan.runs},
        key=lambda t: (settings.index(t.setting), suite.contenders.index(t.contender), t.twin),
    )
    by_trial: dict[Trial, list[Record]] = {trial: [] for trial in trials}
    for record in records:
        if record.run.rig in rigs:
            by_trial.setdefault(record.run.trial, []).append(record)
    pairs: dict[Setting, list[Compared]] = {}
    for setting in settings:
        pairs[setting] = _pairs(suite, setting, rigs, by_trial)
    noises = {
        setting: next((one for one in compared if _is_noise(suite, one)), None)
        for setting, compared in pairs.items()
    }
    judged = _judged(suite, pairs, noises)
    return [
        Group(
            rig=rig,
            rigs=rigs,
            label=setting.label,
            setting=setting,
            kind=setting.load.kind,
            trials=tuple(
                _trial(trial, by_trial[trial])
                for trial in trials
                if rig is not None and trial.setting == setting
            ),
            noise=noises[setting],
            comparisons=tuple(judged[setting]),
        )
        for setting in settings
    ]


def _is_noise(suite: Suite, compared: Compared) -> bool:
    return compared.name == f"{suite.baseline}-twin"


def _pairs(
    suite: Suite, setting: Setting, rigs: Sequence[str], by_trial: dict[Trial, list[Record]]
) -> list[Compared]:
    if not suite.compares:
        return []
    here = {trial: records for trial, records in by_trial.items() if trial.setting == setting}
    baseline = next(t for t in here if t.contender == suite.baseline and not t.twin)
    metric = samples.metric(setting.load.kind)
    theirs = _values(here[baseline], rigs, metric)
    found = []
    for trial, records in here.items():
        if trial == baseline:
            continue
        result: Paired | NoComparison
        lacking = [
            t.name for t, of in ((baseline, here[baseline]), (trial, records)) if not _some(of)
        ]
        if lacking:
            result = NoComparison(reason=f"{lacking[0]} has no valid run")
        else:
            result = paired(_values(records, rigs, metric), theirs)
        both = [*records, *here[baseline]]
        found.append(
            Compared(
                name=trial.name,
                baseline=baseline.name,
                metric=metric,
                result=result,
                left_out=sum(not samples.tells(record) for record in both),
            )
        )
    return found


def _some(records: Sequence[Record]) -> bool:
    return any(samples.tells(record) for record in records)


def _values(records: Sequence[Record], rigs: Sequence[str], metric: Metric) -> Values:
    return {
        rig: samples.by_block([record for record in records if record.run.rig == rig], metric)
        for rig in rigs
    }


def _judged(
    suite: Suite,
    pairs: dict[Setting, list[Compared]],
    noises: dict[Setting, Compared | None],
) -> dict[Setting, list[Compared]]:
    """Each comparison with its word; Holm's correction is over the settings together."""
    everything = {
        f"{number} {one.name}": (setting, one)
        for number, (setting, compared) in enumerate(pairs.items())
        for one in compared
        if not _is_noise(suite, one)
    }
    floors = {
        name: noise.result.ratio
        for name, (setting, _) in everything.items()
        if (noise := noises[setting]) is not None and isinstance(noise.result, Paired)
    }
    results = family(
        {name: one.result for name, (_, one) in everything.items()},
        margin=suite.margin_percent / 100,
        noise_floors=floors,
        higher_is_better={
            name: one.metric.higher_is_better for name, (_, one) in everything.items()
        },
    )
    judged: dict[Setting, list[Compared]] = {setting: [] for setting in pairs}
    for name, (setting, one) in everything.items():
        judged[setting].append(one.model_copy(update={"result": results[name]}))
    return judged


def _trial(trial: Trial, records: Sequence[Record]) -> TrialSummary:
    used = [record for record in records if samples.tells(record)]
    believed = samples.believed(records)
    kind = trial.load.kind
    return TrialSummary(
        name=trial.name,
        contender=trial.contender,
        twin=trial.twin,
        trial=trial.id,
        executed=len(records),
        used=len(used),
        invalid=len(records) - len(used),
        suspect=sum(record.verdict.word == "suspect" for record in records),
        throughput=None if kind is LoadKind.SEARCH else estimate(samples.throughputs(believed)),
        latency=_latencies(believed, corrected=kind is LoadKind.FIXED_RATE),
        latency_as_sent=_latencies(believed, corrected=False)
        if kind is LoadKind.FIXED_RATE
        else {},
        highest_rate=None
        if trial.load.search is None
        else highest_rate(trial.load.search, samples.steps(records, trial.load.search)),
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
