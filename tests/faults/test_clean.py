"""False positives: findings for runs without a fault."""

from collections import Counter

import pytest
from fault_injection import CONTENDERS, LIMITS, FaultyRig, codes
from lab_program import SHARED_CPU_FINDINGS

from fwbench.model.load import Load
from fwbench.model.record import Record
from fwbench.model.verdict import Finding

# The hosts share the CPUs of one machine. Other load on that machine makes runs invalid, or slower
# for a part of a run.
EXPECTED_FINDINGS = SHARED_CPU_FINDINGS | {"pressure", "slow-warm-up", "drift", "stall"}


@pytest.mark.parametrize("runs", [8, pytest.param(30, marks=pytest.mark.long)])
def test_false_positives_are_rare(faulty_rig: FaultyRig, runs: int) -> None:
    contenders = {name: CONTENDERS[name] for name in ("flask", "fastapi")}
    load = Load(connections=8, warm_up_s=1, duration_s=2)
    records = faulty_rig.records(contenders, load, LIMITS, blocks=runs // len(contenders))
    counts = Counter(code for record in records for code in codes(record))
    print(counts)
    assert len(records) == runs
    false_positives = [
        finding
        for record in records
        for finding in record.verdict.findings
        if finding.code not in EXPECTED_FINDINGS and is_false_positive(finding, record)
    ]
    assert len(false_positives) <= 1
    assert all(finding.level == "suspect" for finding in false_positives)


def is_false_positive(finding: Finding, record: Record) -> bool:
    """Return whether a finding is wrong.

    A run that lacked CPU time is disturbed, so findings of level suspect may be right.
    """
    return finding.level == "invalid" or (
        finding.level == "suspect" and not SHARED_CPU_FINDINGS & set(codes(record))
    )
