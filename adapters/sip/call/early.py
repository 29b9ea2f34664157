"""The early dialogs of an INVITE: one for each callee that a fork of it has reached (RFC 3261 §12.1,
§13.2.2.1), and what each has answered to our offer so far.

A dialog is worked out only when something needs it: a PRACK, a request of the callee's, or the 200.
Most calls ring and are answered without any of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from adapters.media import sdp
from adapters.media.types import Remote
from adapters.sip.call.dialog import Dialog, confirm, establish
from adapters.sip.call.reliable import is_next
from adapters.sip.wire.message import Response
from adapters.sip.wire.multipart import session_description

FORKS_MAX = 8
"""Dialogs of one INVITE. In more of them nothing is acknowledged, neither provisional responses nor
answers, and their callees give up by their own timers."""


class Fork(Struct, eq=False):
    """One callee that has not answered the call yet."""

    ringing: Response | None
    """Its last provisional response; None once the dialog is made from it."""
    dialog: Dialog | None = None
    rseq: int | None = None
    """The number of the last provisional response that was acknowledged."""
    is_answered: bool = False
    """Whether our offer has its answer, in a reliable provisional response. One that came in an
    unreliable response promises nothing: the 200 must repeat it (RFC 3261 §13.2.1)."""
    remote: Remote | None = None
    """Where that answer, or an UPDATE behind it, wants the media; None where it cannot be used. What a
    200 says beside it counts no more (RFC 3261 §13.2.1)."""

    is_lost: bool = False
    """Whether its callee refused an acknowledgement, or did not answer it. Its dialog still counts, in
    case that it answers the call all the same."""

    def takes(self, rseq: int) -> bool:
        """Whether a reliable provisional response is the next one, and not to be discarded."""
        return is_next(rseq, self.rseq)

    def take_answer(self, response: Response, read: Callable[[bytes], Remote]) -> None:
        """Note the answer to our offer that a reliable provisional response brings. The first counts,
        and what comes behind it is no answer any more."""
        body = session_description(response)
        if not body or self.is_answered:
            return
        self.is_answered = True
        try:
            self.remote = read(body)
        except sdp.SdpError:
            # A 200 may still bring one that can be used. If not, the call ends for want of media.
            self.remote = None


class Forks:
    """The forks of the INVITE that is out."""

    __slots__ = ("_by_tag", "_described", "_read", "_request_uri")

    def __init__(self, request_uri: bytes, read: Callable[[bytes], Remote]) -> None:
        """`read` reads an answer to our offer, and raises `sdp.SdpError`."""
        self._request_uri = request_uri
        self._read = read
        self._by_tag: dict[bytes, Fork] = {}
        self._described = b""
        """The last SDP of a provisional response, whichever fork's."""

    def hear(self, tag: bytes, response: Response) -> Fork | None:
        """Note a provisional response above 100; None where its fork is one too many or has no tag."""
        if response.body:
            self._described = session_description(response) or self._described
        fork = self._by_tag.get(tag)
        if fork is None:
            if not tag or len(self._by_tag) >= FORKS_MAX:
                return None
            fork = self._by_tag[tag] = Fork(response)
        elif fork.dialog is None:
            fork.ringing = response
        return fork

    def take_answer(self, fork: Fork, response: Response) -> None:
        """See `Fork.take_answer`."""
        fork.take_answer(response, self._read)

    def find(self, tag: bytes) -> Fork | None:
        """The fork whose callee has this tag."""
        return self._by_tag.get(tag)

    def dialog(self, fork: Fork) -> Dialog:
        """The early dialog of a fork."""
        if fork.dialog is None:
            ringing = fork.ringing
            assert ringing is not None
            fork.dialog = establish(ringing, self._request_uri, ringing.cseq.number)
            fork.ringing = None
        return fork.dialog

    def answer(self, tag: bytes, response: Response, cseq: int) -> tuple[Dialog, Remote | None]:
        """Take a 2xx to the INVITE with the number `cseq`: its dialog, which is the early one of its fork
        where that has been used, and where its callee wants the media, None where it cannot be used."""
        fork = self._by_tag.get(tag)
        if fork is None or fork.dialog is None:
            dialog = establish(response, self._request_uri, cseq)
        else:
            dialog = fork.dialog
            confirm(dialog, response)
        remote = fork.remote if fork is not None else None
        if remote is None:
            remote = self._described_in(response)
        self.settle()
        return dialog, remote

    def _described_in(self, response: Response) -> Remote | None:
        # Some carriers put the answer into the 183 alone, though §13.2.1 wants it in the 200 too.
        try:
            return self._read(session_description(response) or self._described)
        except sdp.SdpError:
            return None

    def lose(self, dialog: Dialog) -> bool:
        """A dialog cannot come to anything any more; whether it was the last one, so that nobody is left
        to answer the call."""
        for fork in self._by_tag.values():
            if fork.dialog is dialog:
                fork.is_lost = True
                return all(other.is_lost for other in self._by_tag.values())
        return False

    def dialogs(self) -> Iterator[Dialog]:
        """The early dialog of each fork."""
        return (self.dialog(fork) for fork in self._by_tag.values())

    def settle(self) -> None:
        """The call is answered or over. What has been counted in a dialog must still hold when its
        callee answers late; the rest is freed."""
        self._described = b""
        if self._by_tag:
            self._by_tag = {tag: fork for tag, fork in self._by_tag.items() if fork.dialog}

    def clear(self) -> None:
        """The INVITE was refused, and all its early dialogs with it (RFC 3261 §12.3)."""
        self._described = b""
        self._by_tag.clear()
