"""How large a target of the lab is: `small=0.5,512m`, with a price per hour if one is given."""

from pydantic import Field, ValidationError

from fwbench.model.base import Frozen
from fwbench.model.names import Name

FORM = "NAME=CPUS,MEMORY[,PRICE]"
_EXPECTED = {
    "name": "name of a size: lower-case letters, digits, - and _",
    "cpus": "number of CPUs above 0, as 0.5",
    "memory": "memory, as 512m or 1g",
    "price_per_hour": "price per hour, as 0.01",
}


class Size(Frozen):
    """A kind of host: what a cloud calls an instance type."""

    name: Name
    cpus: float = Field(gt=0, le=1024, allow_inf_nan=False)
    memory: str = Field(pattern=r"^[1-9][0-9]{0,6}[mg]$")
    price_per_hour: float | None = Field(default=None, ge=0, le=1e9, allow_inf_nan=False)

    def __str__(self) -> str:
        """The size as `lab up` takes it."""
        price = "" if self.price_per_hour is None else f",{_plain(self.price_per_hour)}"
        return f"{self.name}={_plain(self.cpus)},{self.memory}{price}"


def parse_size(text: str) -> Size:
    """A size as the command line has it; raises `ValueError` with a sentence that quotes it."""
    name, equals, rest = text.partition("=")
    words = rest.split(",")
    if not equals or len(words) not in (2, 3):
        raise ValueError(f"{text!r:.80} is not of the form {FORM}, as in small=0.5,512m")
    given = {"name": name, "cpus": words[0], "memory": words[1]}
    if len(words) == 3:
        given["price_per_hour"] = words[2]
    try:
        return Size.model_validate(given)
    except ValidationError as error:
        wrong = str(error.errors()[0]["loc"][0])
        raise ValueError(f"{text!r:.80}: {given[wrong]!r:.40} is no {_EXPECTED[wrong]}") from error


def _plain(number: float) -> str:
    """Every digit, so that what is read back is the same size, and no `.0`."""
    return repr(number).removesuffix(".0")
