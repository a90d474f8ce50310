"""Contender × size: all that the kinds of rigs of a session say, setting by setting."""

from collections.abc import Sequence

from fwbench.model.base import Frozen
from fwbench.model.preset import Preset
from fwbench.model.run import Trial
from fwbench.model.setting import Setting
from fwbench.model.suite import Suite
from fwbench.stats import samples
from fwbench.stats.cells import SizeCell, size_cells
from fwbench.stats.compare import NoComparison
from fwbench.stats.hardware_groups import HardwareGroup
from fwbench.stats.rig_values import Told, rig_values
from fwbench.stats.run_result import ResultsByRig
from fwbench.stats.samples import Metric
from fwbench.stats.size_ratios import JudgedSizeRatio, judge_sizes, size_ratio


class SizeComparison(Frozen):
    """A contender on one size beside itself on the first."""

    contender: str
    size: str
    beside: str
    result: JudgedSizeRatio | NoComparison


class SizeTable(Frozen):
    """One setting on all sizes, which are the kinds of rigs by name."""

    label: str
    setting: Setting
    metric: Metric
    cells: tuple[SizeCell, ...]
    comparisons: tuple[SizeComparison, ...]


def size_tables(
    suite: Suite, kinds: Sequence[HardwareGroup], by_rig: ResultsByRig
) -> tuple[SizeTable, ...]:
    """Every contender on every kind of rig, in each setting; a smoke test compares nothing."""

    def told(setting: Setting, contender: str, kind: HardwareGroup) -> Told:
        trial = Trial(contender=contender, **dict(setting)).id
        found = ((rig, rig_values(by_rig[rig].get(trial, ()), setting)) for rig in kind.rigs)
        return {rig: one for rig, one in found if one is not None}

    sides = {
        (setting, contender): [(kind, told(setting, contender, kind)) for kind in kinds]
        for setting in suite.settings
        for contender in suite.contenders
    }
    found = judge_sizes(
        {
            (setting, contender, side[0].name): (metric, size_ratio(metric, side, all_sides[0]))
            for (setting, contender), all_sides in sides.items()
            for metric in [samples.metric(setting.load.kind)]
            for side in all_sides[1:]
            if suite.preset is not Preset.SMOKE
        }
    )
    return tuple(
        SizeTable(
            label=setting.label,
            setting=setting,
            metric=samples.metric(setting.load.kind),
            cells=tuple(
                cell
                for contender in suite.contenders
                for kind, side in sides[setting, contender]
                for cell in size_cells(contender, kind, samples.metric(setting.load.kind), side)
            ),
            comparisons=tuple(
                SizeComparison(contender=contender, size=size, beside=kinds[0].name, result=result)
                for (of, contender, size), result in found.items()
                if of == setting
            ),
        )
        for setting in suite.settings
    )
