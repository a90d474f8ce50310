"""Parse the size of a lab's target: `small=0.5,512m`, with an optional price per hour."""

from pydantic import ValidationError

from fwbench.model.lab import Size

FORM = "NAME=CPUS,MEMORY[,PRICE]"
_EXPECTED = {
    "name": "a name of lower-case letters, digits, - and _",
    "cpus": "a number of CPUs above 0, such as 0.5",
    "memory": "an amount of memory, such as 512m or 1g",
    "price_per_hour": "a price per hour, such as 0.01",
}


def parse_size(text: str) -> Size:
    """Parse a size from the command line. Raise `ValueError` with a message that quotes it."""
    name, equals, rest = text.partition("=")
    words = rest.split(",")
    if not equals or len(words) not in (2, 3):
        raise ValueError(f"{text!r:.80} is not of the form {FORM}, as in small=0.5,512m")
    values = {"name": name, "cpus": words[0], "memory": words[1]}
    if len(words) == 3:
        values["price_per_hour"] = words[2]
    try:
        return Size.model_validate(values)
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0])
        raise ValueError(
            f"{text!r:.80}: {values[field]!r:.40} is not {_EXPECTED[field]}"
        ) from error
