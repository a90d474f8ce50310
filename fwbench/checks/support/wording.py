"""How evidence phrases quantities."""


def counted(number: int, noun: str) -> str:
    """Return `1 request` or `2 requests`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def percent(share: float, digits: int = 0) -> str:
    """Return a share as `4.2 %`, with that many digits after the point."""
    return f"{100 * share:.{digits}f} %"


def threshold_percent(share: float) -> str:
    """Return a threshold as `threshold: 0.5 %`, with as many digits as it has."""
    return f"threshold: {100 * share:g} %"


def milliseconds(seconds: float) -> str:
    """Return seconds as `50 ms`."""
    return f"{1e3 * seconds:.0f} ms"
