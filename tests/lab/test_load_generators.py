"""A suite with a second load generator, from provisioning to the comparison of both."""

from pathlib import Path

from lab_program import ACCEPTED_EXITS, Lab, Program

from fwbench.model.verdict import Level
from fwbench.storage.store import SessionStore

SUITE = """\
name: two-tools
question: Do h2load and wrk measure the same throughput?
contenders: [flask]
endpoints: [json]
loads:
  - {connections: 8, warm_up_s: 1, duration_s: 2}
  - {generator: wrk, connections: 8, warm_up_s: 1, duration_s: 2}
limits:
  - {cpus: 1, memory: 512m}
blocks: 1
"""


def test_two_load_generators_measure_the_same_contender(
    program: Program, ready: Lab, tmp_path: Path
) -> None:
    suite = tmp_path / "two-tools.yml"
    suite.write_text(SUITE)
    hosts = ["-i", ready.inventory]

    doctor = program("doctor", *hosts, "--suite", suite, exits=7)
    assert "lacks wrk" in doctor.stdout
    assert "--loadgen wrk`" in doctor.stderr
    refused = program("run", suite, *hosts, "-o", tmp_path / "refused", exits=7)
    assert "there is no wrk; run `fwbench provision` with --loadgen wrk" in refused.stderr

    program("provision", *hosts, "--suite", suite)
    program("doctor", *hosts, "--suite", suite)
    result = program("run", suite, *hosts, "-o", tmp_path / "sessions", exits=ACCEPTED_EXITS)
    assert "flask, wrk / h2load: no ratio" in " ".join(result.stdout.split())  # one block

    (session,) = (tmp_path / "sessions").iterdir()
    wrk_records = [
        record
        for record in SessionStore(session).records()
        if record.run.trial.load.generator == "wrk"
    ]
    assert len(wrk_records) == 2  # one on each rig
    for record in wrk_records:
        load = record.observation.load
        assert load is not None
        assert load.parse_error is None
        assert load.log is None
        assert load.summary is not None
        assert load.summary.requests_succeeded == load.summary.requests_done > 1000
        assert load.summary.elapsed_s < 2.6  # without the warm-up
        assert "log-mismatch" in record.verdict.not_applicable
        invalid = {f.code for f in record.verdict.findings if f.level is Level.INVALID}
        assert not invalid & {"contract-broken", "loadgen-failed", "loadgen-output-unknown"}
        clients = record.observation.clients
        assert clients[0].usage is not None
        assert clients[0].usage.threads
        argv = (session / "runs" / record.run.id / "commands.json").read_text()
        assert "wrk" in argv
