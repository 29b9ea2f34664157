"""What a refusal means: the words of trunks that are full, and what operators say of a trunk."""

from __future__ import annotations

import pytest

from engine.model.disposition import (
    AS_EVERYWHERE,
    OUTCOMES_MAX,
    REFUSALS,
    CongestionKind,
    Disposition,
    InvalidOutcome,
    OutcomeRule,
    OutcomeTable,
    make_outcome_table,
    of_congestion,
    of_rejection,
    parse_outcome,
    read_outcome_table,
)

FULL: list[tuple[int, int | None, str, CongestionKind]] = [
    (503, None, "Service Unavailable", "either"),
    (503, None, "Maximum Calls In Progress", "channels"),
    (503, 34, "Service Unavailable", "either"),
    (500, None, "Channel limit reached", "channels"),
    (500, None, "No circuit available", "channels"),
    (502, 34, "Bad Gateway", "either"),
    (480, None, "All circuits are busy now", "channels"),
    (403, None, "Concurrent  call\tlimit exceeded", "channels"),
    (403, None, "CPS limit exceeded", "pace"),
    (488, None, "Too many calls", "channels"),
    (503, None, "Rate limit", "pace"),
    (503, 34, "Max calls per second exceeded", "pace"),
    (503, 42, "Service Unavailable", "pace"),
    (480, 42, "", "pace"),
    (429, None, "Too Many Requests", "pace"),
    (599, None, "no capacity", "channels"),
]


@pytest.mark.parametrize(("code", "q850", "reason", "kind"), FULL)
def test_a_trunk_that_is_full_is_understood(
    code: int, q850: int | None, reason: str, kind: CongestionKind
) -> None:
    assert of_rejection(code, q850, reason) == "congested"
    assert of_congestion(code, q850, reason) == kind


@pytest.mark.parametrize(
    ("code", "q850", "reason", "expected"),
    [
        (486, None, "Call limit of this subscriber", "busy"),
        (600, None, "Too many calls", "busy"),
        (603, None, "Capacity", "declined"),
        (404, None, "No circuit to this number", "invalid-number"),
        (408, None, "Capacity", "no-answer"),
        (302, None, "Capacity", "failed"),
        (400, None, "Call limit", "failed"),
        (503, 17, "Channel limit", "busy"),
        (500, 1, "Channel limit", "invalid-number"),
        (480, None, "Temporarily unavailable", "no-answer"),
        (403, None, "Forbidden", "failed"),
    ],
)
def test_what_the_callee_or_the_number_decided_is_not_read_as_a_full_trunk(
    code: int, q850: int | None, reason: str, expected: Disposition
) -> None:
    assert of_rejection(code, q850, reason) == expected


def test_what_an_operator_says_goes_before_everything_the_most_particular_first() -> None:
    table = read_outcome_table(
        [
            ("sip:480", "busy"),
            ("q850:18", "declined"),
            ("text:no such", "invalid-number"),
            ("text:no", "blocked"),
        ]
    )
    assert of_rejection(480, None, "", table) == "busy"
    assert of_rejection(480, 17, "", table) == "busy"
    assert of_rejection(480, 18, "", table) == "declined"
    assert of_rejection(480, 18, "There is  NO SUCH number", table) == "invalid-number"
    assert of_rejection(480, 18, "nobody", table) == "blocked"
    assert of_rejection(486, None, "", table) == "busy"
    assert of_rejection(503, 19, "", table) == "no-answer"


def test_an_operator_may_let_a_refusal_mean_congestion() -> None:
    table = read_outcome_table([("sip:486", "congested"), ("text:come back", "congested")])
    assert of_rejection(486, 17, "", table) == "congested"
    assert of_congestion(486, 17, "") == "either"
    assert of_rejection(403, None, "Come back later", table) == "congested"


@pytest.mark.parametrize(
    ("what", "disposition", "expected"),
    [
        ("sip:487", "no-answer", OutcomeRule("sip", 487, "no-answer")),
        ("q850:3", "invalid-number", OutcomeRule("q850", 3, "invalid-number")),
        ("q850:127", "failed", OutcomeRule("q850", 127, "failed")),
        ("text:Channel  Limit", "congested", OutcomeRule("text", "channel limit", "congested")),
        ("text: a:b ", "busy", OutcomeRule("text", "a:b", "busy")),
        (" sip : 300 ", "failed", OutcomeRule("sip", 300, "failed")),
    ],
)
def test_an_outcome_is_read(what: str, disposition: str, expected: OutcomeRule) -> None:
    assert parse_outcome(what, disposition) == expected


@pytest.mark.parametrize(
    ("what", "disposition", "code"),
    [
        ("sip:200", "failed", "invalid_sip_code"),
        ("sip:700", "failed", "invalid_sip_code"),
        ("sip:4860", "failed", "invalid_sip_code"),
        ("sip:٤٨٦", "failed", "invalid_sip_code"),
        ("sip:", "failed", "invalid_sip_code"),
        ("q850:128", "failed", "invalid_q850_cause"),
        ("q850:-1", "failed", "invalid_q850_cause"),
        ("text:", "failed", "invalid_text"),
        ("text:  ", "failed", "invalid_text"),
        ("text:" + "x" * 101, "failed", "invalid_text"),
        ("text:a\0b", "failed", "invalid_text"),
        ("486", "failed", "unknown_outcome"),
        ("isup:3", "failed", "unknown_outcome"),
        ("sip:486", "answered", "invalid_disposition"),
        ("sip:486", "skipped", "invalid_disposition"),
        ("sip:486", "nonsense", "invalid_disposition"),
    ],
)
def test_an_outcome_that_cannot_be_is_refused(what: str, disposition: str, code: str) -> None:
    with pytest.raises(InvalidOutcome) as caught:
        parse_outcome(what, disposition)
    assert caught.value.code == code


def test_a_table_holds_each_refusal_once_and_not_too_many() -> None:
    twice = [OutcomeRule("sip", 486, "busy"), OutcomeRule("sip", 486, "failed")]
    many = [OutcomeRule("text", f"words {n}", "busy") for n in range(OUTCOMES_MAX + 1)]
    for rules, code in ((twice, "duplicate_outcome"), (many, "too_many_outcomes")):
        with pytest.raises(InvalidOutcome) as caught:
            make_outcome_table(rules)
        assert caught.value.code == code
    assert len(make_outcome_table(many[:-1]).by_text) == OUTCOMES_MAX
    assert make_outcome_table([]) == AS_EVERYWHERE == OutcomeTable()


def test_whatever_is_refused_becomes_something_that_a_refusal_can_be() -> None:
    for code in range(300, 700):
        for q850 in (None, *range(128)):
            assert of_rejection(code, q850) in REFUSALS
