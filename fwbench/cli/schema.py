"""The command that prints JSON schemas of the files that users write."""

import click


@click.command()
@click.argument("kind", type=click.Choice(["suite", "contender"]))
def schema(kind: str) -> None:
    """Print the JSON schema of suites or of contender files.

    Editors with a YAML language server use it to complete and check keys.

    \b
    Examples:
      fwbench schema suite > suite.schema.json
      fwbench schema contender
    """
    from fwbench import paths

    path = paths.data_folder() / "schemas" / f"{kind}.schema.json"
    click.echo(path.read_text(encoding="utf-8"), nl=False)
