"""Quantities as text: times and rates as h2load writes them, everything else for people."""

import textwrap

WIDTH = 100
NO_VALUE = "–"


def format_duration(us: float) -> str:
    """A time as h2load writes it: whole us, or two decimals of ms or s."""
    whole = round(us)
    if whole < 1_000:
        return f"{whole}us"
    return f"{whole / 1e3:.2f}ms" if whole < 1_000_000 else f"{whole / 1e6:.2f}s"


def format_rate(per_s: float) -> str:
    """A rate as h2load writes it."""
    return f"{per_s:.2f}"


def format_percent(share: float) -> str:
    """A percentage as h2load writes it."""
    return f"{share:.2f}%"


def format_rounded(value: float) -> str:
    """A rate with about four digits, which is more than a benchmark knows."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


def format_gibibytes(number: int) -> str:
    """Memory of a host."""
    return f"{number / 2**30:.1f} GiB"


def counted(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def one_line(text: str) -> str:
    """Foreign text without line breaks and without what would steer a terminal."""
    words = " ".join(text.split())
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in words)


def wrap(text: str, indent: str = "", hanging: str | None = None) -> str:
    """Foreign or long text within the page's width."""
    return textwrap.fill(
        one_line(text),
        width=WIDTH,
        initial_indent=indent,
        subsequent_indent=indent if hanging is None else hanging,
        break_on_hyphens=False,
    )
