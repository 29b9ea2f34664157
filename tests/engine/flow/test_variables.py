"""Variables in texts, addresses and JSON."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.flow.variables import (
    FILLED_LENGTH_MAX,
    URL_FILLED_LENGTH_MAX,
    Place,
    find_places,
    find_texts,
    has_loose_braces,
    initial_values,
    render,
    render_json,
    render_plain,
    render_url,
)
from engine.model.variable import Variable

VARIABLES = {"name": Variable("there"), "due": Variable(type="date"), "sum": Variable(type="money")}


def test_a_text_says_which_values_it_wants_and_how() -> None:
    assert find_places("{{ name }} {{due|day}} {{sum | money : EUR}} {{call.number}} {{a b}}") == [
        Place("{{ name }}", "name"),
        Place("{{due|day}}", "due", "day"),
        Place("{{sum | money : EUR}}", "sum", "money", "EUR"),
        Place("{{call.number}}", "call.number"),
        Place("{{a b}}", None),
    ]


def test_braces_without_a_place_are_noticed() -> None:
    texts = ("{{name}", "name}}", "{{name}} {", "{name}", "{{a}}}}")
    assert [has_loose_braces(text) for text in texts] == [True, True, False, False, True]


def test_a_call_begins_with_what_the_contact_brings_over_the_defaults() -> None:
    assert initial_values(VARIABLES, {"name": "Ada", "old": "x"}) == {
        "name": "Ada",
        "due": "",
        "sum": "",
        "old": "x",
    }


def test_a_text_is_spoken_by_types_and_by_what_it_says() -> None:
    values = {"name": "Ada", "due": "2030-03-03", "sum": "12.50"}
    text = "Hello {{name}}, {{sum|money:USD}} is due on {{due}}, or {{due|plain}}.{{nothing}}"
    assert render(text, values, VARIABLES) == (
        "Hello Ada, twelve dollars and fifty cents is due on March 3, 2030, or 2030-03-03."
    )


def test_a_value_is_no_text_that_is_filled_in_again_and_no_control_character() -> None:
    assert render("{{name}}", {"name": "{{due}}\x00\x1b[1m", "due": "x"}) == "{{due}} [1m"


def test_an_address_takes_values_as_nothing_but_text() -> None:
    filled = render_url("https://example.com/{{id}}?q={{name}}", {"id": "../x", "name": "a&b=ä #"})
    assert filled == "https://example.com/..%2Fx?q=a%26b%3D%C3%A4%20%23"


def test_an_address_is_not_led_astray_by_dots_nor_cut_in_the_middle_of_a_letter() -> None:
    assert render_url("https://h/acc/{{v}}/balance", {"v": ".."}) == "https://h/acc//balance"
    assert render_url("https://h/{{v}}", {"v": "a.b"}) == "https://h/a.b"
    filled = render_url("https://h/{{v}}", {"v": "é" * 4_096})
    assert len(filled) <= URL_FILLED_LENGTH_MAX
    assert filled.endswith(("%C3", "%A9"))


def test_json_keeps_its_shape_and_its_numbers() -> None:
    body = {"to": "{{name}}", "n": [1, None, "{{due}}!"], "{{name}}": True}
    assert render_json(body, {"name": "Ada", "due": "now"}) == {
        "to": "Ada",
        "n": [1, None, "now!"],
        "{{name}}": True,
    }
    assert list(find_texts({"a/b": ["x", {"c": "y"}]})) == [("/a~1b/0", "x"), ("/a~1b/1/c", "y")]


@given(st.text(), st.dictionaries(st.sampled_from(["a", "b"]), st.text()))
def test_any_text_is_filled_in_and_bounded(text: str, values: dict[str, str]) -> None:
    for filled in (render(text, values), render_plain(text, values)):
        assert len(filled) <= FILLED_LENGTH_MAX
