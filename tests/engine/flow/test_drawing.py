"""A flow's graph as a picture."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from engine.flow.definition import read_definition
from engine.flow.drawing import draw

FLOW = {
    "start": "ask",
    "nodes": {
        "ask": {
            "type": "gather",
            "prompt": {"say": "1 < 2 & 3?"},
            "branches": {"1": "bye", "2": "bye", "*": "ask"},
            "otherwise": "bye",
        },
        "bye": {"type": "hangup"},
    },
}


def test_a_picture_names_every_node_and_what_leads_on() -> None:
    drawn = ET.fromstring(draw(read_definition(FLOW), "A & B"))
    texts = [(text.get("class"), text.text) for text in drawn.findall(".//{*}text")]
    assert texts == [
        ("label", "1, 2, otherwise"),
        ("label", "*"),
        ("name", "ask"),
        ("kind", "gather"),
        (None, "1 < 2 & 3?"),
        ("name", "bye"),
        ("kind", "hangup"),
        (None, None),
    ]
    assert [one.text for one in drawn.findall(".//{*}title")] == ["A & B"]
    assert [one.text for one in drawn.findall(".//{*}desc")] == [
        "A call begins with ask. ask (gather) – 1: bye, 2: bye, *: ask, otherwise: bye. "
        "bye (hangup) – the call ends."
    ]


def test_the_same_flow_gives_the_same_picture() -> None:
    definition = read_definition(FLOW)
    assert draw(definition, "x") == draw(definition, "x")


@given(st.text(min_size=1, max_size=60), st.text(max_size=60))
def test_no_text_breaks_the_picture_or_gets_a_script_into_it(text: str, title: str) -> None:
    said = text.replace("{", "(")
    raw = {"start": "a", "nodes": {"a": {"type": "say", "text": said.replace("}}", ")")}}}
    drawn = ET.fromstring(draw(read_definition(raw), title))
    assert {element.tag.rpartition("}")[2] for element in drawn.iter()} == {
        *("svg", "title", "desc", "style", "defs", "marker", "path", "rect", "g", "text")
    }
