"""One visit to a place where lists are dropped: what the plan says is done here, step by step.

What a crash interrupts is done again at the next visit. The file is removed after the commit that made its
list, and known by its mark until then; reports have the same name each time, and letters the same key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, Literal

import structlog
import trio
from msgspec import Struct, field, structs

from engine.drop.plan import (
    LEFT_MAX,
    STRAYED_S,
    Plan,
    Seen,
    entry_of,
    judge,
    make_plan,
    mark_of,
    name_beside,
    see,
)
from engine.ids import IdSource
from engine.intake.answer import write_receipt, write_refusal
from engine.intake.receipt import Receipt
from engine.intake.refused import Refused
from engine.intake.rejected_file import write_rejected_file
from engine.intake.submission import Intake
from engine.intake.table import FILE_BYTES_MAX
from engine.model import Flow
from engine.model.drop_settings import Door, DropSettings, place_of
from engine.model.letter import Attachment
from engine.model.pickup import FileMark, Pickup, Step, file_refused, steps_left
from engine.ports.clock import WallClock
from engine.ports.drops import DropFailed, Drops, DropSession, FileEntry, ReadFile
from engine.ports.holder import Holder
from engine.ports.store import Store
from engine.ports.stored import Conflict, PickedUp
from engine.ports.workers import WorkerFailed, WorkersBusy

VISIT_S_MAX: Final = 300.0
"""How long a visit may take."""
READINGS_MAX: Final = 3
"""How often a file is given to a worker that breaks over it; then it is refused."""

log = structlog.get_logger(__name__)


class Memory(Struct):
    """What is remembered of a door from one visit to the next; a crash may forget it."""

    place: str = ""
    before: dict[str, Seen] = field(default_factory=dict)
    """What lay there at the last visit, by name."""
    broken: Counter[FileEntry] = field(default_factory=Counter)
    """How often a worker broke over a file."""
    growing: int = 0
    later: int = 0
    passed_over: int = 0


class VisitServices(Struct, frozen=True):
    """What every visit works with."""

    store: Store
    intake: Intake
    clock: WallClock
    ids: IdSource
    drops: Drops
    holder: Holder


async def visit(
    services: VisitServices, flow: Flow, door: Door, setting: DropSettings, memory: Memory
) -> DropFailed | None:
    """Go to the place that a flow's setting points to, and do what there is to be done; what went wrong, the
    first of it. Raises `StoreUnavailable`."""
    place = place_of(setting)
    if memory.place != place:
        memory.place, memory.before, memory.broken = place, {}, Counter()
    try:
        with trio.fail_after(VISIT_S_MAX):
            async with services.drops.open(setting, flow.account) as session:
                return await _Visit(services, flow, door, session, memory).run(setting.every_s)
    except DropFailed as failed:
        return failed
    except trio.TooSlowError:
        return DropFailed("timeout", f"The visit took longer than {VISIT_S_MAX:g} s.")


class _Visit:
    """One visit."""

    def __init__(
        self,
        services: VisitServices,
        flow: Flow,
        door: Door,
        session: DropSession,
        memory: Memory,
    ) -> None:
        self._services = services
        self._store = services.store
        self._flow = flow
        self._door = door
        self._session = session
        self._memory = memory
        self._problem: DropFailed | None = None

    async def run(self, every_s: float) -> DropFailed | None:
        """What went wrong with files, the first of it. Raises `DropFailed` where nothing more can be done."""
        now = self._services.clock.now()
        flow, memory = self._flow, self._memory
        listing = await self._session.list_incoming()
        left = await self._store.pickups_left(flow.account, flow.id, self._door, 2 * LEFT_MAX)
        taking: Literal["all", "known"] = "all" if flow.listener_active else "known"
        plan = make_plan(listing, memory.before, left, memory.place, taking, now - every_s)
        memory.before = see(listing, memory.before, now)
        memory.growing, memory.later = plan.growing, plan.later
        memory.passed_over = listing.passed_over
        for broken in set(memory.broken).difference(listing.files):
            del memory.broken[broken]
        if len(plan.left) >= LEFT_MAX:
            detail = (
                f"{LEFT_MAX} files that were taken could not be removed; nothing more is taken."
            )
            self._note(DropFailed("no_rights", detail))
        await self._take_all(plan)
        await self._finish_left(plan)
        return self._problem

    async def _take_all(self, plan: Plan) -> None:
        for entry in plan.read:
            try:
                pickup = await self._take(entry)
                if pickup is not None:
                    await self._finish(pickup, steps_left(pickup))
            except DropFailed as failed:
                self._note(failed)
                if not failed.is_of_file:
                    raise

    async def _finish_left(self, plan: Plan) -> None:
        """Do what earlier visits left to be done."""
        now = self._services.clock.now()
        for pickup in plan.strayed:
            await self._leave(pickup, now)
        gone_ids = {one.id for one in plan.gone}
        read = {(one.name, one.size, one.modified_ns) for one in plan.read}
        for pickup in plan.left:
            mark = pickup.file
            if (mark.name, mark.size, mark.modified_ns) in read:
                continue  # it was seen to just now
            if pickup.id in gone_ids:
                pickup = structs.replace(pickup, removed_at=now)
                await self._store.note_pickup_steps(pickup)
            # The file itself is removed only where it was read in this visit, and is the one it was.
            steps = tuple(step for step in steps_left(pickup) if step != "remove")
            await self._finish(pickup, steps)

    async def _leave(self, pickup: Pickup, now: float) -> None:
        """See to a pick-up of a place where the flow goes no more. It is known for a while: who comes back
        must not find its file new."""
        is_over = now - pickup.at >= STRAYED_S
        if pickup.reported_at is None or pickup.told_at is None or is_over:
            steps: tuple[Step, ...] = ("tell",) if pickup.told_at is None else ()
            left = structs.replace(
                pickup,
                removed_at=pickup.removed_at or (now if is_over else None),
                reported_at=pickup.reported_at or now,
            )
            await self._store.note_pickup_steps(left)
            await self._finish(left, steps)

    async def _take(self, entry: FileEntry) -> Pickup | None:
        """The pick-up of a file, made now or before; None where it is left for later."""
        flow = self._flow
        if entry.size > FILE_BYTES_MAX:
            found = ReadFile(entry, b"", b"")
        else:
            found = await self._session.read(entry.name, FILE_BYTES_MAX)
        mark = mark_of(entry, found.sha256)
        earlier = await self._store.find_pickup(flow.account, flow.id, self._memory.place, mark)
        finding = judge(entry, found, FILE_BYTES_MAX, earlier)
        if finding == "known":
            return earlier
        if finding == "changed":
            self._memory.before.pop(entry.name, None)
            return None
        if not flow.listener_active:
            return None
        if finding == "too_large":
            detail = f"It is larger than {FILE_BYTES_MAX >> 20} MB."
            return await self._refuse(mark, Refused("file_too_large", detail))
        return await self._submit(mark, entry, found.data)

    async def _submit(self, mark: FileMark, entry: FileEntry, data: bytes) -> Pickup | None:
        made: list[Pickup] = []

        def make(receipt: Receipt) -> Pickup:
            call_list = receipt.call_list
            pickup = structs.replace(
                self._make_pickup(mark, write_receipt(receipt, self._flow.timezone)),
                list=call_list.id,
                rejected=call_list.report.rejected,
            )
            made.append(pickup)
            return pickup

        try:
            await self._services.intake.submit_file(
                self._flow, name=mark.name, data=data, source=self._door, pickup_for=make
            )
        except PickedUp as earlier:
            return earlier.pickup
        except Refused as refused:
            # The listener was switched off meanwhile: the file is there when it is on again.
            is_left = refused.code == "listener_inactive"
            return None if is_left else await self._refuse(mark, refused)
        except Conflict as conflict:
            is_left = conflict.code == "flow_deleted"
            return None if is_left else await self._refuse(mark, conflict)
        except WorkerFailed as failed:
            return await self._note_broken(mark, entry, failed)
        return made[-1]

    async def _note_broken(
        self, mark: FileMark, entry: FileEntry, failed: WorkerFailed
    ) -> Pickup | None:
        if isinstance(failed, WorkersBusy):  # which says nothing of this file
            raise DropFailed("failed", f"{mark.name!r} waits: {failed}.") from failed
        broken = self._memory.broken
        broken[entry] += 1
        log.warning("a worker broke over a file", flow=self._flow.id, reason=str(failed))
        if broken[entry] < READINGS_MAX:
            raise DropFailed("failed", f"{mark.name!r} could not be read just now.") from failed
        return await self._refuse(mark, Refused("unreadable", "It cannot be read."))

    async def _refuse(self, mark: FileMark, refusal: Refused | Conflict) -> Pickup:
        """Keep a file of which nothing is taken; its pick-up, made now or before."""
        pickup = structs.replace(
            self._make_pickup(mark, write_refusal(mark.name, refusal)), code=refusal.code
        )
        event = file_refused(self._flow, pickup, refusal.detail)
        return await self._store.keep_refusal(pickup, event) or pickup

    def _make_pickup(self, mark: FileMark, report: str) -> Pickup:
        services, flow = self._services, self._flow
        id_, now = services.ids.new("pck"), services.clock.now()
        return Pickup(id_, flow.account, flow.id, self._door, self._memory.place, mark, now, report)

    async def _finish(self, pickup: Pickup, steps: tuple[Step, ...]) -> None:
        """Do some steps of a pick-up, each as far as it can be done, and write down what was."""
        done: dict[str, float] = {}
        lost: DropFailed | None = None
        for step in steps:
            try:
                if await self._do(step, pickup):
                    done[_FIELDS[step]] = self._services.clock.now()
            except DropFailed as failed:
                self._note(failed)
                if not failed.is_of_file:
                    lost = failed
                    break
        if done:
            await self._store.note_pickup_steps(structs.replace(pickup, **done))
        if lost is not None:
            raise lost

    async def _do(self, step: Step, pickup: Pickup) -> bool:
        """Whether it is done for good."""
        if step == "remove":
            to = None if pickup.list is not None else name_beside(pickup, "")
            return await self._session.take_away(entry_of(pickup.file), to)
        if step == "report":
            await self._put_report(pickup)
        else:
            await self._tell(pickup)
        return True

    async def _put_report(self, pickup: Pickup) -> None:
        text = pickup.report
        rejected = await self._write_rejected(pickup)
        if rejected is not None:
            name = name_beside(pickup, ".csv")
            await self._session.put("rejected", name, rejected)
            text += f"\nThe rows that were not taken are in rejected/{name}\n"
        await self._session.put("reports", name_beside(pickup, ".txt"), text.encode())

    async def _tell(self, pickup: Pickup) -> None:
        rejected = await self._write_rejected(pickup)
        attachments = (
            () if rejected is None else (Attachment(name_beside(pickup, ".csv"), rejected),)
        )
        what = "was taken" if pickup.list is not None else "was refused"
        subject = f"{pickup.file.name} {what} ({self._flow.name})"
        await self._services.holder.tell(
            pickup.account, pickup.id, subject, pickup.report, attachments
        )

    async def _write_rejected(self, pickup: Pickup) -> bytes | None:
        """The rows of a list that were not taken, as a CSV; None where there are none."""
        if pickup.list is None:
            return None
        return await write_rejected_file(self._store, pickup.account, pickup.list, pickup.rejected)

    def _note(self, failed: DropFailed) -> None:
        self._problem = self._problem or failed


_FIELDS: Final[Mapping[Step, str]] = {
    "remove": "removed_at",
    "report": "reported_at",
    "tell": "told_at",
}
