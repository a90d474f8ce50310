"""The reverse of everything else here: runs that nothing is wrong with are not doubted."""

from collections import Counter

from breaking import CONTENDERS, LIMITS, Broken, codes

from fwbench.model.load import Load

# Client and target of this lab share the CPUs of one machine, which may itself be one of many on
# another. The kernel then lets h2load wait; CPUs are taken away; what the rest of the machine does
# shows in the course of a run; and an acknowledgement that comes late, because its host had no CPU,
# is taken for a lost one and its segment sent again.
DESERVED_HERE = {
    "client-starved",
    "others-busy",
    "steal",
    "pressure",
    "slow-start",
    "drift",
    "stall",
    "retransmits",
}


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
