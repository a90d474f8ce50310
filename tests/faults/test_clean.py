"""The reverse of everything else here: runs that nothing is wrong with are not doubted."""

from collections import Counter

import pytest
from fault_injection import CONTENDERS, LIMITS, FaultyRig, codes
from lab_program import SHARED_CPU_FINDINGS

from fwbench.model.load import Load
from fwbench.model.record import Record
from fwbench.model.verdict import Finding

# Beyond having its CPUs taken away, which makes a run invalid, what the rest of the machine does
# shows in the course of a run.
DESERVED_HERE = SHARED_CPU_FINDINGS | {"pressure", "slow-warm-up", "drift", "stall"}


@pytest.mark.parametrize("runs", [8, pytest.param(30, marks=pytest.mark.long)])
def test_runs_that_nothing_is_wrong_with(broken: FaultyRig, runs: int) -> None:
    contenders = {name: CONTENDERS[name] for name in ("flask", "fastapi")}
    load = Load(connections=8, warm_up_s=1, duration_s=2)
    records = broken.records(contenders, load, LIMITS, blocks=runs // len(contenders))
    found = Counter(code for record in records for code in codes(record))
    print(found)
    assert len(records) == runs
    undeserved = [
        finding
        for record in records
        for finding in record.verdict.findings
        if finding.code not in DESERVED_HERE and counts(finding, record)
    ]
    assert len(undeserved) <= 1
    assert all(finding.level == "suspect" for finding in undeserved)


def counts(finding: Finding, record: Record) -> bool:
    """Return whether a finding is a fault of fwbench's.

    A run that had its CPUs taken away is disturbed, so there may be reasons for doubt.
    """
    return finding.level == "invalid" or (
        finding.level == "suspect" and not SHARED_CPU_FINDINGS & set(codes(record))
    )
