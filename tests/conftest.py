import pytest
from golden import Golden
from hypothesis import settings

pytest_plugins = ["lab_fixture"]

# Examples have no deadline, because the duration depends on the machine.
settings.register_profile("untimed", deadline=None)
# For `pytest --hypothesis-profile=long`; it takes too long for every change.
settings.register_profile("long", deadline=None, max_examples=5000)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-golden", action="store_true", help="write the actual texts as the expected ones"
    )
    parser.addoption(
        "--inventory",
        help="for tests/faults: the inventory of a provisioned lab to use instead of an own one",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Return the comparison with golden files."""
    return Golden(rewrite=request.config.getoption("--rewrite-golden"))
