"""Ratios for tests, made of values in blocks of one rig."""

from hypothesis import strategies as st

from fwbench.stats.ratios import RatioEstimate, Values, paired_ratio

SAMPLES = st.lists(
    st.tuples(st.floats(100, 10_000), st.floats(100, 10_000)), min_size=3, max_size=8
)


def on_one_rig(*values: float) -> Values:
    return {"one": dict(enumerate(values, start=1))}


def pair_of(contender: Values, baseline: Values) -> RatioEstimate:
    found = paired_ratio(contender, baseline)
    assert isinstance(found, RatioEstimate)
    return found


def pair(*ratios: float) -> RatioEstimate:
    """A contender with such a ratio in each block."""
    return pair_of(on_one_rig(*ratios), on_one_rig(*[1] * len(ratios)))


def around(ratio: float, spread: float) -> RatioEstimate:
    """Ten blocks around a ratio; the interval is ± 0.75 × the spread or so."""
    ends = (ratio * (1 + spread), ratio / (1 + spread))
    return pair(*ends * 5)
