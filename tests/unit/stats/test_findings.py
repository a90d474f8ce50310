import pytest
from builders import client_usage, finding, record, rig

from fwbench.model.host import Client
from fwbench.model.observation import ClientObservation
from fwbench.model.telemetry import LoadThread
from fwbench.stats.findings import saturated_clients
from fwbench.stats.run_result import RunResult, run_result


def busy(*cores: float, code: str = "client-saturated", on: str = "one") -> RunResult:
    """Return a run with this CPU use of the busiest thread of each client, in cores."""
    clients = tuple(
        ClientObservation(
            host=f"client-{number}",
            usage=client_usage(
                threads=(LoadThread(tid=number, command="h2load", cores=share, wait_share=0),)
            ),
        )
        for number, share in enumerate(cores)
    )
    made = record(findings=(finding(code, excess=max(cores) / 0.7),), rig=on)
    return run_result(
        made.model_copy(
            update={"observation": made.observation.model_copy(update={"clients": clients})}
        )
    )


@pytest.mark.parametrize(
    ("cores", "needed"), [((0.71,), 2), ((1.0,), 2), ((0.8, 0.2), 3), ((0.3, 0.3, 1.0), 5)]
)
def test_the_clients_needed_would_bring_the_busiest_thread_below_the_threshold(
    cores: tuple[float, ...], needed: int
) -> None:
    clients = tuple(Client(name=f"c{n}", address="192.0.2.2") for n in range(len(cores)))
    loaded = rig().model_copy(update={"clients": clients})
    (saturated,) = saturated_clients([loaded], [busy(*cores), busy(0.1, code="steal")])
    assert (saturated.rig, saturated.clients, saturated.clients_needed) == (
        "one",
        len(cores),
        needed,
    )
    assert (saturated.runs, saturated.busiest_cores) == (1, max(cores))


def test_the_busiest_of_several_runs_counts() -> None:
    (saturated,) = saturated_clients([rig()], [busy(0.8), busy(1.9), busy(0.9)])
    assert (saturated.runs, saturated.clients_needed) == (3, 3)


def test_rigs_without_saturated_clients_are_not_listed() -> None:
    summaries = saturated_clients(
        [rig("one"), rig("two")], [busy(0.9, on="two"), busy(0.5, code="x")]
    )
    assert [summary.rig for summary in summaries] == ["two"]
