"""Each fault is injected on real hosts; fwbench must report the finding for it."""

import re
import shlex

import pytest
from fault_injection import LOAD_PID, FaultyRig, Oracle, codes

from fwbench.errors import NotReadyError
from fwbench.model.load import Load
from fwbench.model.setting import Limits

CONTAINER = "$(sudo docker ps --quiet --filter label=fwbench.session)"
LONGER_LOAD = Load(connections=4, warm_up_s=1, duration_s=4)


class TestContainer:
    def test_has_too_little_memory(self, faulty_rig: FaultyRig, oracle: Oracle) -> None:
        leaking = oracle("--worker", "--leak", "100000")
        findings = codes(faulty_rig.record(leaking, limits=Limits(cpus=1, memory="64m")))
        assert "the kernel's OOM killer killed a process" in findings["oom-kill"]
        assert "peak memory 64.0 MiB, limit 64.0 MiB" in findings["oom-kill"]
        assert "worker-replaced" in findings

    def test_exits_before_it_answers(self, faulty_rig: FaultyRig, oracle: Oracle) -> None:
        record = faulty_rig.record(oracle("--unknown"))
        assert "(exit code: 2)" in codes(record)["container-stopped"]
        assert "the application did not answer" in codes(record)["never-ready"]
        assert record.observation.phases.ready_s < 5  # the timeout is 6 s

    def test_loses_a_worker(self, faulty_rig: FaultyRig) -> None:
        first_pid = f"sudo docker inspect --format '{{{{.State.Pid}}}}' {CONTAINER}"
        kill = f"sudo kill -KILL $(pgrep -P $({first_pid}) | head -n 1)"
        with faulty_rig.meanwhile("target-1", kill):
            findings = codes(faulty_rig.record("flask"))
        assert "1 of the container's 5 processes ended" in findings["worker-replaced"]

    def test_is_killed(self, faulty_rig: FaultyRig) -> None:
        with faulty_rig.meanwhile("target-1", f"sudo docker kill {CONTAINER}"):
            findings = codes(faulty_rig.record("flask"))
        assert "not running after the load (exit code: 137)" in findings["container-stopped"]
        assert {"connections-lost", "completion-gap", "contract-broken"} & set(findings)

    def test_is_restarted(self, faulty_rig: FaultyRig) -> None:
        with faulty_rig.meanwhile("target-1", f"sudo docker restart --time 0 {CONTAINER}"):
            findings = codes(faulty_rig.record("flask"))
        assert "and again at" in findings["container-restarted"]

    def test_uses_up_its_quota(self, faulty_rig: FaultyRig) -> None:
        findings = codes(faulty_rig.record("flask", limits=Limits(cpus=0.5, memory="256m")))
        assert "used up its CPU quota" in findings["cpu-throttled"]


class TestServer:
    def test_answers_with_errors(self, faulty_rig: FaultyRig, oracle: Oracle) -> None:
        findings = codes(faulty_rig.record(oracle("--errors-after", "900")))
        assert "5xx" in findings["responses-not-2xx"]
        assert "returned status 500 instead of 200" in findings["contract-broken"]

    def test_returns_another_body(self, faulty_rig: FaultyRig, oracle: Oracle) -> None:
        findings = codes(faulty_rig.record(oracle("--other-body-after", "900")))
        assert findings["contract-broken"] == (
            "after the load, GET / returned the body 'oops!' instead of 'hello'"
        )

    def test_closes_each_connection(self, faulty_rig: FaultyRig, oracle: Oracle) -> None:
        """h2load 1.64 reopens connections without reporting it; earlier versions never end."""
        record = faulty_rig.record(oracle("--close"))
        if record.observation.load.timed_out:
            assert "loadgen-timeout" in codes(record)
        else:
            summary = record.observation.load.summary
            assert summary.status_2xx == summary.requests_done == summary.requests_total > 100
            assert "for a load with 4" in codes(record)["connections-reopened"]

    def test_has_too_short_a_listen_queue(self, faulty_rig: FaultyRig, oracle: Oracle) -> None:
        load = Load(connections=60, warm_up_s=1, duration_s=2)
        findings = codes(
            faulty_rig.record(oracle("--backlog", "1", "--accept-every", "0.05"), load)
        )
        assert "overflowed" in findings["listen-overflow"]

    def test_stalls_for_more_than_a_second(self, faulty_rig: FaultyRig, oracle: Oracle) -> None:
        findings = codes(faulty_rig.record(oracle("--stall", "1.2", "2.7")))
        assert "no request was answered" in findings["completion-gap"]

    def test_stalls_for_less_than_a_second(self, faulty_rig: FaultyRig, oracle: Oracle) -> None:
        findings = codes(faulty_rig.record(oracle("--stall", "0.4", "2.2"), LONGER_LOAD))
        assert "almost no request was answered" in findings["stall"]
        assert "completion-gap" not in findings

    def test_warms_up_slowly(self, faulty_rig: FaultyRig, oracle: Oracle) -> None:
        findings = codes(faulty_rig.record(oracle("--slow-until", "2"), LONGER_LOAD))
        assert "lower than afterwards" in findings["slow-warm-up"]

    def test_becomes_slower(self, faulty_rig: FaultyRig, oracle: Oracle) -> None:
        findings = codes(faulty_rig.record(oracle("--slower-by", "0.15"), LONGER_LOAD))
        assert "the throughput fell by" in findings["drift"]

    def test_does_not_reach_the_rate(self, faulty_rig: FaultyRig, oracle: Oracle) -> None:
        load = Load(connections=4, rate=1200, warm_up_s=1, duration_s=2)
        findings = codes(faulty_rig.record(oracle("--latency", "constant"), load))
        assert "of the 1200 that it should offer" in findings["rate-not-reached"]


