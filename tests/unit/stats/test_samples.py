from builders import finding, record

from fwbench.stats.run_result import run_result
from fwbench.stats.samples import throughputs


def test_a_sample_has_the_runs_that_have_a_throughput() -> None:
    made = [record(per_s=1), record(findings=(finding(),)), record(per_s=2)]
    assert throughputs(list(map(run_result, made))) == (1, 2)
