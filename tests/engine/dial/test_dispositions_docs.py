"""docs/dispositions.md says what the tables say."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from engine.dial.attempts.lifecycle import FINAL_STATUS
from engine.model import RetriedDisposition
from engine.model.disposition import (
    BUDGET_KEPT,
    BY_Q850_CAUSE,
    BY_SIP_CODE,
    CONGESTION_TEXTS,
    OUTCOMES_MAX,
    REFUSALS,
    TEXT_CODES,
    TEXT_LENGTH_MAX,
    Disposition,
    OutcomeTable,
    of_congestion,
    of_rejection,
    read_outcome_table,
)
from engine.schedule.retry import STALLS_MAX

PAGE = Path(__file__).parents[3] / "docs" / "dispositions.md"


def outcomes() -> str:
    """What each disposition comes from, and what it costs."""
    lines = [
        "| disposition | SIP | Q.850 | attempt's status | budget | may be in `retry` |",
        "|---|---|---|---|---|---|",
    ]
    for disposition in get_args(Disposition):
        codes = " ".join(str(c) for c, d in BY_SIP_CODE.items() if d == disposition)
        causes = " ".join(str(c) for c, d in BY_Q850_CAUSE.items() if d == disposition)
        budget = "kept" if disposition in BUDGET_KEPT else "spent"
        retried = "yes" if disposition in get_args(RetriedDisposition) else ""
        status = FINAL_STATUS[disposition]
        lines.append(
            f"| `{disposition}` | {codes} | {causes} | `{status}` | {budget} | {retried} |"
        )
    return "\n".join(lines)


def texts() -> str:
    """The words by which trunks say that they are full."""
    lines = ["| it lacks | words |", "|---|---|"]
    for kind, words in CONGESTION_TEXTS.items():
        lines.append(f"| {kind} | {' · '.join(f'`{one}`' for one in words)} |")
    return "\n".join(lines)


def test_the_page_holds_the_table_of_outcomes() -> None:
    assert outcomes() in PAGE.read_text()


def test_the_page_holds_the_words_of_a_full_trunk() -> None:
    assert texts() in PAGE.read_text()


def test_the_page_names_the_statuses_whose_words_count() -> None:
    assert frozenset({403, 480, 488, *range(500, 600)}) == TEXT_CODES
    assert "Only beside 403, 480, 488 and 500 to 599" in PAGE.read_text()


def test_the_page_says_what_an_override_may_be() -> None:
    page = PAGE.read_text()
    assert " ".join(f"`{one}`" for one in sorted(REFUSALS)) in page
    assert f"at most {OUTCOMES_MAX} entries" in page
    assert f"1 to {TEXT_LENGTH_MAX} characters" in page


def test_the_page_says_when_a_number_is_given_up() -> None:
    page = " ".join(PAGE.read_text().split())
    assert f"given up after {STALLS_MAX} such calls in a row" in page
    assert f"{STALLS_MAX} of them in a row end the number as `congested`" in page


def examples() -> list[tuple[str, ...]]:
    """The rows of the page's examples: status, cause, words, override, disposition, what is lacking."""
    page = PAGE.read_text()
    rows = page[page.index("| status |") :].split("\n\n")[0].splitlines()[2:]
    return [tuple(cell.strip(" `") for cell in row.strip("|").split("|")) for row in rows]


@pytest.mark.parametrize("row", examples())
def test_every_example_of_the_page_is_true(row: tuple[str, ...]) -> None:
    status, cause, reason, override, expected, lacking = row
    q850 = int(cause) if cause else None
    what, _, meant = override.partition(" = ")
    table = read_outcome_table([(what, meant)]) if override else OutcomeTable()
    found = of_rejection(int(status), q850, reason, table)
    assert found == expected
    kind = of_congestion(int(status), q850, reason) if found == "congested" else ""
    assert kind == lacking
