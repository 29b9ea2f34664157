"""What `docs/monitoring` watches is there, and what it warns of is explained."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import yaml  # type: ignore[import-untyped]
from prometheus_client.parser import text_string_to_metric_families

from engine.model.events import Event
from tests.api.test_metrics import events, make

DOCS = Path(__file__).parents[2] / "docs"
METRIC = re.compile(r"\b(?:callwheel|process)_\w+")


def find_exposed() -> set[str]:
    """Every name under which `/metrics` has a sample."""
    metrics = make([1])
    metrics.note(
        events(
            Event("attempt.ended", 1, "acc_1", "flw_1", "lst_1", data={"disposition": "busy"}),
            Event("contact.completed", 1, "acc_1", "flw_1", "lst_1", data={"disposition": "busy"}),
        )
    )
    return {
        sample.name
        for family in text_string_to_metric_families(metrics.show().decode())
        for sample in family.samples
    }


def find_queries() -> Iterator[str]:
    board = json.loads((DOCS / "monitoring" / "grafana.json").read_text())
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield target["expr"]
    for rule in read_rules():
        yield rule["expr"]


def read_rules() -> list[dict[str, str]]:
    [group] = yaml.safe_load((DOCS / "monitoring" / "alerts.yaml").read_text())["groups"]
    rules: list[dict[str, str]] = group["rules"]
    return rules


def test_every_query_asks_for_metrics_that_are_exposed() -> None:
    queries = list(find_queries())
    asked = {name for query in queries for name in METRIC.findall(query)}
    assert asked - find_exposed() == set()
    # A query that names none of ours could ask for anything.
    assert [query for query in queries if not METRIC.search(query)] == ['up{job="callwheel"} == 0']


def test_every_metric_of_ours_is_on_the_board_and_in_the_docs() -> None:
    told = (DOCS / "operations.md").read_text()
    board = (DOCS / "monitoring" / "grafana.json").read_text()
    ours = {
        re.sub(r"_(bucket|count|sum|created)$", "", name)
        for name in find_exposed()
        if name.startswith("callwheel_") and not name.endswith("_created")
    }
    assert {name for name in ours if name not in told} == set()
    assert {name for name in ours if name not in board} == set()


def test_every_alert_is_explained_where_operators_look_and_none_else_is() -> None:
    explained = re.findall(
        r"^\| `(Callwheel\w+)` \|", (DOCS / "operations.md").read_text(), re.MULTILINE
    )
    assert explained == [rule["alert"] for rule in read_rules()]
