"""Check in a running lab how often a known difference is found, and no difference is not claimed.

    fwbench lab up && fwbench provision -i "$(fwbench lab inventory)"
    python selfbench/known_differences.py --blocks 60

Flask is compared with itself (its A/A control), and with copies that use 5 % and 10 % more CPU time
for each request. The blocks are divided into sessions of ten, which are analysed separately. 60
blocks take about half an hour.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean

from fwbench import paths
from fwbench.cli.progress import SessionProgress
from fwbench.config.suites import load_contenders
from fwbench.execution.session import Session, SessionOptions
from fwbench.inventory.rigs import parse_rigs
from fwbench.model.contender import Contender
from fwbench.model.host import Rig
from fwbench.model.load import Load
from fwbench.model.preset import Preset
from fwbench.model.record import Record
from fwbench.model.setting import Limits
from fwbench.model.suite import Suite
from fwbench.providers.lab.hosts import Lab
from fwbench.provisioning.inventory import Inventory, list_inventory
from fwbench.ssh.remote import SshRemote
from fwbench.stats.outcomes import Comparison
from fwbench.stats.ratios import RatioEstimate
from fwbench.stats.samples import throughputs
from fwbench.stats.session_results import session_results
from fwbench.stats.summarise import summarise
from fwbench.storage.store import SessionStore

PER_SESSION = 10
LOAD = Load(connections=40, warm_up_s=1, duration_s=3)
SLOWED = {"slow-5": 0.05, "slow-10": 0.10}
APP = """
import time
from app import app

@app.before_request
def take_longer():
    until = time.thread_time_ns() + {nanoseconds}
    while time.thread_time_ns() < until:
        pass
"""


# $1: folder, $2: the image's tag, $3: its name, $4: the file for its record, as in provisioning.
BUILD = """
set -e
cd "$1"
chmod 644 slow.py
docker build --quiet --tag "$2" . > id
sed -e "s#\\"name\\": \\"flask\\"#\\"name\\": \\"$3\\"#" \\
    -e "s#\\"image_id\\": \\"[^\\"]*\\"#\\"image_id\\": \\"$(cat id)\\"#" \\
    /var/lib/fwbench/images/flask.json > "$4"
"""
DOCKERFILE = b"""FROM fwbench/flask:current
COPY slow.py /srv/
CMD ["gunicorn", "slow:app"]
"""


@contextmanager
def slowed(rig: Rig, contender: Contender, nanoseconds: int) -> Iterator[None]:
    """Build Flask's image on the target under another name, with more CPU time per request."""
    folder = f"/var/tmp/fwbench-{contender.name}"  # noqa: S108 - made with mode 0700
    record = f"/var/lib/fwbench/images/{contender.name}.json"
    with SshRemote(rig.target) as target:
        target.check(["mkdir", "-m", "700", folder])
        try:
            target.put(APP.format(nanoseconds=nanoseconds).encode(), f"{folder}/slow.py")
            target.put(DOCKERFILE, f"{folder}/Dockerfile")
            argv = ["sh", "-c", BUILD, "sh", folder, contender.image, contender.name, record]
            target.check(argv, timeout_s=120, sudo=True)
            yield
        finally:
            target.check(["rm", "-rf", folder, record], sudo=True)
            target.check(["docker", "rmi", "--force", contender.image], timeout_s=60, sudo=True)


def executed(rig: Rig, contenders: dict[str, Contender], blocks: int, place: Path) -> SessionStore:
    suite = Suite(
        name="known-differences",
        question="Which known differences are found?",
        contenders=tuple(contenders),
        baseline="flask",
        endpoints=("json",),
        loads=(LOAD,),
        limits=(Limits(cpus=1, memory="512m"),),
        preset=Preset.STANDARD,
        blocks=blocks,
    )
    with SessionProgress() as watcher:
        return Session.new(suite, contenders, [rig], place, SessionOptions(watcher)).run()


def called(store: SessionStore, records: Sequence[Record], first: int) -> Iterator[tuple[str, str]]:
    """Return the outcome for each contender, from the ten blocks from `first` on."""
    own = range(first, first + PER_SESSION)
    chosen = [record for record in records if record.run.block in own]
    (group,) = summarise(store.header(), store.plan(), session_results(chosen)).groups
    for one in group.comparisons:
        result = one.result
        yield one.label, str(result.outcome) if isinstance(result, Comparison) else "no ratio"
    noise = group.noise_floor.result if group.noise_floor else None
    if isinstance(noise, RatioEstimate):
        inside = noise.interval.low <= 1 <= noise.interval.high
        yield "flask-aa", "inconclusive" if inside else "different"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=60, help="ten per session")
    parser.add_argument("--lab", default="lab", help="the lab's name")
    given = parser.parse_args()
    inventory = Lab(given.lab).inventory
    (rig, *_) = parse_rigs(list_inventory(Inventory((inventory,))), str(inventory))
    flask = load_contenders(paths.data_folder() / "contenders")["flask"]
    with tempfile.TemporaryDirectory() as place:
        first = executed(rig, {"flask": flask}, 3, Path(place))
        per_s = fmean(throughputs(session_results(first.records()).runs))
        # Pinned to one CPU under a closed load, all of its time goes into requests.
        names = {name: flask.model_copy(update={"name": name}) for name in SLOWED}
        nanoseconds = {name: round(share / per_s * 1e9) for name, share in SLOWED.items()}
        print(f"flask: {per_s:.0f} requests per second; added for each: {nanoseconds} ns")
        with (
            slowed(rig, names["slow-5"], nanoseconds["slow-5"]),
            slowed(rig, names["slow-10"], nanoseconds["slow-10"]),
        ):
            store = executed(rig, {"flask": flask, **names}, given.blocks, Path(place))
        records = store.records()
        words: dict[str, Counter[str]] = {}
        for block in range(1, given.blocks - PER_SESSION + 2, PER_SESSION):
            for name, word in called(store, records, block):
                words.setdefault(name, Counter())[word] += 1
        (whole,) = summarise(store.header(), store.plan(), session_results(records)).groups
    for one in (*whole.comparisons, *([whole.noise_floor] if whole.noise_floor else [])):
        if isinstance(one.result, RatioEstimate):
            low, high = one.result.interval.low, one.result.interval.high
            print(
                f"{one.label:12} {one.result.ratio:.3f} [{low:.3f}, {high:.3f}] over all blocks;"
                f" sessions of {PER_SESSION}: {dict(words[one.label])}"
            )
    invalid = Counter(
        finding.code
        for record in records
        if record.verdict.status == "invalid"
        for finding in record.verdict.findings
    )
    print(f"{len(records)} runs; findings of invalid ones: {dict(invalid) or 'none'}")


if __name__ == "__main__":
    main()
