"""Options that replace values of a suite's file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from fwbench.cli.completers import complete_contender
from fwbench.model.preset import Preset

_OPTIONS = (
    click.option(
        "--preset",
        type=click.Choice([preset.value for preset in Preset]),
        help="Replace the suite's preset and number of blocks (smoke 1, standard 10, publish 30).",
    ),
    click.option("--blocks", type=int, help="Replace the suite's number of blocks."),
    click.option("--seed", type=int, help="Replace the seed of the random order."),
    click.option(
        "--contender",
        "contenders",
        metavar="NAME",
        multiple=True,
        shell_complete=complete_contender,
        help="Measure only this contender of the suite, and the baseline. Repeat for several.",
    ),
    click.option(
        "--set",
        "values",
        metavar="KEY=VALUE",
        multiple=True,
        help="Replace any value of the suite's file: a path such as loads.0.connections, and a"
        " value in YAML. Repeat for several.",
    ),
)


def override_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that `overrides` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def overrides(
    suite_file: Path,
    *,
    preset: str | None,
    blocks: int | None,
    seed: int | None,
    contenders: tuple[str, ...],
    values: tuple[str, ...],
) -> tuple[str, ...]:
    """Return the overrides that the options ask for, each `KEY=VALUE`.

    Raise `SuiteError` if the suite does not have one of the contenders.
    """
    named = {"preset": preset, "blocks": blocks, "seed": seed}
    found = [*values, *(f"{key}={value}" for key, value in named.items() if value is not None)]
    if contenders:
        from fwbench.config.overrides import contenders_override, override
        from fwbench.config.yaml_lines import read

        found.append(contenders_override(override(read(suite_file), found), contenders))
    return tuple(found)
