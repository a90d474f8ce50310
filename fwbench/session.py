"""The loop: rigs side by side, each with its own runs in order, a record after each."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import fwbench
from fwbench import execute, ready
from fwbench.agent.archive import archive
from fwbench.analyse.search import held, next_rate
from fwbench.analyse.summarise import narrow_enough
from fwbench.errors import FwbenchError, InventoryError
from fwbench.execute import Bench, CancelledError
from fwbench.judge import judge
from fwbench.model.contender import Contender
from fwbench.model.host import Host, Rig
from fwbench.model.load import Load
from fwbench.model.record import Header, HostFacts, Record
from fwbench.model.run import Plan, Run
from fwbench.model.setting import CpuMode
from fwbench.model.suite import Suite
from fwbench.plan import make_plan
from fwbench.remote import Remote, SshRemote
from fwbench.store import Store


class Watcher(Protocol):
    """Somebody who wants to know what is happening. Called from several threads."""

    def say(self, text: str) -> None:
        """A step is being taken."""

    def planned(self, plan: Plan) -> None:
        """All runs are known."""

    def started(self, run: Run) -> None:
        """A run begins."""

    def ended(self, record: Record) -> None:
        """A run is recorded."""


class Session:
    """One plan being executed. `cancel()` ends it soon and leaves nothing on the hosts."""

    def __init__(
        self,
        suite: Suite,
        contenders: Mapping[str, Contender],
        rigs: Sequence[Rig],
        parent: Path,
        watcher: Watcher,
        connect: Callable[[Host], SshRemote] = SshRemote,
    ) -> None:
        self.suite, self.rigs, self.watcher, self.connect = suite, tuple(rigs), watcher, connect
        self.contenders = {name: contenders[name] for name in suite.contenders}
        now = datetime.now(UTC)
        self.created_at = now.isoformat(timespec="seconds")
        self.id = f"{suite.name}-{now:%Y%m%dt%H%M%S}{now.microsecond // 1000:03}"
        self.folder = parent / self.id
        self._cancelled = threading.Event()
        for rig in self.rigs:
            if len(rig.clients) > 1:
                raise InventoryError(
                    f"rig {rig.name} has {len(rig.clients)} clients; this version loads from one: "
                    "leave the others out, or give each target its own with fwbench_rig"
                )

    def cancel(self) -> None:
        """Let every rig stop what it is doing and clean up."""
        self._cancelled.set()

    def run(self) -> Store:
        """Execute the whole plan; the store holds a record of every run that came to its end."""
        addresses = {rig.name: ready.load_address(rig.target) for rig in self.rigs}
        with ThreadPoolExecutor(2 * len(self.rigs)) as threads, ExitStack() as open_hosts:
            hosts = [host for rig in self.rigs for host in rig.hosts]
            remotes = {host.name: open_hosts.enter_context(self.connect(host)) for host in hosts}
            self.watcher.say(f"connecting to {', '.join(remotes)}")
            folder = PurePosixPath("/var/tmp") / f"fwbench-{self.id}"  # noqa: S108 - made with mode 0700
            open_hosts.callback(
                lambda: list(threads.map(lambda r: _leave(r, folder), remotes.values()))
            )
            busy: list[Future[Any]] = []
            open_hosts.callback(wait, busy)  # no host is left while somebody is at work on it
            arriving = [
                threads.submit(self._arrive, remotes[host.name], host, folder) for host in hosts
            ]
            busy += arriving
            facts = tuple(future.result() for future in arriving)
            images = ready.check(
                self.rigs, facts, tuple(self.contenders.values()), _pinned_cpus(self.suite)
            )
            plan = make_plan(self.suite, self.rigs)
            store = Store.create(self.folder)
            store.begin(self._header(facts), plan)
            self.watcher.planned(plan)
            cpus = {fact.host: fact.cpu_numbers for fact in facts}
            benches = {
                rig.name: Bench(
                    session=self.id,
                    target=remotes[rig.target.name],
                    client=remotes[rig.clients[0].name],
                    address=addresses[rig.name],
                    cpus=cpus[rig.target.name],
                    folder=folder,
                    cancelled=self._cancelled.is_set,
                )
                for rig in self.rigs
            }
            recording = threading.Lock()
            running = [
                threads.submit(
                    self._execute_rig, rig, plan, benches[rig.name], images, store, recording
                )
                for rig in self.rigs
            ]
            busy += running
            try:
                wait(running, return_when=FIRST_EXCEPTION)
                for future in running:
                    if future.done():
                        future.result()
            except BaseException:  # Ctrl-C too: the other rigs stop and clean up before it goes on
                self.cancel()
                raise
        return store

    def _arrive(self, remote: Remote, host: Host, folder: PurePosixPath) -> HostFacts:
        remote.check(["mkdir", "-m", "700", str(folder)])
        remote.put(archive(), str(folder / "agent.pyz"))
        return ready.facts(remote, host, folder)

    def _execute_rig(
        self,
        rig: Rig,
        plan: Plan,
        bench: Bench,
        images: Mapping[tuple[str, str], str],
        store: Store,
        recording: threading.Lock,
    ) -> None:
        done: list[Record] = []
        for run in plan.of_rig(rig.name):
            if done and done[-1].run.block != run.block:
                ended = narrow_enough(self.suite, plan, rig.name, done)
                if ended is not None:
                    self.watcher.say(f"{rig.name}: {ended}")
                    return
            if self._cancelled.is_set():
                return
            self.watcher.started(run)
            contender = self.contenders[run.trial.contender]
            try:
                observation = execute.execute(
                    run,
                    _load(run, done),
                    contender,
                    images[rig.target.name, contender.name],
                    self.suite.start_timeout_s,
                    bench,
                    store.run_folder(run.id),
                )
            except CancelledError:
                return
            verdict = judge(run, contender, observation, self.suite.thresholds)
            record = Record(run=run, observation=observation, verdict=verdict)
            done.append(record)
            with recording:
                store.append(record)
            self.watcher.ended(record)

    def _header(self, facts: tuple[HostFacts, ...]) -> Header:
        return Header(
            fwbench=fwbench.__version__,
            created_at=self.created_at,
            suite=self.suite,
            contenders=tuple(self.contenders.values()),
            rigs=self.rigs,
            facts=facts,
        )


def _pinned_cpus(suite: Suite) -> int:
    """The most CPUs to which a container is pinned."""
    pinned = [limits for limits in suite.limits if limits.cpu_mode is CpuMode.PINNED]
    return max((int(limits.cpus or 0) for limits in pinned), default=0)


def _load(run: Run, done: Sequence[Record]) -> Load:
    """What a run puts on its contender; a step of a search goes by those before it in its block."""
    load = run.trial.load
    if load.search is None:
        return load
    before = [r for r in done if r.run.block == run.block and r.run.trial == run.trial]
    return load.at(next_rate(load.search, [held(record, load.search) for record in before]))


def _leave(remote: Remote, folder: PurePosixPath) -> None:
    """Take the session's folder off a host; one that cannot be reached keeps it in /var/tmp."""
    try:
        remote.check(["rm", "-rf", str(folder)])
    except FwbenchError:
        return
