"""Formats quantities and text. Times and rates look as in h2load's output."""

import textwrap

WIDTH = 100
NO_VALUE = "–"


def format_duration(us: float) -> str:
    """Return a time as h2load prints it: whole us, or ms or s with two decimals."""
    whole = round(us)
    if whole < 1_000:
        return f"{whole}us"
    return f"{whole / 1e3:.2f}ms" if whole < 1_000_000 else f"{whole / 1e6:.2f}s"


def format_rate(per_s: float) -> str:
    """Return a rate as h2load prints it."""
    return f"{per_s:.2f}"


def format_percent(share: float) -> str:
    """Return a percentage as h2load prints it; `share` is in percent."""
    return f"{share:.2f}%"


def percent(share: float, digits: int = 0) -> str:
    """Return a share as `4.2 %`, with that many digits after the point."""
    return f"{100 * share:.{digits}f} %"


def format_rounded(value: float) -> str:
    """Return a rate with about four digits, more than a benchmark can determine."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


def format_gibibytes(number: int) -> str:
    """Return a number of bytes as GiB with one decimal."""
    return f"{number / 2**30:.1f} GiB"


def counted(number: int, noun: str) -> str:
    """Return `1 run` or `2 runs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def one_line(text: str) -> str:
    """Return untrusted text without line breaks and with control characters escaped."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """Return untrusted text with all control characters escaped, line breaks among them."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def wrap(text: str, indent: str = "", hanging: str | None = None) -> str:
    """Return text wrapped to the page's width, through `one_line`."""
    return textwrap.fill(
        one_line(text),
        width=WIDTH,
        initial_indent=indent,
        subsequent_indent=indent if hanging is None else hanging,
        break_on_hyphens=False,
    )
