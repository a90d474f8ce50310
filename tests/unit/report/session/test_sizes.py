"""The section about sizes in the text report."""

from typing import Any

import pytest
from builders import finding, record
from hypothesis import given, settings
from hypothesis import strategies as st
from reported import LARGE, SMALL, executed, reported, session_of_sizes

from fwbench.model.event import Event
from fwbench.model.load import Load
from fwbench.model.preset import Preset
from fwbench.model.record import Record, SessionHeader
from fwbench.report.session.text_page import text_page


def page(head: SessionHeader, records: list[Record], events: tuple[Event, ...] = ()) -> str:
    return text_page(reported(records, events=events, head=head))


def unwrap(text: str) -> str:
    return " ".join(text.split())


def test_one_size_without_a_price_has_no_section() -> None:
    text = page(session_of_sizes(a={}, b={}), [*executed("a"), *executed("b")])
    assert "By size" not in text
    assert "fwbench_price_per_hour" not in text


def test_one_size_with_a_price_has_a_section() -> None:
    text = unwrap(page(session_of_sizes(a=LARGE), executed("a", 2000)))
    assert "By instance type" in text
    assert "not the clients" in text
    assert "differ in" not in text
    cost = 0.0416 / 3600 / 2003.3 * 1e6
    assert f"{cost:.3g} [" in text


def test_missing_price_names_the_variable_to_set() -> None:
    unpriced = {"price_per_hour": None}
    text = unwrap(page(session_of_sizes(a=SMALL | unpriced, b=LARGE | unpriced), executed("a")))
    assert "No cost for small, large: set fwbench_price_per_hour for its targets." in text
    assert "cost of a million" not in text


def test_size_with_different_prices_has_no_cost() -> None:
    head = session_of_sizes(a=SMALL, b=SMALL | {"price_per_hour": 1}, c=LARGE)
    text = unwrap(page(head, executed("a")))
    assert "No cost for small: its targets have different prices." in text


def test_differences_between_sizes_are_one_sentence() -> None:
    text = unwrap(page(session_of_sizes(a=SMALL, b=LARGE | {"kernel": "6.1"}), executed("a")))
    assert (
        "small and large differ in: CPUs (0.5 / 1); memory (about 512 MiB / about 8 GiB);"
        " kernel (6.12.57 / 6.1)." in text
    )


def test_different_hardware_of_one_type_is_listed_separately() -> None:
    text = unwrap(
        page(
            session_of_sizes(a=LARGE, b=LARGE, c=LARGE | {"cpu_model": "Xeon"}),
            [*executed("a"), *executed("b"), *executed("c")],
        )
    )
    assert "differ in: CPU model (AMD EPYC 9R14 / Xeon)." in text
    assert "Pooled over the 2 rigs of large (AMD EPYC 9R14), endpoint" in text
    assert "Pooled over all" not in text


def test_scope_of_claims_depends_on_the_rigs_of_each_size() -> None:
    rigs = dict.fromkeys("abc", SMALL) | dict.fromkeys("de", LARGE) | {"f": {}}
    assert (
        "Claims hold for rigs like these 3 of small (the rig is the replicate); for each of the 2"
        " rigs of large separately; for the one rig of f-target only."
        in unwrap(page(session_of_sizes(**rigs), []))
    )


def test_results_of_few_rigs_hold_for_these_machines_only() -> None:
    text = unwrap(page(session_of_sizes(a=SMALL, b=LARGE, c=LARGE), executed("a")))
    assert "With 1 to 2 rigs of each size, the results hold for these machines only." in text
    one_rig_each = unwrap(
        page(session_of_sizes(a=SMALL, b=LARGE), [*executed("a"), *executed("b", 1900)])
    )
    assert "(3 and 3 blocks; holds for these machines only)" in one_rig_each
    records = [*executed("a"), *executed("b", 1900), *executed("c", 1900)]
    several_rigs = unwrap(page(session_of_sizes(a=SMALL, b=LARGE, c=LARGE), records))
    assert "(6 and 3 blocks of several rigs; holds for these machines only)" in several_rigs


def test_publish_preset_requires_five_rigs_of_each_size() -> None:
    head = session_of_sizes({"preset": Preset.PUBLISH}, **dict.fromkeys("abcde", SMALL), f=LARGE)
    assert "The preset publish requires 5 rigs of each size: large has 1." in unwrap(page(head, []))


def test_smoke_preset_shows_sizes_and_claims_nothing() -> None:
    head = session_of_sizes({"preset": Preset.SMOKE}, a=SMALL, b=LARGE)
    text = page(head, [*executed("a", blocks=1), *executed("b", 1900, blocks=1)])
    assert "cost of a million" in text
    assert " × " not in text
    assert "these machines only" not in text


def test_numbers_of_an_invalid_run_are_not_shown() -> None:
    invalid = record("flask", 8765, findings=(finding(),), rig="a")
    assert "876" not in page(session_of_sizes(a=SMALL, b=LARGE), [invalid])


def test_latency_at_a_fixed_rate_has_no_cost() -> None:
    load = Load(connections=10, rate=900, duration_s=3)
    text = page(session_of_sizes({"loads": (load,)}, a=SMALL, b=LARGE), [])
    section = text.partition("By instance type")[2]
    assert "p99" in section
    assert "per CPU " not in section
    assert "cost of a million" not in section


@settings(max_examples=50)
@given(
    name=st.text(min_size=1, max_size=80),
    contender=st.sampled_from(["a", "x" * 63]),
    per_s=st.floats(1, 1e5),
    price=st.floats(0, 1e6) | st.none(),
    reason=st.text(max_size=200),
)
def test_page_is_at_most_100_columns_wide(
    name: str, contender: str, per_s: float, price: float | None, reason: str
) -> None:
    facts = SMALL | {"instance_type": name, "price_per_hour": price, "cpu_model": name}
    contenders = {"contenders": ("flask", contender)}
    head = session_of_sizes(contenders, a=facts, b=facts | {"cpus": 64})
    records = [
        record("flask", max(per_s + block, 1), block=block, rig=rig_name)
        for rig_name in "ab"
        for block in range(1, 4)
    ]
    events = (Event(at="2026-11-23T10:00:00+00:00", kind="quarantined", rig="b", reason=reason),)
    text = page(head, records, events)
    assert max(map(len, text.splitlines())) <= 100
    assert all(character.isprintable() for line in text.split("\n") for character in line)


@pytest.mark.parametrize("kind", ["excluded", "quarantined"])
def test_runs_of_a_rig_given_up_are_not_shown_as_pending(kind: Any) -> None:
    event = Event(at="2026-11-23T10:00:00+00:00", kind=kind, rig="b", reason="it went away")
    text = page(session_of_sizes(a={}, b={}), executed("a"), (event,))
    assert text.count("not executed yet") == 0
    assert text.count("not executed\n") == 3
    assert "not executed yet" in page(session_of_sizes(a={}, b={}), executed("a"))
    resumed = Event(at="2026-11-23T11:00:00+00:00", kind="resumed", reason="it is back")
    assert "not executed yet" in page(session_of_sizes(a={}, b={}), executed("a"), (event, resumed))
