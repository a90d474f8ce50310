"""The form of a suite's file: a suite whose thresholds are those of the checks."""

from collections.abc import Iterable
from typing import Any

from pydantic import Field, create_model

from fwbench.checks.registry import THRESHOLDS
from fwbench.checks.support.thresholds import Threshold
from fwbench.model.base import Frozen
from fwbench.model.suite import Suite


def _thresholds_model(thresholds: Iterable[Threshold]) -> type[Frozen]:
    """Return a model with a field for each threshold, which has its default and its range."""
    fields: dict[str, Any] = {
        each.name: (
            float,
            Field(
                default=each.default,
                ge=each.at_least,
                le=each.at_most,
                description=each.description,
            ),
        )
        for each in thresholds
    }
    return create_model("Thresholds", __base__=Frozen, **fields)


_Thresholds = _thresholds_model(THRESHOLDS.values())
SuiteFile: type[Suite] = create_model(
    "SuiteFile", __base__=Suite, thresholds=(_Thresholds, _Thresholds())
)


def suite_of(file: Suite) -> Suite:
    """Return the suite of a `SuiteFile`. It has every threshold, so that sessions store them."""
    return Suite(**{**dict(file), "thresholds": dict(file.thresholds)})
