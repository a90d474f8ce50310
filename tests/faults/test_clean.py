"""The reverse of everything else here: runs that nothing is wrong with are not doubted."""

from collections import Counter

from fault_injection import CONTENDERS, LIMITS, Broken, codes
from lab_program import OF_SHARED_CPUS

from fwbench.model.load import Load

# Beyond having its CPUs taken away, which makes a run invalid, what the rest of the machine does
# shows in the course of a run.
DESERVED_HERE = OF_SHARED_CPUS | {"pressure", "slow-warm-up", "drift", "stall"}


def test_thirty_runs_that_nothing_is_wrong_with(broken: Broken) -> None:
    contenders = {name: CONTENDERS[name] for name in ("flask", "fastapi")}
    load = Load(connections=8, warm_up_s=1, duration_s=2)
    records = broken.records(contenders, load, LIMITS, blocks=15)
    found = Counter(code for record in records for code in codes(record))
    print(found)
    assert len(records) == 30
    undeserved = [
        finding
        for record in records
        for finding in record.verdict.findings
        if finding.code not in DESERVED_HERE and finding.level != "note"
    ]
    assert len(undeserved) <= 1
    assert all(finding.level == "suspect" for finding in undeserved)
