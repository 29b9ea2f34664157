"""The scheduler wakes for what there is to do, and for nothing else."""

from __future__ import annotations

import trio

from engine.ports.intake_store import NewList
from engine.schedule.feed import Work
from engine.schedule.scheduler import Scheduler
from tests.engine.made import EPOCH, call_list, did, flow
from tests.engine.world import VirtualClock, furnish, make_store, people


class _Steps(trio.abc.Instrument):
    """Counts the steps of one task by its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += task.name == self.name


async def test_calls_that_leave_and_end_do_not_wake_it_while_the_others_are_due_much_later(
    autojump_clock: object,
) -> None:
    store = make_store()
    await furnish(store, [flow()], [did()])
    taken: list[Work] = []
    driver = Scheduler(store, VirtualClock(), taken.append)
    due, later = people(3), people(4, due_at=EPOCH + 3_600)[3:]
    await store.accept_list(NewList(call_list(), [*due, *later]))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(driver.run, name="scheduler")
        await trio.sleep(1)
        steps = _Steps("scheduler")
        trio.lowlevel.add_instrument(steps)
        for work in taken:
            driver.note_calling(work)
            await trio.sleep(0.1)
            driver.finish(work)
            await trio.sleep(0.1)
        assert (len(taken), steps.count) == (3, 0)
        nursery.cancel_scope.cancel()
