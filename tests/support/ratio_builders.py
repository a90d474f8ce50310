"""Ratio estimates for tests, from values in blocks of one rig."""

from hypothesis import strategies as st

from fwbench.stats.ratios import BlockValues, RatioEstimate, paired_ratio

VALUE_PAIRS = st.lists(
    st.tuples(st.floats(100, 10_000), st.floats(100, 10_000)), min_size=3, max_size=8
)


def on_one_rig(*values: float) -> BlockValues:
    return {"one": dict(enumerate(values, start=1))}


def ratio_estimate(contender: BlockValues, baseline: BlockValues) -> RatioEstimate:
    ratio = paired_ratio(contender, baseline)
    assert isinstance(ratio, RatioEstimate)
    return ratio


def ratio_in_blocks(*ratios: float) -> RatioEstimate:
    """Return the estimate for a contender with these ratios, one in each block."""
    return ratio_estimate(on_one_rig(*ratios), on_one_rig(*[1] * len(ratios)))


def ratio_around(ratio: float, spread: float) -> RatioEstimate:
    """Return an estimate from ten blocks; its half width is about 0.75 × `spread`."""
    limits = (ratio * (1 + spread), ratio / (1 + spread))
    return ratio_in_blocks(*limits * 5)
