"""docs/lifecycle.md says what the tables say."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from engine.dial.attempts.lifecycle import FINAL_STATUS, LIVE, STEPS
from engine.model.disposition import BUDGET_KEPT, BY_Q850_CAUSE, BY_SIP_CODE, Disposition
from engine.model.events import EventType
from engine.schedule.retry import STALLS_MAX

PAGE = Path(__file__).parents[3] / "docs" / "lifecycle.md"


def diagram() -> str:
    """The life cycle as Mermaid draws it."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> initiated: intent committed"]
    lines += [f"    {a} --> {b}: {signal}" for (a, signal), b in STEPS.items()]
    ends = sorted(set(FINAL_STATUS.values()))
    lines += [f"    {status} --> {end}" for status in sorted(LIVE) for end in ends]
    lines += [f"    {end} --> [*]" for end in ends]
    return (
        "\n".join([*lines, "```"])
        .replace("in-progress", "in_progress")
        .replace("no-answer", "no_answer")
    )


def outcomes() -> str:
    """Disposition by what the wire said, and what it costs."""
    lines = ["| disposition | SIP | Q.850 | attempt's status | budget |", "|---|---|---|---|---|"]
    for disposition in get_args(Disposition):
        codes = " ".join(str(c) for c, d in BY_SIP_CODE.items() if d == disposition)
        causes = " ".join(str(c) for c, d in BY_Q850_CAUSE.items() if d == disposition)
        budget = "kept" if disposition in BUDGET_KEPT else "spent"
        status = FINAL_STATUS[disposition]
        lines.append(f"| `{disposition}` | {codes} | {causes} | `{status}` | {budget} |")
    return "\n".join(lines)


def test_the_page_holds_the_diagram_of_the_table() -> None:
    assert diagram() in PAGE.read_text()


def test_the_page_holds_the_table_of_outcomes() -> None:
    assert outcomes() in PAGE.read_text()


def test_the_page_says_when_a_number_is_given_up() -> None:
    assert f"given up after {STALLS_MAX} such calls in a row" in PAGE.read_text()


def test_the_page_names_every_event() -> None:
    text = PAGE.read_text()
    assert [one for one in get_args(EventType) if f"| `{one}` |" not in text] == []
