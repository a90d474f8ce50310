"""Measure fwbench's own overhead, in a lab that is up and provisioned.

    fwbench lab up && fwbench provision -i "$(fwbench lab inventory)" && make selfbench

Prints seconds and ratios, one figure per line, with the highest acceptable value. Machines are
noisy: the ratio is formed within pairs, in alternating order; everything else is a median.
"""

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import yaml

from fwbench.providers.lab.hosts import Lab
from fwbench.storage.store import SessionStore

HERE = Path(__file__).parent


def timed(argv: Sequence[str | Path]) -> float:
    began = time.perf_counter()
    subprocess.run(argv, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return time.perf_counter() - began


def repeated(times: int, what: Callable[[], float]) -> list[float]:
    return [what() for _ in range(times)]


def figure(name: str, values: Sequence[float], at_most: float | None, unit: str = "s") -> None:
    bound = "" if at_most is None else f"(at most {at_most:g})"
    spread = f"{min(values):.2f}–{max(values):.2f}"
    print(
        f"{name:58} {median(values):6.2f} {unit:2} {spread:>13}, n={len(values)}  {bound}",
        flush=True,
    )


def ssh_words(inventory: Path, host: str) -> str:
    listed = yaml.safe_load(inventory.read_text())["all"]
    hosts = {k: v for group in listed["children"].values() for k, v in group["hosts"].items()}
    variables = listed["vars"] | hosts[host]
    return (
        f"-oBatchMode=yes -oUserKnownHostsFile={variables['fwbench_known_hosts']}"
        f" -i {variables['ansible_ssh_private_key_file']} -p {variables['ansible_port']}"
        f" {variables['ansible_user']}@{variables['ansible_host']}"
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pairs", type=int, default=5, help="pairs of smoke suite and script")
    pairs = arguments.parse_args().pairs
    inventory = Lab().inventory
    address = yaml.safe_load(inventory.read_text())["all"]["children"]["targets"]["hosts"][
        "target-1"
    ]["fwbench_load_address"]

    figure("fwbench --help", repeated(9, lambda: timed(["fwbench", "--help"])), 0.3)

    ratios, suites, scripts, sessions = [], [], [], []
    with tempfile.TemporaryDirectory() as place:
        run = ["fwbench", "run", "smoke", "-i", str(inventory), "-o", f"{place}/sessions"]
        script = [
            str(HERE / "smoke.sh"),
            ssh_words(inventory, "target-1"),
            ssh_words(inventory, "client-1"),
            address,
            place,
        ]
        for _ in range(pairs):
            suites.append(timed(run))
            scripts.append(timed(script))
            ratios.append(suites[-1] / scripts[-1])
        for session in sorted(Path(place, "sessions").iterdir()):
            sessions += SessionStore(session).records()
    figure("suite `smoke` by fwbench", suites, None)
    figure("the same by a shell script over plain ssh", scripts, None)
    figure("ratio within pairs", ratios, 1.2, "×")

    phases = [record.observation.phases for record in sessions]
    figure(
        "a run, without the application's start, warm-up and load",
        [phase.overhead_s for phase in phases if phase.overhead_s is not None],
        2,
    )
    figure(
        "  thereof `docker run`",
        [p.start_s for p in phases if p.start_s is not None],
        None,
    )
    figure(
        "a run: the application's start, until it is idle",
        [p.ready_s for p in phases if p.ready_s is not None],
        None,
    )

    again = repeated(3, lambda: timed(["fwbench", "provision", "-i", str(inventory)]))
    figure("a provisioning that changes nothing, two hosts", again, 15)


if __name__ == "__main__":
    main()
