from builders import finding, record

from fwbench.stats.run_result import run_result
from fwbench.stats.samples import throughputs


def test_sample_contains_only_runs_with_a_throughput() -> None:
    records = [record(per_s=1), record(findings=(finding(),)), record(per_s=2)]
    assert throughputs(list(map(run_result, records))) == (1, 2)
