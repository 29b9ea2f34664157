"""Letters to people, for every store."""

from __future__ import annotations

import msgspec
import pytest

from engine.model.letter import Attachment, Letter, letter_given_up
from tests.contract.store_samples import ACME, NOW, OTHER, Kit, all_pages


def make_letter(number: int, **changes: object) -> Letter:
    """Another letter for each number, due a second after the one before."""
    letter = Letter(
        id=f"ltr_{number}",
        key=f"pck_{number}",
        account=ACME,
        to="ada@example.com",
        subject="leads.csv was taken",
        text="All of it.\n",
        created_at=NOW + number,
        due_at=NOW + number,
        in_reply_to="<1@example.com>",
        attachments=(Attachment("rejected.csv", b"tel1\n"),),
    )
    return msgspec.structs.replace(letter, **changes)


async def test_a_letter_is_kept_once_for_what_it_is_about(kit: Kit) -> None:
    letter = make_letter(1)
    assert await kit.store.keep_letter(letter)
    assert not await kit.store.keep_letter(make_letter(2, key=letter.key))
    assert await kit.store.keep_letter(make_letter(3, key=letter.key, account=OTHER))
    assert await kit.store.due_letters(NOW + 2, 9) == [letter]
    with pytest.raises(LookupError):
        await kit.store.keep_letter(make_letter(4, account="acc_nowhere"))


async def test_letters_are_due_in_turn_until_they_are_done(kit: Kit) -> None:
    letters = [make_letter(number) for number in (3, 1, 2)]
    for letter in letters:
        await kit.store.keep_letter(letter)
    assert [one.id for one in await kit.store.due_letters(NOW + 9, 2)] == ["ltr_1", "ltr_2"]
    assert await kit.store.next_letter_at() == NOW + 1
    later = msgspec.structs.replace(letters[1], tries=1, due_at=NOW + 60, last="451 later")
    await kit.store.note_letter(later, None)
    sent = msgspec.structs.replace(letters[2], tries=1, due_at=None, state="sent", done_at=NOW + 3)
    await kit.store.note_letter(sent, None)
    assert await kit.store.due_letters(NOW + 60, 9) == [letters[0], later]
    assert await kit.store.next_letter_at() == NOW + 3


async def test_a_letter_that_is_given_up_is_told(kit: Kit) -> None:
    letter = make_letter(1, tries=9, due_at=None, state="given_up", last="550 no", done_at=NOW)
    await kit.store.keep_letter(make_letter(1))
    await kit.store.note_letter(letter, letter_given_up(letter, NOW))
    [told] = kit.events_of("letter.given_up")
    assert told["data"] == {
        "letter": "ltr_1",
        "to": "ada@example.com",
        "subject": "leads.csv was taken",
        "detail": "550 no",
    }
    assert await kit.store.next_letter_at() is None


async def test_letters_are_listed_without_what_is_attached_the_newest_first(kit: Kit) -> None:
    for number in range(1, 6):
        await kit.store.keep_letter(make_letter(number))
    await kit.store.keep_letter(make_letter(6, account=OTHER))
    listed = await all_pages(lambda *at: kit.store.list_letters(ACME, *at), 2)
    assert listed == [make_letter(number, attachments=()) for number in (5, 4, 3, 2, 1)]


async def test_letters_to_an_address_are_counted_from_a_moment_on(kit: Kit) -> None:
    for number in range(1, 5):
        await kit.store.keep_letter(make_letter(number))
    await kit.store.keep_letter(make_letter(5, to="bob@example.com"))
    assert await kit.store.count_letters(ACME, "ada@example.com", NOW + 2) == 3
    assert await kit.store.count_letters(OTHER, "ada@example.com", NOW) == 0


async def test_letters_that_are_done_are_forgotten_by_and_by(kit: Kit) -> None:
    for number in range(1, 5):
        done_at = NOW + number if number < 4 else None
        await kit.store.keep_letter(make_letter(number, done_at=done_at, due_at=None))
    assert await kit.store.clear_letters(NOW + 3, 1) == 1
    assert await kit.store.clear_letters(NOW + 3, 9) == 1
    left = await all_pages(lambda *at: kit.store.list_letters(ACME, *at), 9)
    assert [one.id for one in left] == ["ltr_4", "ltr_3"]
