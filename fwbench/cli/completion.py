"""The command that prints scripts for the completion of shells."""

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that lets a shell complete fwbench's commands and arguments.

    The shell then completes options, suites, sessions, contenders, formats and codes of findings.

    \b
    Examples:
      fwbench completion fish > ~/.config/fish/completions/fwbench.fish
      echo 'eval "$(fwbench completion bash)"' >> ~/.bashrc
      echo 'eval "$(fwbench completion zsh)"' >> ~/.zshrc      # after compinit
    """
    completer = get_completion_class(shell)
    if completer is None:
        raise click.UsageError(f"click has no completion for {shell}")
    main = context.find_root().command
    click.echo(completer(main, {}, "fwbench", "_FWBENCH_COMPLETE").source())
