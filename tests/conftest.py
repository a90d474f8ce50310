import pytest
from golden import Golden
from hypothesis import settings

pytest_plugins = ["lab_fixture"]

# How long an example takes is the machine's affair.
settings.register_profile("untimed", deadline=None)
# What is too long for every change: pytest --hypothesis-profile=long
settings.register_profile("long", deadline=None, max_examples=5000)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-golden", action="store_true", help="write what the code gives as expected text"
    )
    parser.addoption(
        "--inventory",
        help="for tests/faults: a provisioned lab to use instead of that of the tests",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(rewrite=request.config.getoption("--rewrite-golden"))
