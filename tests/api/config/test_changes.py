"""Which changes of a configuration hold at once, and which wait for a restart."""

from __future__ import annotations

import pytest

from api.config import KEYS, read_config
from api.config.changes import find_waiting_keys

OLD = '[[trunks]]\nname = "main"\nuri = "sip:192.0.2.1"\n'


@pytest.mark.parametrize(
    ("text", "waiting"),
    [
        (OLD, []),
        ("", []),
        (OLD.replace("main", "other") + "channels = 3\n", []),
        (OLD + '[[routes]]\nname = "r"\ntrunks = ["main"]\n', []),
        (
            'drain_s = 3\nlimits.channels = 7\nlimits.cps = 2\nlimits.destinations = ["+1"]\n'
            + OLD,
            [],
        ),
        ("limits.caps = [{calls = 3, per_s = 9}]\n" + OLD, []),
        (
            'data_dir = "elsewhere"\nlimits.account_calls_per_day = 9\nhttp.bind = "127.0.0.1:1"\n'
            "media.planes = 2\ndids.rest_s = 60\nlimits.channels = 7\n" + OLD,
            [
                "data_dir",
                "http.bind",
                "media.planes",
                "limits.account_calls_per_day",
                "dids.rest_s",
            ],
        ),
    ],
)
def test_what_waits_is_named(text: str, waiting: list[str]) -> None:
    found = find_waiting_keys(read_config(OLD, {}), read_config(text, {}))
    assert found == waiting
    assert set(found) <= set(KEYS)


def test_the_administrators_key_waits_and_is_not_shown() -> None:
    changed = read_config(OLD, {"CALLWHEEL_ADMIN_KEY": "a-secret"})
    assert find_waiting_keys(read_config(OLD, {}), changed) == ["CALLWHEEL_ADMIN_KEY"]
