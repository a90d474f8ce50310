"""Each fault is made to happen on real hosts; fwbench has to name it."""

import re
import shlex

import pytest
from fault_injection import LOAD_PID, FaultyRig, Oracle, codes

from fwbench.errors import NotReadyError
from fwbench.model.load import Load
from fwbench.model.setting import Limits

CONTAINER = "$(sudo docker ps --quiet --filter label=fwbench.session)"
LONGER = Load(connections=4, warm_up_s=1, duration_s=4)


class TestTheContainer:
    def test_has_too_little_memory(self, broken: FaultyRig, oracle: Oracle) -> None:
        growing = oracle("--worker", "--leak", "100000")
        found = codes(broken.record(growing, limits=Limits(cpus=1, memory="64m")))
        assert "the kernel's OOM killer killed a process" in found["oom-kill"]
        assert "peak memory 64.0 MiB, limit 64.0 MiB" in found["oom-kill"]
        assert "worker-replaced" in found

    def test_ends_before_it_answers(self, broken: FaultyRig, oracle: Oracle) -> None:
        record = broken.record(oracle("--unknown"))
        assert "(exit code: 2)" in codes(record)["container-stopped"]
        assert "the application did not answer" in codes(record)["never-ready"]
        assert record.observation.phases.ready_s < 5  # of the 6 s that it may take

    def test_loses_a_worker(self, broken: FaultyRig) -> None:
        first = f"sudo docker inspect --format '{{{{.State.Pid}}}}' {CONTAINER}"
        kill = f"sudo kill -KILL $(pgrep -P $({first}) | head -n 1)"
        with broken.meanwhile("target-1", kill):
            found = codes(broken.record("flask"))
        assert "1 of the container's 5 processes ended" in found["worker-replaced"]

    def test_is_killed(self, broken: FaultyRig) -> None:
        with broken.meanwhile("target-1", f"sudo docker kill {CONTAINER}"):
            found = codes(broken.record("flask"))
        assert "not running after the load (exit code: 137)" in found["container-stopped"]
        assert {"connections-lost", "completion-gap", "contract-broken"} & set(found)

    def test_is_restarted(self, broken: FaultyRig) -> None:
        with broken.meanwhile("target-1", f"sudo docker restart --time 0 {CONTAINER}"):
            found = codes(broken.record("flask"))
        assert "and again at" in found["container-restarted"]

    def test_uses_up_its_quota(self, broken: FaultyRig) -> None:
        found = codes(broken.record("flask", limits=Limits(cpus=0.5, memory="256m")))
        assert "used up its CPU quota" in found["cpu-throttled"]


class TestTheServer:
    def test_answers_with_errors(self, broken: FaultyRig, oracle: Oracle) -> None:
        found = codes(broken.record(oracle("--errors-after", "900")))
        assert "5xx" in found["responses-not-2xx"]
        assert "returned status 500 instead of 200" in found["contract-broken"]

    def test_answers_something_else(self, broken: FaultyRig, oracle: Oracle) -> None:
        found = codes(broken.record(oracle("--other-body-after", "900")))
        assert found["contract-broken"] == (
            "after the load, GET / returned the body 'oops!' instead of 'hello'"
        )

    def test_closes_each_connection(self, broken: FaultyRig, oracle: Oracle) -> None:
        """h2load opens them anew since 1.64, and does not say so; before, it never ends."""
        record = broken.record(oracle("--close"))
        if record.observation.load.timed_out:
            assert "loadgen-timeout" in codes(record)
        else:
            figures = record.observation.load.summary
            assert figures.status_2xx == figures.requests_done == figures.requests_total > 100
            assert "for a load with 4" in codes(record)["connections-reopened"]

    def test_accepts_too_few_connections_at_once(self, broken: FaultyRig, oracle: Oracle) -> None:
        load = Load(connections=60, warm_up_s=1, duration_s=2)
        found = codes(broken.record(oracle("--backlog", "1", "--accept-every", "0.05"), load))
        assert "overflowed" in found["listen-overflow"]

    def test_stands_still_for_a_second(self, broken: FaultyRig, oracle: Oracle) -> None:
        found = codes(broken.record(oracle("--stall", "1.2", "2.7")))
        assert "no request was answered" in found["completion-gap"]

    def test_stands_still_for_less_than_a_second(self, broken: FaultyRig, oracle: Oracle) -> None:
        found = codes(broken.record(oracle("--stall", "0.4", "2.2"), LONGER))
        assert "almost no request was answered" in found["stall"]
        assert "completion-gap" not in found

    def test_is_slow_at_first(self, broken: FaultyRig, oracle: Oracle) -> None:
        found = codes(broken.record(oracle("--slow-until", "2"), LONGER))
        assert "lower than afterwards" in found["slow-warm-up"]

    def test_gets_slower(self, broken: FaultyRig, oracle: Oracle) -> None:
        found = codes(broken.record(oracle("--slower-by", "0.15"), LONGER))
        assert "the throughput fell by" in found["drift"]

    def test_cannot_keep_up_with_the_rate(self, broken: FaultyRig, oracle: Oracle) -> None:
        load = Load(connections=4, rate=1200, warm_up_s=1, duration_s=2)
        found = codes(broken.record(oracle("--latency", "constant"), load))
        assert "of the 1200 that it should offer" in found["rate-not-reached"]


