"""Where a trunk redirects a call to, and whether it is followed there: once for each number, and only to
where calls may go."""

from __future__ import annotations

from msgspec import Struct

from engine.intake.numbers import NumberProblem, read_number
from engine.model import Contact


class NotFollowed(Struct, frozen=True):
    """A redirection that leads nowhere."""

    reason: str
    """One sentence for a person."""


def find_detour(
    redirected_to: str, contact: Contact, dialed: str, destinations: tuple[str, ...]
) -> str | NotFollowed:
    """The number that a contact is called at next, E.164.

    Args:
        redirected_to: as the trunk named it.
        dialed: the number that was redirected.
        destinations: prefixes that may be called.
    """
    number = read_number(redirected_to, destinations)
    if isinstance(number, NumberProblem):
        return NotFollowed(number.detail)
    if contact.detoured:
        return NotFollowed("The number was redirected before.")
    if number == dialed:
        return NotFollowed("It leads to the same number.")
    if number in contact.tel:
        return NotFollowed("It leads to another of the contact's numbers, which has its own turn.")
    if number in contact.dead:
        return NotFollowed("It leads to a number that was found to be invalid.")
    return number
