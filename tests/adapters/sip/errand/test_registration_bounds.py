"""What holds of a registration whatever the registrar answers."""

from __future__ import annotations

from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.sip.errand.errand import REQUESTS_PER_ERRAND_MAX
from adapters.sip.errand.registration import ERRANDS_PER_PAUSE_MAX, PAUSE_S_MIN
from adapters.sip.wire.message import Request
from tests.adapters.sip.dice import Dice
from tests.adapters.sip.errand.desk import CREDENTIALS, Headers, trunk_line
from tests.adapters.sip.errand.registering import Scene


@st.composite
def answers(draw: st.DrawFn) -> tuple[float, int, Headers] | None:
    """After how long, with what; None is silence."""
    if draw(st.integers(0, 9)) == 0:
        return None
    status = draw(
        st.sampled_from((100, 200, 200, 200, 401, 401, 401, 403, 407, 423, 423, 500, 503))
    )
    seconds = st.sampled_from((b"0", b"1", b"10", b"16", b"60", b"4000", b"86400", b"junk"))
    nonce = b"%d" % draw(st.integers(0, 5))
    stale = draw(st.sampled_from((b"", b", stale=true")))
    challenge = b'Digest realm="carrier", nonce="%b"%b' % (nonce, stale)
    headers = (
        (b"WWW-Authenticate", challenge),
        (b"Proxy-Authenticate", challenge),
        (b"Min-Expires", draw(seconds)),
        (b"Expires", draw(seconds)),
        (b"Retry-After", draw(seconds)),
        (b"Contact", b"<sip:x@y>;expires=" + draw(seconds)),
    )
    delay = draw(st.sampled_from((0.0, 0.01, 0.4, 5.0, 31.0)))
    # A script of nothing but provisional responses must still let time go by.
    return (delay if status >= 200 else max(delay, 0.4)), status, headers


@settings(max_examples=80, deadline=None)
@given(st.lists(answers(), min_size=1, max_size=12))
def test_whatever_a_registrar_answers_it_gets_a_bounded_number_of_requests(
    script: list[tuple[float, int, Headers] | None],
) -> None:
    """The script is repeated for an hour. From one errand to the second after it `PAUSE_S_MIN` goes by
    at least, and none has more than its three requests."""
    scene = Scene(chance=Dice())
    sent: set[bytes] = set()
    begun: list[float] = []
    step = 0
    end = scene.now + 3600

    def note(requests: list[Request]) -> Request | None:
        """Count what is no repetition, and give the last of it."""
        new = [r for r in requests if r.branch not in sent]
        sent.update(r.branch or b"" for r in new)
        return new[-1] if new else None

    while scene.now < end:
        request = scene.ask()
        latest = None
        if request is not None:
            begun.append(scene.now)
            latest = note([request])
        while latest is not None and scene.errands:
            answer = script[step % len(script)]
            step += 1
            if answer is None:
                scene.wait(33.0, scene.datagrams)
                break
            delay, status, headers = answer
            scene.wait(delay, scene.datagrams)
            if scene.errands:
                scene.respond(latest, status, *headers)
            latest = note(scene.requests()) or (latest if status < 200 else None)
        assert len(scene.errands) <= 1
        at = scene.next_wake(scene.registration.next_wake)
        assert at < inf
        scene.wait(max(at - scene.now, 0.0), scene.datagrams)
        note(scene.requests())
    most = REQUESTS_PER_ERRAND_MAX * ERRANDS_PER_PAUSE_MAX
    assert len(sent) <= most * (3600 / PAUSE_S_MIN + 1)
    assert len(sent) <= REQUESTS_PER_ERRAND_MAX * len(begun)
    pauses = [last - first for first, last in zip(begun, begun[2:], strict=False)]
    assert [pause for pause in pauses if pause < PAUSE_S_MIN * 0.999] == []


REALMS = st.sampled_from((b"carrier", b"Carrier", b"carrier ", b"other", b"", b"carrier.example"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from((401, 407)), st.lists(REALMS, max_size=3)), max_size=6))
def test_credentials_go_to_the_trunks_own_realm_and_to_no_other(
    challenges: list[tuple[int, list[bytes]]],
) -> None:
    scene = Scene(trunk_line(credentials=CREDENTIALS, realm=b"carrier"))
    answered: list[bytes] = []
    for status, realms in challenges:
        scene.wait(max(scene.registration.next_wake - scene.now, 0.0))
        request = scene.ask()
        while request is not None:
            answered += request.raw(b"authorization") + request.raw(b"proxy-authorization")
            name = b"WWW-Authenticate" if status == 401 else b"Proxy-Authenticate"
            scene.respond(
                request,
                status,
                *[(name, b'Digest realm="%b", nonce="n"' % realm) for realm in realms],
            )
            request = next(iter(scene.requests()), None)
    assert all(b'realm="carrier"' in value for value in answered)
    assert bool(answered) is any(b"carrier" in realms for _, realms in challenges)
