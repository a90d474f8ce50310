"""The command that prints the documentation, which every installation contains."""

import difflib

import click

from fwbench.cli.completers import complete_page


@click.command()
@click.argument("name", required=False, shell_complete=complete_page)
def docs(name: str | None) -> None:
    """Print a page of the documentation, or list the pages with their paths.

    NAME is a page's name, also in the form in which messages have it, such as docs/suites.md.

    \b
    Examples:
      fwbench docs
      fwbench docs suites
      fwbench docs docs/exit-codes.md
    """
    from fwbench import paths

    known = paths.pages()
    if name is None:
        width = max(map(len, known))
        for page, path in known.items():
            click.echo(f"{page:<{width}}  {path}")
        return
    page = name.removeprefix("docs/").removesuffix(".md")
    if page not in known:
        similar = difflib.get_close_matches(page, known, n=1)
        hint = f"did you mean {similar[0]!r}?" if similar else "`fwbench docs` lists all pages"
        raise click.UsageError(f"no page is called {name!r}; {hint}")
    click.echo(known[page].read_text(encoding="utf-8"), nl=False)
