import re
from dataclasses import replace
from typing import Any

import pytest
from builders import (
    COUNTED,
    FASTAPI,
    FLASK,
    HELLO,
    client_side,
    client_usage,
    finding,
    header,
    load_result,
    log,
    observation,
    record,
    rig,
    run,
    suite,
)
from golden import Golden
from hypothesis import given
from hypothesis import strategies as st
from reported import GOLDEN_SESSIONS, evaluated, reported

from fwbench.model.host import Client
from fwbench.model.load import Load, Search
from fwbench.model.observation import ClientOverlap
from fwbench.model.preset import Preset
from fwbench.model.record import Record
from fwbench.model.suite import StoppingRule
from fwbench.model.telemetry import LoadThread
from fwbench.model.verdict import Finding, Level, Verdict
from fwbench.report.registry import FORMATS
from fwbench.report.session.text_page import text_page
from fwbench.stats.application import FrameworkPart, parse_framework_share


def comparison_records(flask: list[float], fastapi: list[float]) -> list[Record]:
    control_values = [per_s * (1.001 if block % 2 else 0.999) for block, per_s in enumerate(flask)]
    return [
        record(name, per_s, block=block, aa_control=aa_control)
        for name, aa_control, values in (
            ("flask", False, flask),
            ("flask", True, control_values),
            ("fastapi", False, fastapi),
        )
        for block, per_s in enumerate(values, start=1)
    ]


def page(
    records: list[Record], framework_share: FrameworkPart | None = None, **changes: Any
) -> str:
    return text_page(reported(records, framework_share, **changes))


def counted(contender: str, per_s: float, **changes: Any) -> Record:
    """Return a run whose load is a number of requests."""
    timed = record(contender, per_s, **changes)
    trial = timed.run.trial.model_copy(update={"load": COUNTED})
    return timed.model_copy(update={"run": timed.run.model_copy(update={"trial": trial})})


def unwrap(text: str) -> str:
    """Return a page as one line, without its layout."""
    return " ".join(text.split())


def test_page_shows_how_far_apart_clients_started() -> None:
    two_clients = rig().model_copy(
        update={"clients": tuple(Client(name=n, address="192.0.2.2") for n in ("c1", "c2"))}
    )
    overlaps = {
        block: ClientOverlap(skew_s=0.001 * block, uncertainty_s=0.002, overlap_s=2.9)
        for block in (1, 2, 9)
    }
    records = [
        evaluated(FLASK, 1000, block, overlap=overlap) for block, overlap in overlaps.items()
    ]
    text = unwrap(page(records, rigs=(two_clients,)))
    assert "The 2 clients began at most 9.0 ms apart (median 2.0 ms; uncertainty ± 2.0 ms)." in text
    assert "clients began" not in unwrap(page([evaluated(FLASK, 1000, 1)]))


# Whole pages


@pytest.mark.parametrize("name", GOLDEN_SESSIONS)
def test_page_matches_the_golden_file(name: str, golden: Golden) -> None:
    golden.check(f"{name}.txt", text_page(GOLDEN_SESSIONS[name]()))


def test_report_ends_with_the_session_folder() -> None:
    session = replace(reported([]), folder="sessions/a\x1b[2J\nb  c")
    text = "".join(FORMATS["text"].render(session))
    assert text == text_page(session) + "\nSession: sessions/a\\x1b[2J\\nb  c\n"


# Contents of the page


def test_numbers_of_an_invalid_run_are_not_shown() -> None:
    text = page([record("flask", 8765, findings=(finding(),))])
    assert "876" not in text
    assert "ms" not in text.partition("Endpoint")[2].partition("Findings")[0]
    assert "invalid (1)" in text


def test_numbers_of_several_runs_are_medians_of_valid_runs() -> None:
    records = [counted("flask", per_s, block=n) for n, per_s in enumerate((1000, 3000, 1200), 1)]
    records.append(counted("flask", 9000, findings=(finding(),), block=4))
    text = page(records, suite=suite(loads=(COUNTED,)))
    assert "each figure is the median over the contender's runs" in text
    assert "119.00 121.00 120.00" in unwrap(text)


def test_numbers_of_a_single_run_are_those_of_h2load() -> None:
    text = page([counted("flask", 1000)], suite=suite(loads=(COUNTED,)))
    assert "Figures printed by h2load:" in text
    assert "2.03ms 8.76ms 10.00ms 208us 98.40%" in unwrap(text)


