"""3xx: which number is told, and that the call ends either way."""

from __future__ import annotations

import pytest

from adapters.sip.call.redirect import redirected_to
from adapters.sip.wire.message import Response
from engine.ports.telephony import Ended
from tests.adapters.sip.lineup import Lineup


@pytest.mark.parametrize(
    ("contacts", "number"),
    [
        ([b"<sip:+14155550123@192.0.2.9>"], "+14155550123"),
        ([b'"New" <sips:+14155550123@example.com:5061;transport=tls>;expires=60'], "+14155550123"),
        ([b"<tel:+1-415-555-0123>"], "+14155550123"),
        ([b"tel:+14155550123"], "+14155550123"),
        ([b"<sip:%2B14155550123@192.0.2.9>"], "+14155550123"),
        ([b"<sip:+14155550123;npdi;rn=+14155550000@192.0.2.9;user=phone>"], "+14155550123"),
        ([b"<sip:4155550123@192.0.2.9>"], "4155550123"),
        ([b"<sip:+1@x>;q=0.2, <sip:+2@x>;q=0.9, <sip:+3@x>;q=0.9"], "+2"),
        ([b"<sip:+1@x>;q=0.2", b"<sip:+2@x>"], "+2"),
        ([b"<sip:+1@x>;q=high", b"<sip:+2@x>;q=0.001"], "+2"),
        ([b"<sip:alice@x>;q=1.0, <sip:+2@x>;q=0.1"], "+2"),
        ([b"<mailto:a@x>, <sip:+2@x>"], "+2"),
        ([b'<sip:+1@x>;q="0', b"<sip:+2@x>;q=0.1"], "+2"),
        ([b'<sip:+1@x>;q="0, ', b"<sip:+2@x>"], None),
        ([b"<sip:+1@x>;q=0.5;q=0.6", b"<sip:+2@x>;q=0.1"], "+2"),
        ([b"<sip:192.0.2.9>"], None),
        ([b"<sip:+1415555012345678@x>"], None),
        ([b"<sip:+141 5@x>"], None),
        ([b"<sip:\xd9\xa3@x>"], None),
        ([b"*"], None),
        ([], None),
    ],
)
def test_the_best_contact_with_a_number_is_told(contacts: list[bytes], number: str | None) -> None:
    assert redirected_to(Response({b"contact": contacts}, b"", 302, b"")) == number


@pytest.mark.parametrize(
    ("status", "number"), [(300, "+1"), (301, "+1"), (302, "+1"), (305, None), (380, None)]
)
def test_only_what_names_another_number_is_looked_at(status: int, number: str | None) -> None:
    assert redirected_to(Response({b"contact": [b"<sip:+1@x>"]}, b"", status, b"")) == number


@pytest.mark.parametrize(("follows_redirects", "number"), [(True, "+14155550123"), (False, None)])
def test_a_redirection_ends_the_call_and_is_told_where_the_trunk_may_redirect(
    follows_redirects: bool, number: str | None
) -> None:
    lineup = Lineup(follows_redirects=follows_redirects)
    _, invite = lineup.dial()
    lineup.respond(invite, 302, headers=((b"Contact", b"<sip:+14155550123@192.0.2.9>"),))
    assert lineup.methods() == [b"ACK"]
    assert lineup.events() == [
        Ended("rejected", 302, "Moved Temporarily", redirected_to=number),
    ]
    lineup.wait(33)
    assert (lineup.methods(), lineup.core.statistics().calls_kept) == ([], 0)
