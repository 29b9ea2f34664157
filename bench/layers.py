"""Where the time of a call goes, layer by layer: the arrangement of `dial` with py-spy beside it.

Usage: `python -m bench.layers [CALLS CPS [FILE]]`; the file keeps the stacks as py-spy writes them. It
needs py-spy, and the right to look into a process of one's own. The profiler stops the engine for each of
its looks, so that the shares are to be read, and the microseconds are those of an engine that is looked at.
Only who holds the interpreter is seen: what the kernel does meanwhile, as for the disk, is nobody's here.
"""

from __future__ import annotations

import re
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final

import trio
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from bench.dial import DIDS, SETTLE_S, Load, open_callee
from bench.installation import (
    make_config,
    make_csv,
    make_flow,
    open_installation,
    wait_completed,
)
from bench.processes import usage_alone

LOAD: Final = Load(6_000, 300)
RATE_HZ: Final = 250
"""Looks a second."""
OTHER: Final = "anything else"

LAYERS: Final[tuple[tuple[str, str], ...]] = (
    ("adapters/sip/wire/", "SIP: messages read and written"),
    ("adapters/sip/call/", "SIP: calls, dialogs, transactions"),
    ("adapters/sip/trace/", "SIP: what was said is kept"),
    ("adapters/sip/transport/", "SIP: sockets"),
    ("adapters/sip/", "SIP: the core, the pump and the port"),
    ("adapters/media/sdp/", "SIP: SDP"),
    ("adapters/media/", "the media plane's commands"),
    ("adapters/sqlite/", "the store"),
    ("engine/dial/", "engine: attempts and DIDs"),
    ("engine/schedule/", "engine: the scheduler"),
    ("engine/flow/", "engine: flows"),
    ("engine/", "engine: anything else"),
    ("api/", "HTTP"),
    ("site-packages/trio/", "trio itself"),
    ("site-packages/structlog/", "the log"),
    ("site-packages/hypercorn/", "HTTP"),
    ("site-packages/quart", "HTTP"),
    ("site-packages/h11/", "HTTP"),
)
"""What a file of a frame belongs to; the first that fits."""

_PLACE: Final = re.compile(r"\(([^()]*?)(?::\d+)?\)$")


class Profile(Struct, frozen=True):
    """What was seen of a load."""

    samples: Counter[str]
    """How often each layer was what ran."""
    cpu_us_per_call: float
    """Of the engine's own process, with the profiler beside it."""


def layer_of(stack: str) -> str:
    """The layer that a stack of py-spy's `raw` format (`outer (file:line);inner (file:line)`) was in:
    that of its innermost frame which is in one. What a layer calls outside of all of them is its own."""
    for frame in reversed(stack.split(";")):
        found = _PLACE.search(frame)
        if found is None:
            continue
        for part, layer in LAYERS:
            # Frames are shown from the root of the package on.
            if found[1].startswith(part) or f"/{part}" in found[1]:
                return layer
    return OTHER


def share_out(lines: Iterable[str]) -> Counter[str]:
    """How many samples fell into each layer, of py-spy's `raw` lines: a stack, a space, a count."""
    samples: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        if stack:
            samples[layer_of(stack)] += int(count)
    return samples


async def measure(load: Load, keep: Path | None = None) -> Profile:
    """Dial the load and look on. The stacks stay in `keep`, if that is given. Raises `FileNotFoundError`
    without py-spy."""
    program = shutil.which("py-spy", path=f"{Path(sys.executable).parent}:/usr/bin:/usr/local/bin")
    if program is None:
        raise FileNotFoundError("py-spy is not installed: pip install py-spy")
    definition = {"start": "bye", "nodes": {"bye": {"type": "hangup"}}}
    with tempfile.TemporaryDirectory(prefix="callwheel-bench-") as name:
        folder = Path(name)
        seen = folder / "profile.txt"
        async with open_callee(folder) as port:
            config = make_config(folder / "data", f"sip:127.0.0.1:{port}", cps=load.cps * 2)
            async with open_installation(folder, config) as engine:
                dids = {f"+1415555{n:04}": load.cps / DIDS for n in range(DIDS)}
                flow = await make_flow(engine.client, dids, definition=definition)
                await trio.sleep(SETTLE_S)
                pid = engine.child.pid
                command = [
                    *(program, "record", "--pid", str(pid), "--rate", str(RATE_HZ)),
                    *("--gil", "--full-filenames", "--format", "raw", "--output", str(seen)),
                ]
                async with trio.open_nursery() as nursery:
                    spy = await nursery.start(_run_spy, command)
                    before = usage_alone(pid)
                    view = await engine.client.upload_list(flow, "calls.csv", make_csv(load.calls))
                    await wait_completed(engine.client, view.id)
                    cpu_s = usage_alone(pid).since(before)
                    spy.send_signal(signal.SIGINT)
        samples = share_out(seen.read_text(encoding="utf-8").splitlines())
        if keep is not None:
            shutil.copy(seen, keep)
    return Profile(samples, cpu_s / load.calls * 1e6)


async def _run_spy(
    command: list[str], *, task_status: trio.TaskStatus[trio.Process] = trio.TASK_STATUS_IGNORED
) -> None:
    """Run the profiler until it has written what it saw."""
    # Nothing of what it says is read unless it fails.
    async with trio.open_nursery() as nursery:
        process = await nursery.start(
            partial(trio.run_process, command, capture_stdout=True, capture_stderr=True)
        )
        task_status.started(process)


def show(profile: Profile) -> None:
    """The table, the dearest layer first."""
    total = profile.samples.total()
    table = Table(title=f"{profile.cpu_us_per_call:,.0f} µs of a call, {total:,} looks")
    table.add_column("layer")
    table.add_column("share", justify="right")
    table.add_column("µs", justify="right")
    for layer, count in profile.samples.most_common():
        share = count / total
        table.add_row(layer, f"{share:.1%}", f"{share * profile.cpu_us_per_call:,.0f}")
    Console().print(table)


def main() -> None:
    """Measure what the arguments name, and show it."""
    given = sys.argv[1:]
    load = Load(*map(int, given[:2])) if len(given) > 1 else LOAD
    keep = Path(given[2]) if len(given) > 2 else None
    show(trio.run(measure, load, keep))


if __name__ == "__main__":
    main()
