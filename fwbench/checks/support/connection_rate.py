"""The mean rate of a connection, compared with the rate of the whole load."""

from fwbench.model.figures import LoadSummary


def connection_rate_ratio(summary: LoadSummary, connections: int) -> float | None:
    """Return connections times their mean rate, divided by the total rate; None if unknown or 0.

    The ratio is about 1 in a sound run of a fixed duration. It is higher if connections were lost,
    even during the warm-up. With a number of requests it exceeds 1 in sound runs too, because quick
    connections finish first.
    """
    if summary.rate_per_connection is None or summary.rate_per_s == 0:
        return None
    return connections * summary.rate_per_connection.mean / summary.rate_per_s
