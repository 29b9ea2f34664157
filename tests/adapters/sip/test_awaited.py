"""Who waits for which host."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adapters.sip.awaited import Awaited

_HOSTS = st.lists(st.sampled_from(("a", "b", "c")), max_size=3)


@given(st.lists(st.tuples(st.integers(0, 4), _HOSTS), max_size=40))
def test_it_knows_what_was_noted_last_and_keeps_nothing_else(
    notes: list[tuple[int, list[str]]],
) -> None:
    awaited: Awaited[int] = Awaited()
    last: dict[int, list[str]] = {}
    for waiting, hosts in notes:
        awaited.note(waiting, tuple(hosts))
        last[waiting] = hosts
    for host in "abc":
        assert set(awaited.waiting_for(host)) == {who for who in last if host in last[who]}
    assert len(awaited) == sum(bool(hosts) for hosts in last.values())
    assert set(awaited._by_host) == {host for hosts in last.values() for host in hosts}
