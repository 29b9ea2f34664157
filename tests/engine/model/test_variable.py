"""What a variable of each type takes."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.variable import VALUE_LENGTH_MAX, Variable, VariableType, find_fault

TAKEN: dict[VariableType, list[str]] = {
    "text": ["anything, 12.50 €"],
    "integer": ["0", "-12", "+7", "123456789012345678"],
    "number": ["3.5", "3,5", "-1200"],
    "money": ["12.50", "12,5", "1200"],
    "date": ["2030-12-31", "2028-02-29"],
    "time": ["09:30", "23:59:59"],
    "datetime": ["2030-12-31T09:30", "2030-12-31 09:30:00+05:30"],
    "digits": ["4711", "12-34 AB#*"],
    "phone": ["+14155550100", "020 7946-0018"],
}
REFUSED: dict[VariableType, list[str]] = {
    "text": ["x" * (VALUE_LENGTH_MAX + 1)],
    "integer": ["1.0", "1,000", "one", "٣", "1e5", "9" * 19],
    "number": ["1,200.50", "1e5", "nan", "inf", ".5"],
    "money": ["12.505", "$12", "1,200.50"],
    "date": ["31.12.2030", "2030-02-30", "20301231", "03/03/2030"],
    "time": ["9:30", "24:00", "09:30 pm"],
    "datetime": ["2030-12-31", "tomorrow", "2030-13-01T09:30", "2030-W01-1T09:30:00"],
    "digits": ["47.11", "é", ""],
    "phone": ["phone", "+", "1" * 40, "1......"],
}


@pytest.mark.parametrize("kind", get_args(VariableType))
def test_each_type_takes_its_values_and_no_others(kind: VariableType) -> None:
    variable = Variable(type=kind)
    refused = [text for text in REFUSED[kind] if text]
    assert [find_fault(variable, text) for text in TAKEN[kind]] == [None] * len(TAKEN[kind])
    assert [text for text in refused if find_fault(variable, text) is None] == []


@given(st.sampled_from(get_args(VariableType)), st.text())
def test_any_text_is_judged(kind: VariableType, text: str) -> None:
    fault = find_fault(Variable(type=kind), text)
    assert fault is None or len(fault) < 200