@pytest.mark.parametrize(
    ("levels", "shown"),
    [
        ([None, None], "valid"),
        ([None, Level.NOTE], "valid"),
        ([None, Level.SUSPECT], "suspect (1)"),
        ([Level.INVALID, Level.SUSPECT], "invalid (1)"),
        ([], "not executed yet"),
    ],
)
def test_verdict_of_a_contender_is_the_worst_of_its_runs(
    levels: list[Level | None], shown: str
) -> None:
    records = [
        record("flask", block=block, findings=(finding(level=level),) if level else ())
        for block, level in enumerate(levels, start=1)
    ]
    lines = [line for line in page(records).splitlines() if line.startswith("flask ")]
    assert any(line.endswith(f"  {shown}") for line in lines)


def test_ratio_is_shown_with_its_interval() -> None:
    text = page(comparison_records([1000, 1010, 1020], [1900, 1910, 1950]))
    assert "fastapi / flask: 1.901 × [1.875, 1.927] throughput: faster (3 blocks)\n" in text


def test_slower_contender_is_reported() -> None:
    assert " throughput: slower (3 blocks)" in page(
        comparison_records([1000, 1010, 1020], [500, 505, 510])
    )


def test_inconclusive_ratio_has_its_detectable_difference() -> None:
    text = page(comparison_records([1000, 1100, 1020], [1010, 1000, 1120]))
    assert " throughput: inconclusive" in unwrap(text)
    assert re.search(r"\(could have detected \d+\.\d %; 3 blocks\)", unwrap(text))


def test_equivalent_ratio_is_shown_with_its_margin() -> None:
    text = page(comparison_records([1000, 1010, 1020], [1001, 1011, 1021]))
    assert "fastapi / flask: 1.001 × [1.001, 1.001] throughput: equivalent within 2 %" in text


def test_aa_control_is_shown_as_the_noise_floor() -> None:
    text = page(comparison_records([1000, 1010, 1020, 1000], [1900, 1910, 1950, 1900]))
    noise_floor = "flask-aa / flask (A/A control): 1.000 × [0.998, 1.002] throughput: noise floor"
    assert f"{noise_floor} (4 blocks)\n" in text


def test_page_warns_if_the_aa_interval_excludes_1() -> None:
    records = comparison_records([1000, 1010, 1020], [1900, 1910, 1950])
    for block, per_s in enumerate((1100, 1111, 1122), 1):
        records = [
            each for each in records if not (each.run.trial.aa_control and each.run.block == block)
        ]
        records.append(record("flask", per_s, block=block, aa_control=True))
    assert "its interval excludes 1, so do not trust small differences" in unwrap(page(records))


@pytest.mark.parametrize(
    ("framework_share", "effect"),
    [
        (
            "20%",
            "spends 20 % of its time in the framework: 9.5 % less time [9.3, 9.6], 1.105 times as",
        ),
        ("10ms", "a request that spends 10 ms in the framework: 4.7 ms less [4.7, 4.8]"),
    ],
)
def test_effect_on_an_application_is_shown(framework_share: str, effect: str) -> None:
    records = comparison_records([1000, 1010, 1020], [1900, 1910, 1950])
    assert effect in unwrap(page(records, parse_framework_share(framework_share)))


def test_stopping_rule_is_shown_with_its_effect() -> None:
    planned = suite(blocks=20, stop=StoppingRule(within_percent=5))
    records = comparison_records([1000, 1010] * 5, [1900, 1910] * 5)
    text = unwrap(page(records, suite=planned))
    assert (
        "Stopped on one: every interval is narrow enough after 10 blocks (rule: stop when every"
        in text
    )
    assert "missing below" not in text


def test_invalid_runs_are_counted() -> None:
    records = comparison_records([1000] * 4, [2000] * 3)
    records.append(record("fastapi", 9000, findings=(finding(),), block=4))
    assert "faster (3 blocks; 1 invalid run not used)" in page(records)


def invalid_runs(name: str, blocks: range, *, aa_control: bool = False) -> list[Record]:
    return [
        record(name, 9000, findings=(finding(),), block=n, aa_control=aa_control) for n in blocks
    ]


def test_withheld_estimate_is_shown_with_its_counts() -> None:
    records = [
        each
        for each in comparison_records([1000] * 10, [2000] * 10)
        if each.run.trial.label != "fastapi"
    ]
    records += [record("fastapi", 2000, block=n) for n in range(1, 5)]
    records += invalid_runs("fastapi", range(5, 11))
    text = page(records)
    assert "No estimate: fastapi has 4 valid runs of 10 and needs 5.\n" in text
    assert (
        "fastapi / flask: no ratio: fastapi has 4 valid runs of 10 and needs 5"
        " (6 invalid runs not used)"
    ) in unwrap(text)
    assert "faster" not in text.partition("How to read")[0]


