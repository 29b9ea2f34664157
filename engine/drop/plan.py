"""What to do next at a place where lists are dropped. Pure: it decides from what lies there, from what lay
there before, and from what is known to have been picked up.

The life of a file:

    growing ──► still ──► read ──► taken ───► removed, reported, told ──► done
       ▲          │         │  └─► refused ─► moved, reported, told ───► done
       └──────────┴─────────┘ it has changed

A file is still when two visits, the flow's `every_s` apart, find it with the same size and time of change. It
is read, and known again by its mark, also by a later run: what was taken before is only removed.
`engine.model.pickup` has the steps after that, each of which is done again until it is written down as done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct, structs

from engine.model.pickup import FileMark, Pickup
from engine.ports.drops import NAME_BYTES_MAX, FileEntry, Listing, ReadFile

FILES_MAX: Final = 20
"""Files that are read at one visit; the others are for the next."""
LEFT_MAX: Final = 1_000
"""Pick-ups of a place that are not done, at which no other file is taken: nobody could tell them apart."""
STRAYED_S: Final = 30 * 86_400.0
"""For how long the files of a place are known to which a flow goes no more: it may come back."""
UNFINISHED_SUFFIXES: Final = (".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", "~")
"""Of names under which programs write a file before they rename it."""

RETRY_S_MAX: Final = 600.0
RETRY_DOUBLINGS_MAX: Final = 16
SPREAD: Final = 0.1
"""By which share of it a wait is longer at the most, so that places are not all visited at once."""

Finding = Literal["changed", "too_large", "known", "new"]


class Seen(Struct, frozen=True):
    """A file, and since when it has been as it is."""

    entry: FileEntry
    since: float
    """Seconds since the epoch."""


class Plan(Struct, frozen=True):
    """What one visit does with what it found."""

    gone: tuple[Pickup, ...]
    """Whose files are not there any more."""
    strayed: tuple[Pickup, ...]
    """That came from another place than the flow's present one; nothing can be done about them there."""
    left: tuple[Pickup, ...]
    """Of this place, with something left to be done."""
    read: tuple[FileEntry, ...]
    """What is to be read, in this order."""
    growing: int
    """Files that may not be complete."""
    later: int
    """Files that are still and must wait."""


def make_plan(
    listing: Listing,
    before: Mapping[str, Seen],
    left: Sequence[Pickup],
    place: str,
    taking: Literal["all", "known"],
    still_since: float,
) -> Plan:
    """What to do.

    Args:
        listing: what lies there.
        before: what lay there at the last visit, by name, as `see` has it.
        left: the flow's pick-ups of this door that are not done.
        place: where it is.
        taking: `known` leaves files where they are that were not picked up yet.
        still_since: what has not changed since this moment, or longer, is complete.
    """
    of_place = [one for one in left if one.place == place]
    there = {(file.name, file.size, file.modified_ns) for file in listing.files}
    waiting = {key_of(one) for one in of_place if one.removed_at is None}
    candidates = [file for file in listing.files if not is_unfinished(file.name)]
    still = [file for file in candidates if _is_still(file, before, still_since)]
    fresh = [file for file in still if _key(file) not in waiting]
    known = [file for file in still if _key(file) in waiting]
    if taking == "known" or len(of_place) >= LEFT_MAX:
        takes: list[FileEntry] = []
    else:
        takes = sorted(fresh, key=lambda file: (file.modified_ns, file.name))
    # What cannot be removed must not keep others from being taken.
    read = (*takes, *known)[:FILES_MAX]
    return Plan(
        gone=tuple(
            one
            for one in of_place
            if one.removed_at is None and listing.is_complete and key_of(one) not in there
        ),
        strayed=tuple(one for one in left if one.place != place),
        left=tuple(of_place),
        read=read,
        growing=len(listing.files) - len(still),
        later=len(still) - len(read),
    )


def see(listing: Listing, before: Mapping[str, Seen], now: float) -> dict[str, Seen]:
    """What lies there, by name, and since when each file has been as it is."""
    fresh = {file.name: Seen(file, now) for file in listing.files}
    return {
        name: structs.replace(before[name], since=min(before[name].since, now))  # the clock was set
        if name in before and before[name].entry == one.entry
        else one
        for name, one in fresh.items()
    }


def judge(entry: FileEntry, found: ReadFile, bytes_max: int, earlier: Pickup | None) -> Finding:
    """What a file is that was read.

    Args:
        entry: the file as it was listed.
        found: what was read.
        bytes_max: the size of the largest file that is taken.
        earlier: the pick-up with its mark that may not be removed.
    """
    if found.entry != entry:
        return "changed"
    if entry.size > bytes_max:
        return "known" if earlier is not None else "too_large"
    if len(found.data) != entry.size:
        return "changed"
    return "known" if earlier is not None else "new"


def mark_of(entry: FileEntry, sha256: bytes) -> FileMark:
    """What a file is known by."""
    return FileMark(entry.name, entry.size, entry.modified_ns, sha256)


def entry_of(mark: FileMark) -> FileEntry:
    """The file that has this mark, as it is listed."""
    return FileEntry(mark.name, mark.size, mark.modified_ns)


def key_of(pickup: Pickup) -> tuple[str, int, int]:
    """What of a pick-up's file a listing shows."""
    return _key(entry_of(pickup.file))


def is_unfinished(name: str) -> bool:
    """Whether a name says that its file is being written."""
    return name.lower().endswith(UNFINISHED_SUFFIXES)


def name_beside(pickup: Pickup, suffix: str) -> str:
    """The name of a file that goes with a pick-up: the same each time, and no other's."""
    tail = f".{pickup.list or pickup.id}{suffix}"
    stem = pickup.file.name.encode()[: NAME_BYTES_MAX - len(tail.encode())]
    return stem.decode(errors="ignore") + tail


def wait_s(every_s: float, failures: int, chance: float) -> float:
    """How long until the next visit.

    Args:
        every_s: the flow's setting.
        failures: visits in a row that went wrong.
        chance: 0 to 1.
    """
    doubled = every_s * 2.0 ** min(failures, RETRY_DOUBLINGS_MAX)
    longest = max(every_s, RETRY_S_MAX)
    return min(doubled, longest) * (1 + SPREAD * chance)


def _is_still(file: FileEntry, before: Mapping[str, Seen], since: float) -> bool:
    seen = before.get(file.name)
    return seen is not None and seen.entry == file and seen.since <= since


def _key(file: FileEntry) -> tuple[str, int, int]:
    return (file.name, file.size, file.modified_ns)
