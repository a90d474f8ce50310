import pytest

from fwbench.provisioning.events import failure_message


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({"msg": "non-zero", "stderr": "E: no space", "stdout": "x"}, "non-zero E: no space"),
        # A raw command has a terminal: ssh alone writes to its standard error.
        (
            {
                "msg": "non-zero",
                "stderr": "Shared connection to 192.0.2.1 closed.\r\n",
                "stdout": "dpkg: error\r\n",
            },
            "non-zero dpkg: error",
        ),
        ({"msg": "non-zero", "stderr": "", "stdout": ""}, "non-zero"),
        ({}, "failed"),
    ],
)
def test_failure_message_ends_with_the_output(result: dict[str, str], message: str) -> None:
    assert failure_message({"task": "Install", "res": result}) == f"Install: {message}"
