"""The messages of RFC 4475 and RFC 5118, where a copy of them is at hand: none gets more out of us
than the typed error."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest

from adapters.sip.core import SipCore
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.message import SipParseError, parse

FOLDER = Path(
    os.environ.get(
        "CALLWHEEL_SIP_TORTURE",
        Path(__file__).parents[4] / ".." / "shared" / "data" / "sip-torture",
    )
)
MESSAGES = sorted(FOLDER.glob("rfc*/*.dat"))
VIEWS = (
    "branch", "from_tag", "to_tag", "from_addr", "to_addr", "cseq", "vias", "top_via", "contact",
    "content_type",
)  # fmt: skip
CPU_S_MAX = 0.25
"""A message takes well under a millisecond; this much is said of nothing but a search gone wild."""

pytestmark = pytest.mark.skipif(
    not MESSAGES, reason="no torture messages: point CALLWHEEL_SIP_TORTURE to a folder of them"
)


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_a_torture_message_is_read_or_refused_in_bounded_time(path: Path) -> None:
    data = path.read_bytes()
    began = time.thread_time()
    with contextlib.suppress(SipParseError):
        message = parse(data)
        for view in VIEWS:
            with contextlib.suppress(SipParseError):
                getattr(message, view)
    assert time.thread_time() - began < CPU_S_MAX


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_a_torture_message_cannot_disturb_the_core(path: Path) -> None:
    core = SipCore(b"secret", frozenset({"192.0.2.70"}))
    for source in (Hop("192.0.2.70", 5060), Hop("203.0.113.5", 5060)):
        core.receive(path.read_bytes(), source, 0.0)
    statistics = core.statistics()
    assert (statistics.faults, statistics.calls_kept, core.take_faults()) == (0, 0, [])
    for data, _ in core.datagrams_to_send():
        assert data.startswith(b"SIP/2.0 ")
