from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Each p-value as it counts among all that are asked at once, in the order given.

    With those below 5 % claimed, at most one family in twenty contains a false claim, however many
    are true and however they depend on each other: here they share a baseline. The smallest of k
    is multiplied by k, the next by k − 1, and so on; none becomes smaller than the one before it
    (Holm, "A simple sequentially rejective multiple test procedure", 1979).
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    smallest_first = sorted(range(len(p_values)), key=p_values.__getitem__)
    for step, place in enumerate(smallest_first):
        largest = max(largest, min(1.0, (len(p_values) - step) * p_values[place]))
        adjusted[place] = largest
    return tuple(adjusted)
