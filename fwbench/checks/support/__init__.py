"""What several checks use. No module here has a `CHECK`.

In: a run, its contender and its observation. Out: the types of a check, what it can read of a run,
the words of its evidence, and the statistics of throughput over time.
"""
