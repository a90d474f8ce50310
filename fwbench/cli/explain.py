"""The command that explains findings."""

import difflib

import click

from fwbench.cli.completers import complete_code


@click.command()
@click.argument("code", required=False, shell_complete=complete_code)
def explain(code: str | None) -> None:
    """Explain a finding: what it means, why it matters, and what to do.

    CODE is the code of a finding, as reports print it. Without it, list all codes.

    \b
    Examples:
      fwbench explain
      fwbench explain oom-kill
    """
    from fwbench.checks.registry import CHECKS_BY_CODE
    from fwbench.report.commands.explain import checks_list, explanation

    if code is None:
        click.echo(checks_list())
    elif code in CHECKS_BY_CODE:
        click.echo(explanation(CHECKS_BY_CODE[code]))
    else:
        similar = difflib.get_close_matches(code, CHECKS_BY_CODE, n=1)
        hint = f"did you mean {similar[0]!r}?" if similar else "`fwbench explain` lists all codes"
        raise click.UsageError(f"no finding has the code {code!r}; {hint}")
