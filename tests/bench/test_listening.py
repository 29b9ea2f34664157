"""What the benchmark of listening listens to."""

from __future__ import annotations

import pytest

from bench.listening import TASKS, Task, measure, prepare

STREAMS = 20


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_task_is_listened_to_until_the_end_and_finds_nothing(task: Task) -> None:
    listening = prepare(task, STREAMS)
    assert measure(listening, STREAMS, sound_s=1) > 0
    heard = (listening.rows, listening.presses, listening.events)
    assert heard == (0 if task.name == "nothing" else STREAMS, [], [])