def test_ratio_without_a_noise_floor_has_no_claim() -> None:
    records = [
        each
        for each in comparison_records([1000, 1010] * 5, [2000, 2020] * 5)
        if not each.run.trial.aa_control
    ]
    records += [record("flask", 1000, block=n, aa_control=True) for n in (1, 2)]
    records += invalid_runs("flask", range(3, 11), aa_control=True)
    text = unwrap(page(records))
    assert (
        "fastapi / flask: 2.000 × [2.000, 2.000] throughput: no claim, because the A/A control"
        " has no ratio, so the noise floor is unknown (10 blocks)"
    ) in text
    assert "flask-aa / flask (A/A control): no ratio: flask-aa has 2 valid" in text
    for word in ("faster", "slower", "equivalent", "inconclusive"):
        assert word not in text.partition("How to read")[0]


def search_records(name: str, p99_us: int, *, aa_control: bool = False) -> list[Record]:
    """Return three blocks of a search; the only step passes if its p99 is at most 50 ms."""
    percentiles = log().latency.model_copy(update={"p99_us": p99_us})
    load = load_result(log=log(corrected_latency=percentiles))
    observed = observation(load=load, offered_rate=800)
    return [
        Record(
            run=run(name, SEARCH_LOAD, block=block, number=block, aa_control=aa_control).model_copy(
                update={"step": 1}
            ),
            observation=observed,
            verdict=Verdict(findings=()),
        )
        for block in (1, 2, 3)
    ]


SEARCH_LOAD = Load(
    connections=10,
    duration_s=3,
    search=Search(p99_ms=50, lowest=100, highest=6400, steps=1),
)


@pytest.mark.parametrize(
    ("p99_us", "rate", "reason"),
    [
        (
            40_000,
            "at least 800",
            "passed every rate tried in 3 of 3 blocks: raise `highest` of the search",
        ),
        (
            60_000,
            "below 800",
            "failed every rate tried in 3 of 3 blocks: lower `lowest` of the search",
        ),
    ],
)
def test_censored_search_is_shown_as_a_bound_without_a_claim(
    p99_us: int, rate: str, reason: str
) -> None:
    records = [
        *search_records("flask", p99_us),
        *search_records("flask", p99_us, aa_control=True),
        *search_records("fastapi", p99_us),
    ]
    facts = tuple(
        each.model_copy(update={"price_per_hour": 0.1, "instance_type": "small"})
        for each in header().facts
    )
    text = unwrap(page(records, suite=suite(loads=(SEARCH_LOAD,)), facts=facts))
    assert f"fastapi 3 of 3 {rate} valid" in text
    assert f"fastapi / flask: no ratio: flask {reason}; fastapi {reason}" in text
    assert f"fastapi small rig one {rate} {rate.replace('800', '400')} –" in text
    for word in ("faster", "slower", "equivalent"):
        assert word not in text.partition("How to read")[0]


def test_rig_left_out_of_a_comparison_is_named() -> None:
    rigs = tuple(rig(name) for name in ("one", "two", "three", "four"))
    records = [
        each.model_copy(update={"run": each.run.model_copy(update={"rig": source_rig.name})})
        for source_rig in rigs
        for each in comparison_records([1000, 1010, 1000], [2000, 2020, 2000])
        if source_rig.name != "two" or each.run.trial.label != "fastapi"
    ]
    text = unwrap(page(records, rigs=rigs).partition("Pooled over all 4 rigs")[2])
    assert "faster (3 rigs; without rig two, where fastapi has no valid run)" in text


def test_contender_without_a_valid_run_has_no_ratio() -> None:
    records = [
        *comparison_records([1000] * 3, []),
        *(record("fastapi", 9000, findings=(finding(),), block=block) for block in (1, 2, 3)),
    ]
    text = page(records)
    assert "fastapi / flask: no ratio: fastapi has no valid run (3 invalid runs not used)" in text


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"preset": Preset.SMOKE, "blocks": 1}, "No comparison: a smoke test of 1 block only"),
        ({"preset": Preset.SMOKE, "blocks": 3}, "No comparison: a smoke test of 3 blocks only"),
        ({"baseline": None}, "names no baseline"),
    ],
)
def test_page_without_a_comparison_gives_the_reason(changes: dict[str, Any], reason: str) -> None:
    text = page(comparison_records([1000] * 3, [2000] * 3), suite=suite(**changes))
    assert reason in text
    assert " × " not in text


def test_single_contender_has_no_comparison() -> None:
    text = page(
        [record("flask")], suite=suite(contenders=("flask",), baseline=None), contenders=(FLASK,)
    )
    assert "flask /" not in text
    assert "comparison" not in text
    assert "answers differ" not in text


def test_equal_answers_are_not_reported() -> None:
    same_answer = FASTAPI.model_copy(update={"endpoints": {"hello": HELLO}})
    assert "The answers differ" not in page([record()], contenders=(FLASK, same_answer))


