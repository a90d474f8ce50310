"""What fwbench has to know about a load generator. Each tool has a file with a subclass."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import PurePath
from types import MappingProxyType

from fwbench.errors import SuiteError
from fwbench.model.figures import LoadSummary
from fwbench.model.load import Load


class UnsuitableLoadError(SuiteError):
    """A load that a load generator cannot offer: because of which key, and why."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key, self.reason = key, reason


class LoadGenerator(ABC):
    """A load generator: its command line, its output, and what its figures mean.

    `writes_request_log` says whether it writes a log with a row for each request, in h2load's form.
    Without one, a rig can have a single client only, and checks that read the log do not apply.
    `corrects_latencies` says whether its latencies under a closed load are corrected for
    coordinated omission. `latency_begins` says when the time of a request begins. `files` are those
    that it reads: fwbench writes them to the run's folder on the client.

    The module of a load generator has an object of its class, `GENERATOR`. The name of the package
    that contains the tool is in `defaults/main.yml` of the role `load_generators`.
    """

    name: str
    description: str
    writes_request_log: bool
    corrects_latencies: bool
    latency_begins: str
    files: Mapping[str, str] = MappingProxyType({})

    def check_load(self, load: Load) -> None:  # noqa: B027 - most tools offer any load
        """Raise `UnsuitableLoadError` if the tool cannot offer `load`."""

    @abstractmethod
    def command_line(self, load: Load, url: str, folder: PurePath) -> list[str]:
        """Return the command that puts `load` on `url`; `folder` is the run's on the client."""

    def warm_up_command_line(self, load: Load, url: str) -> list[str] | None:  # noqa: ARG002
        """Return the command that precedes the measured one; None if there is none."""
        return None

    def duration_s(self, load: Load) -> float | None:
        """Return how long a load lasts if the server keeps up; None if the server determines that.

        This includes the warm-up.
        """
        return load.nominal_duration_s

    def measured_window_s(self, load: Load) -> tuple[float, float] | None:  # noqa: ARG002
        """Return the begin (from the first request) and length of the log's part that is measured.

        Returns None if the whole log is measured, or if there is no log.
        """
        return None

    def skipped_s(self, load: Load) -> float:  # noqa: ARG002
        """Return how many seconds after its start the measured command begins to measure."""
        return 0.0

    @abstractmethod
    def parse_version(self, printed: str) -> str:
        """Return the version in what `NAME --version` prints; raise `ParseError` without one."""

    @abstractmethod
    def parse_output(self, stdout: str) -> LoadSummary:
        """Parse the tool's standard output; raise `ParseError` if it is malformed."""


def is_known(answers: int, percentile: str) -> bool:
    """Return whether at least ten of so many answers lie beyond a percentile, such as `p99_9`."""
    whole, _, tenths = percentile.removeprefix("p").partition("_")
    beyond_per_mille = 1000 - 10 * int(whole) - int(tenths or 0)
    return answers * beyond_per_mille >= 10 * 1000


def excerpt(text: str) -> str:
    """Return text as errors quote it: in quotation marks, at most 200 characters."""
    return repr(text if len(text) <= 200 else f"{text[:200]}…")