class TestTheLoadGenerator:
    def test_is_killed(self, broken: FaultyRig) -> None:
        with broken.meanwhile("client-1", f"kill -KILL $(cat {LOAD_PID})"):
            found = codes(broken.record("flask"))
        assert "h2load exited with status -9" in found["loadgen-failed"]

    def test_hangs(self, broken: FaultyRig) -> None:
        load = Load(connections=4, rate=100, warm_up_s=1, duration_s=2)  # is soon given up
        with broken.meanwhile("client-1", f"kill -STOP $(cat {LOAD_PID})"):
            found = codes(broken.record("flask", load))
        assert "h2load did not end" in found["loadgen-timeout"]

    def test_is_missing(self, broken: FaultyRig) -> None:
        away = ("sudo mv /usr/bin/h2load /usr/bin/h2load-away", "client-1")
        back = "sudo mv /usr/bin/h2load-away /usr/bin/h2load"
        with (
            broken.changed(away[1], away[0], back=back),
            pytest.raises(NotReadyError, match="client-1: there is no h2load"),
        ):
            broken.record("flask")

    def test_may_not_open_enough_files(self, broken: FaultyRig) -> None:
        limits = "/etc/security/limits.d/few.conf"
        few = f"echo 'admin - nofile 100' | sudo tee {limits}"
        with broken.changed("client-1", few, back=f"sudo rm {limits}"):
            record = broken.record("flask", Load(connections=200, warm_up_s=1, duration_s=2))
        assert record.verdict.status == "invalid"
        assert {"loadgen-failed", "connections-lost", "requests-failed"} & set(codes(record))


BUSY = "for n in $(seq 12); do timeout 5 sh -c 'while :; do :; done' & done; wait"
# A scheduler serves a thread that mostly sleeps before threads that never do, unless it is nice.
BE_NICE = f"for task in $(ls /proc/$(cat {LOAD_PID})/task); do renice -n 19 -p $task; done"


class TestTheHost:
    def test_of_the_client_is_busy_with_something_else(
        self, broken: FaultyRig, oracle: Oracle
    ) -> None:
        harm = f"{{ {BE_NICE}; {BUSY}; }} >/dev/null 2>&1; true"
        with broken.meanwhile("client-1", harm, after_s=0.5):
            found = codes(broken.record(oracle("--latency", "constant"), LONGER))
        assert "on the client" in found["background-load"]
        assert "waited for a CPU" in found["client-starved"]

    def test_of_the_target_is_busy_with_something_else(
        self, broken: FaultyRig, oracle: Oracle
    ) -> None:
        with broken.meanwhile("target-1", f"{BUSY} 2>/dev/null; true", after_s=0.5):
            found = codes(broken.record(oracle("--latency", "constant"), LONGER))
        assert "on the target" in found["background-load"]

    def test_of_the_client_has_another_time(self, broken: FaultyRig) -> None:
        """As far as it tells: hosts in containers cannot have clocks of their own."""
        ahead = '#!/bin/sh\nexec /usr/bin/date --date=+180seconds "$@"\n'
        put = f"printf %s {shlex.quote(ahead)} | sudo tee /usr/local/bin/date"
        with broken.changed(
            "client-1",
            f"{put} && sudo chmod +x /usr/local/bin/date",
            back="sudo rm /usr/local/bin/date",
        ):
            found = codes(broken.record("flask"))
        (ahead_s,) = re.findall(r"the client's clock is ([\d.]+) s ahead", found["clock-offset"])
        assert float(ahead_s) == pytest.approx(180, abs=0.5)

    def test_loses_packets(self, broken: FaultyRig) -> None:
        rule = "DOCKER-USER -m statistic --mode random --probability 0.02 -j DROP"
        if (tried := broken.lab.ssh("target-1", f"sudo iptables -I {rule}")).returncode:
            pytest.skip(f"the target's kernel loses no packets on demand: {tried.stderr}")
        with broken.changed("target-1", "true", back=f"sudo iptables -D {rule}"):
            found = codes(broken.record("flask"))
        assert "TCP segments" in found["retransmits"]