def test_different_answers_are_reported() -> None:
    assert (
        "The answers differ (flask: text/html; charset=utf-8, 13 bytes; fastapi: application/json,"
        in page([record()])
    )


def test_finding_is_shown_once_with_its_contenders() -> None:
    records = [
        record("flask", findings=(finding("too-short", Level.NOTE),), block=1),
        record("fastapi", findings=(finding("too-short", Level.NOTE),), block=1),
        record("fastapi", findings=(finding(),), block=2),
        record("fastapi", findings=(finding(),), block=3),
    ]
    text = page(records)
    assert text.index("oom-kill (invalid): fastapi, 2 runs") < text.index(
        "too-short (note): flask, fastapi, 2 runs"
    )
    assert text.count("evidence of oom-kill") == 1


def test_notes_on_an_invalid_run_are_omitted() -> None:
    note = finding("too-short", Level.NOTE)
    assert "too-short" not in page([record(findings=(finding(), note))])
    assert "too-short" in page([record(findings=(note,))])


def test_page_advises_more_clients_if_they_were_saturated() -> None:
    saturated = record(findings=(finding("client-saturated", excess=0.95 / 0.7),))
    thread = LoadThread(tid=1, command="h2load", cores=0.95, wait_share=0)
    client = client_side(usage=client_usage(threads=(thread,)))
    observed = saturated.observation.model_copy(update={"clients": (client,)})
    text = unwrap(page([saturated.model_copy(update={"observation": observed})]))
    assert (
        "Add clients to rig one: at least 2 instead of 1, until the target is the limit. Clients"
        " are hosts with the same fwbench_rig. h2load's busiest thread used 95 % of a CPU."
    ) in text
    assert "Add clients" not in page([record(findings=(finding(),))])


def verdict(*codes: str, findings: tuple[Finding, ...] = (), **changes: Any) -> Verdict:
    return Verdict(findings=findings, not_observed=codes, **changes)


def test_unobserved_and_inapplicable_checks_are_listed() -> None:
    verdicts = [
        verdict("steal", "governor", not_applicable=("bursty-rate", "client-skew")),
        verdict("governor", not_applicable=("bursty-rate", "client-skew", "too-short")),
        verdict("pressure", "governor", findings=(finding(),), not_applicable=("drift",)),
    ]
    records = [record().model_copy(update={"verdict": each}) for each in verdicts]
    text = unwrap(page(records))
    assert (
        "Not observed: steal (the CPU time that the hypervisor withheld, 1 run); governor (the"
        " CPU's frequency, all runs). Not applicable: bursty-rate, client-skew (all runs);"
        " too-short (1 run). How to read this" in text
    )


def test_check_codes_of_another_version_are_listed() -> None:
    unknown = record().model_copy(update={"verdict": verdict("new-check")})
    assert "Not observed: new-check (unknown, all runs)." in page([unknown])


def test_nothing_is_listed_if_all_checks_were_possible() -> None:
    text = page([record()])
    assert "Not observed" not in text
    assert "Not applicable" not in text


def test_session_without_findings_is_reported() -> None:
    assert "Findings: none.\n" in page([record()])


def test_session_without_runs_has_a_page() -> None:
    text = page([])
    assert "0 of 30 runs executed; the others are missing below." in unwrap(text)
    assert "no run was executed" in text


def test_control_sequences_in_foreign_text_are_escaped() -> None:
    hostile = finding().model_copy(update={"evidence": "a\x1b[2Jb\nc\u202ed"})
    text = page([record(findings=(hostile,))], suite=suite(question="Is it\x1b[31m red?\n\nYes"))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "Is it\\x1b[31m red? Yes\n" in text


@given(
    name=st.sampled_from(["a", "x" * 63, "a-b_c" * 12]),
    question=st.text(max_size=300),
    evidence=st.text(max_size=300) | st.just("x" * 500),
    host=st.text(min_size=1, max_size=120).filter(lambda text: text.strip() != ""),
    per_s=st.floats(1, 1e7),
)
def test_page_is_at_most_100_columns_wide(
    name: str, question: str, evidence: str, host: str, per_s: float
) -> None:
    planned = suite(contenders=(name, "flask"), question=question, baseline=name)
    contender = FLASK.model_copy(update={"name": name})
    suspect = finding().model_copy(update={"evidence": evidence, "level": Level.SUSPECT})
    suspect_run = record(name, per_s).model_copy(update={"verdict": Verdict(findings=(suspect,))})
    facts = tuple(each.model_copy(update={"host": host}) for each in header().facts)
    text = page([suspect_run, record()], suite=planned, contenders=(contender, FLASK), facts=facts)
    assert max(map(len, text.splitlines())) <= 100
    assert all(character.isprintable() for line in text.split("\n") for character in line)
