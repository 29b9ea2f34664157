"""A disk that is full or read-only, and a database that somebody else has locked: whoever brings something is
told to come again, nobody is called, and all goes on by itself when the fault is gone."""

from __future__ import annotations

import errno
import smtplib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from email.message import EmailMessage
from math import ceil
from pathlib import Path
from time import gmtime, strftime
from typing import Any

import msgspec
import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families

from api.compose import SystemClock
from bench.free_ports import free_port
from bench.installation import POLL_S, Installation, make_config, make_flow, open_installation
from sim.carrier import Carrier, CarrierSettings
from sim.profile import BUILT_IN
from tests.sizes import size
from tests.system.power_cut.disk import ForgetfulDisk

GUARD_S = 200.0
DUE_IN_S = 8.0
"""By which a list is due during the fault: longer than any machine stands still between the two."""
LISTED = 4
SENDER = "ada@example.com"
ACCEPTED_BY = ("call", "upload", "folder", "mail")

pytestmark = pytest.mark.peer


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another process of the machine writes, and does not come to its end."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


class Scene(msgspec.Struct):
    """A running product with all doors open."""

    engine: Installation
    carrier: Carrier
    flow: str
    address: str
    mail_port: int
    incoming: Path
    turn: int = 0
    """Which fault it is: numbers and keys are new with each."""

    def number(self, serial: int) -> str:
        return f"+1415555{self.turn}{serial:03}"

    def rows(self, serial: int) -> bytes:
        return b"tel1\n" + self.number(serial).encode() + b"\n"

    async def ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.engine.admin_key}"}
        if key is not None:
            headers |= {"Content-Type": "application/json", "Idempotency-Key": key}
        return await self.engine.client._http.request(
            method,
            self.engine.url + path,
            headers=headers,
            body=None if body is None else msgspec.json.encode(body),
        )

    async def trigger(self) -> Any:
        path, body = f"/v1/flows/{self.flow}/calls", {"to": self.number(900)}
        return await self.ask("POST", path, body, f"key-{self.turn}")

    async def upload(self) -> tuple[int, str]:
        """Status and code of its refusal; 202 where it is taken."""
        try:
            await self.engine.client.upload_list(self.flow, "people.csv", self.rows(901))
        except Exception as refused:
            return getattr(refused, "status", 0), getattr(refused, "code", repr(refused))
        return 202, ""

    def send_mail(self) -> int:
        """The last status that the receiver gave."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = SENDER, self.address, "leads"
        message["Message-ID"] = f"<{self.turn}@example.com>"
        message.set_content("attached")
        rows = self.rows(902)
        message.add_attachment(rows, maintype="text", subtype="csv", filename="leads.csv")
        with smtplib.SMTP("127.0.0.1", self.mail_port, timeout=30) as client:
            try:
                client.send_message(message, SENDER, [self.address])
            except smtplib.SMTPResponseException as refused:
                return refused.smtp_code
        return 250

    async def metric(self, name: str) -> float:
        answer = await self.ask("GET", "/metrics")
        return sum(
            sample.value
            for family in text_string_to_metric_families(answer.body.decode())
            for sample in family.samples
            if sample.name == name
        )

    async def completed(self) -> int:
        return int(await self.metric("callwheel_contacts_total"))


async def until(is_so: Callable[[], Any]) -> None:
    """Another process has no event to wait for."""
    while not await is_so():  # noqa: ASYNC110
        await trio.sleep(POLL_S)


async def test_what_cannot_be_written_is_not_taken_nor_dialled_and_all_goes_on_by_itself(
    tmp_path: Path,
) -> None:
    disk = ForgetfulDisk(tmp_path / "data", tmp_path / "workshop")
    database = tmp_path / "data" / "callwheel.db"
    faults: list[Callable[[], AbstractContextManager[None]]] = [
        lambda: disk.failing(errno.ENOSPC),
        lambda: locked(database),
        lambda: disk.failing(errno.EROFS),
    ]
    faults = faults[: size(2, 3)]
    leads = tmp_path / "mounted" / "leads"
    leads.parent.mkdir()
    mail_port = free_port()
    extra = (
        f'[[folders]]\naccount = "default"\npath = "{leads.parent}"\n'
        f'[mail]\nbind = "127.0.0.1:{mail_port}"\ndomain = "lists.example.net"\n'
    )
    carrier = Carrier(CarrierSettings(bind="127.0.0.1:0", profile=BUILT_IN["quiet"]))
    with trio.fail_after(GUARD_S):
        async with trio.open_nursery() as nursery:
            _, port = await nursery.start(carrier.run)
            config = make_config(tmp_path / "data", f"sip:127.0.0.1:{port}", extra=extra)
            async with open_installation(tmp_path, config, disk.environment) as engine:
                settings = {
                    "folder": {"path": "leads", "every_s": 1},
                    "email_senders": [SENDER],
                }
                flow = await make_flow(engine.client, {"+14155550100": 100}, settings=settings)
                scene = Scene(engine, carrier, flow, "", mail_port, leads / "incoming")
                view = msgspec.json.decode((await scene.ask("GET", f"/v1/flows/{flow}")).body)
                scene.address = view["triggers"]["email"]
                await until(trio.Path(scene.incoming).is_dir)
                for scene.turn, fault in enumerate(faults):
                    await _go_through(scene, fault)
            nursery.cancel_scope.cancel()
    log = (tmp_path / "engine.log").read_text()
    said = [log.count(f'"event": "{event}"') for event in ("store_failing", "store_recovered")]
    assert said == [len(faults), len(faults)]


async def _go_through(scene: Scene, fault: Callable[[], AbstractContextManager[None]]) -> None:
    before, dialled = await scene.completed(), scene.carrier.statistics().invites
    due_at = ceil(SystemClock().now() + DUE_IN_S)  # the list names whole seconds
    due = strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(due_at))
    rows = [f"{scene.number(serial)},{due}" for serial in range(LISTED)]
    content = "\n".join(["tel1,starttime", *rows, ""]).encode()
    await scene.engine.client.upload_list(scene.flow, "soon.csv", content)
    with fault():
        assert SystemClock().now() < due_at, "the machine is too slow for this test"
        answer = await scene.trigger()
        problem = msgspec.json.decode(answer.body)
        assert (answer.status, problem["code"]) == (503, "store_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert await scene.upload() == (503, "store_unavailable")
        (scene.incoming / f"{scene.turn}.csv").write_bytes(scene.rows(903))
        mailed = await trio.to_thread.run_sync(scene.send_mail)
        ready = await scene.ask("GET", "/readyz")
        assert (ready.status, b"Nothing can be written down" in ready.body) == (503, True)
        assert await scene.metric("callwheel_store_failing") == 1
        # The moment is chosen: well after the list is due.
        await trio.sleep(max(0.0, due_at + 1.0 - SystemClock().now()))
        refused = await scene.metric("callwheel_store_refused_total")
        assert refused >= 2
        assert scene.carrier.statistics().invites == dialled
        assert (scene.incoming / f"{scene.turn}.csv").exists()

    async def is_ready() -> bool:
        return bool((await scene.ask("GET", "/readyz")).status == 200)

    await until(is_ready)
    assert await scene.metric("callwheel_store_failing") == 0
    answers = [await scene.trigger() for _ in range(2)]
    assert [answer.status for answer in answers] == [202, 202]
    assert answers[0].body == answers[1].body
    assert await scene.upload() == (202, "")
    if mailed // 100 == 4:
        mailed = await trio.to_thread.run_sync(scene.send_mail)
    assert mailed == 250
    expected = before + LISTED + len(ACCEPTED_BY)

    async def is_done() -> bool:
        return await scene.completed() >= expected

    await until(is_done)
    assert await scene.completed() == expected
    assert scene.carrier.statistics().invites == dialled + LISTED + len(ACCEPTED_BY)
