from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from fwbench.analyse.sample import is_believed
from fwbench.model.figures import Figures
from fwbench.model.load import Load
from fwbench.model.record import Header, Record
from fwbench.model.suite import Limits


@dataclass(frozen=True)
class Section:
    """What may be compared: the records of one rig, endpoint, load and limits, by contender.

    Every contender of the suite is there, in its order, if need be without a record.
    """

    title: str
    endpoint: str
    records: Mapping[str, Sequence[Record]]

    def believed(self, contender: str) -> tuple[Record, ...]:
        """The contender's runs whose numbers may be used."""
        return tuple(record for record in self.records[contender] if is_believed(record))

    def figures(self, contender: str) -> tuple[Figures, ...]:
        """The load generator's own words about these runs."""
        loads = (record.observation.load for record in self.believed(contender))
        return tuple(load.figures for load in loads if load is not None and load.figures)


def sections(header: Header, records: Sequence[Record]) -> Iterator[Section]:
    """The sections of a session, in the order of its rigs and its suite."""
    suite = header.suite
    for rig, endpoint, load, limits in product(
        header.rigs, suite.endpoints, suite.loads, suite.limits
    ):
        own = [
            record
            for record in records
            if record.run.rig == rig.name
            and record.run.trial.endpoint == endpoint
            and record.run.trial.load == load
            and record.run.trial.limits == limits
        ]
        yield Section(
            title=_title(header, rig.name, endpoint, load, limits),
            endpoint=endpoint,
            records={
                name: tuple(record for record in own if record.run.trial.contender == name)
                for name in suite.contenders
            },
        )


def _title(header: Header, rig: str, endpoint: str, load: Load, limits: Limits) -> str:
    where = "Endpoint" if len(header.rigs) == 1 else f"Rig {rig}, endpoint"
    return f"{where} {endpoint}: {load.label}; each container has {limits.label}"