MANY_CONNECTIONS = Load(connections=200, warm_up_s=1, duration_s=2)
FILE_LIMITS = "/etc/security/limits.d/few.conf"


class TestLoadGenerator:
    def test_is_killed(self, faulty_rig: FaultyRig) -> None:
        with faulty_rig.meanwhile("client-1", f"kill -KILL $(cat {LOAD_PID})"):
            findings = codes(faulty_rig.record("flask"))
        assert "h2load exited with status -9" in findings["loadgen-failed"]

    def test_hangs(self, faulty_rig: FaultyRig) -> None:
        load = Load(connections=4, rate=100, warm_up_s=1, duration_s=2)  # has a short timeout
        with faulty_rig.meanwhile("client-1", f"kill -STOP $(cat {LOAD_PID})"):
            findings = codes(faulty_rig.record("flask", load))
        assert "h2load did not end" in findings["loadgen-timeout"]

    def test_is_missing(self, faulty_rig: FaultyRig) -> None:
        remove = "sudo mv /usr/bin/h2load /usr/bin/h2load-away"
        restore = "sudo mv /usr/bin/h2load-away /usr/bin/h2load"
        with (
            faulty_rig.changed("client-1", remove, back=restore),
            pytest.raises(NotReadyError, match="client-1: there is no h2load"),
        ):
            faulty_rig.record("flask")

    def test_has_too_low_a_hard_limit_of_open_files(self, faulty_rig: FaultyRig) -> None:
        limit = f"echo 'admin - nofile 100' | sudo tee {FILE_LIMITS}"
        with (
            faulty_rig.changed("client-1", limit, back=f"sudo rm {FILE_LIMITS}"),
            pytest.raises(NotReadyError, match="client-1: 200 connections need 264 open files"),
        ):
            faulty_rig.record("flask", MANY_CONNECTIONS)

    def test_has_a_low_soft_limit_of_open_files(self, faulty_rig: FaultyRig) -> None:
        limit = f"echo 'admin soft nofile 100' | sudo tee {FILE_LIMITS}"
        with faulty_rig.changed("client-1", limit, back=f"sudo rm {FILE_LIMITS}"):
            record = faulty_rig.record("flask", MANY_CONNECTIONS)
        (client,) = record.observation.clients
        assert client.usage is not None
        assert client.usage.network.connections_opened >= MANY_CONNECTIONS.connections
        assert not {"loadgen-failed", "connections-lost", "requests-failed"} & set(codes(record))


BUSY = "for n in $(seq 12); do timeout 5 sh -c 'while :; do :; done' & done; wait"
# The scheduler prefers a thread that mostly sleeps to busy threads, unless its nice value is high.
BE_NICE = f"for task in $(ls /proc/$(cat {LOAD_PID})/task); do renice -n 19 -p $task; done"


class TestHost:
    def test_client_has_background_load(self, faulty_rig: FaultyRig, oracle: Oracle) -> None:
        command = f"{{ {BE_NICE}; {BUSY}; }} >/dev/null 2>&1; true"
        with faulty_rig.meanwhile("client-1", command, after_s=0.5):
            findings = codes(faulty_rig.record(oracle("--latency", "constant"), LONGER_LOAD))
        assert "on the client" in findings["background-load"]
        assert "waited for a CPU" in findings["client-starved"]

    def test_target_has_background_load(self, faulty_rig: FaultyRig, oracle: Oracle) -> None:
        with faulty_rig.meanwhile("target-1", f"{BUSY} 2>/dev/null; true", after_s=0.5):
            findings = codes(faulty_rig.record(oracle("--latency", "constant"), LONGER_LOAD))
        assert "on the target" in findings["background-load"]

    def test_clocks_differ(self, faulty_rig: FaultyRig) -> None:
        """A program replaces `date`, because containers share the clock of the machine."""
        script = '#!/bin/sh\nexec /usr/bin/date --date=+180seconds "$@"\n'
        install = f"printf %s {shlex.quote(script)} | sudo tee /usr/local/bin/date"
        with faulty_rig.changed(
            "client-1",
            f"{install} && sudo chmod +x /usr/local/bin/date",
            back="sudo rm /usr/local/bin/date",
        ):
            findings = codes(faulty_rig.record("flask"))
        (ahead_s,) = re.findall(r"the client's clock is ([\d.]+) s ahead", findings["clock-offset"])
        assert float(ahead_s) == pytest.approx(180, abs=0.5)

    def test_loses_packets(self, faulty_rig: FaultyRig) -> None:
        rule = "DOCKER-USER -m statistic --mode random --probability 0.02 -j DROP"
        if (result := faulty_rig.lab.ssh("target-1", f"sudo iptables -I {rule}")).returncode:
            pytest.skip(f"the target's kernel cannot drop packets at random: {result.stderr}")
        with faulty_rig.changed("target-1", "true", back=f"sudo iptables -D {rule}"):
            findings = codes(faulty_rig.record("flask"))
        assert "TCP segments" in findings["retransmits"]
