import pytest
from builders import client_usage, finding, record, rig

from fwbench.model.host import Client
from fwbench.model.observation import ClientObservation
from fwbench.model.telemetry import LoadThread
from fwbench.stats.findings import saturated_clients
from fwbench.stats.run_result import RunResult, run_result


def busy_run(*cores: float, code: str = "client-saturated", rig_name: str = "one") -> RunResult:
    """Return a run with this CPU use of the busiest thread of each client, in cores."""
    clients = tuple(
        ClientObservation(
            host=f"client-{number}",
            usage=client_usage(
                threads=(LoadThread(tid=number, command="h2load", cores=used, wait_share=0),)
            ),
        )
        for number, used in enumerate(cores)
    )
    run_record = record(findings=(finding(code, excess=max(cores) / 0.7),), rig=rig_name)
    return run_result(
        run_record.model_copy(
            update={"observation": run_record.observation.model_copy(update={"clients": clients})}
        )
    )


@pytest.mark.parametrize(
    ("cores", "needed"), [((0.71,), 2), ((1.0,), 2), ((0.8, 0.2), 3), ((0.3, 0.3, 1.0), 5)]
)
def test_enough_clients_are_advised_to_unload_the_busiest_thread(
    cores: tuple[float, ...], needed: int
) -> None:
    clients = tuple(Client(name=f"c{n}", address="192.0.2.2") for n in range(len(cores)))
    rig_with_clients = rig().model_copy(update={"clients": clients})
    (saturated,) = saturated_clients(
        [rig_with_clients], [busy_run(*cores), busy_run(0.1, code="steal")]
    )
    assert (saturated.rig, saturated.clients, saturated.clients_needed) == (
        "one",
        len(cores),
        needed,
    )
    assert (saturated.runs, saturated.busiest_cores) == (1, max(cores))


def test_advice_follows_the_busiest_run() -> None:
    (saturated,) = saturated_clients([rig()], [busy_run(0.8), busy_run(1.9), busy_run(0.9)])
    assert (saturated.runs, saturated.clients_needed) == (3, 3)


def test_rigs_without_saturated_clients_are_not_listed() -> None:
    summaries = saturated_clients(
        [rig("one"), rig("two")], [busy_run(0.9, rig_name="two"), busy_run(0.5, code="x")]
    )
    assert [summary.rig for summary in summaries] == ["two"]
