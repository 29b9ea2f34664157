"""What callees said, as the API gives it out."""

from __future__ import annotations

from collections.abc import AsyncIterator

from api.http.app import make_app
from api.http.auth import hash_key
from api.http.exchange import HttpSettings
from engine.model import Recording
from engine.ports.recordings import KeptRecording
from tests.api.http.world import ADMIN_KEY, EPOCH, PUBLIC_URL, World

SOUND = [b"RIFF", b"and so on"]


class Reader:
    """Has the sound of one recording."""

    def __init__(self, kept: str) -> None:
        self._kept = kept

    async def read(self, recording: str) -> KeptRecording | None:
        if recording != self._kept:
            return None
        return KeptRecording(1.5, sum(map(len, SOUND)), self._pieces())

    async def _pieces(self) -> AsyncIterator[bytes]:
        for piece in SOUND:
            yield piece


async def record(world: World) -> None:
    """Three recordings, of two attempts; the sound of the first is kept."""
    settings = HttpSettings(public_url=PUBLIC_URL, admin_sha256=hash_key(ADMIN_KEY))
    world.app = make_app(
        world.engine, settings, world.hub, world.keeper, recordings=Reader("rec_1")
    )
    for n, attempt in ((1, "att_1"), (2, "att_1"), (3, "att_2")):
        one = Recording(f"rec_{n}", "acc_1", attempt, EPOCH + n)
        await world.engine.store.add_recording(one)


async def test_a_recording_is_given_out_as_a_wav_file(world: World) -> None:
    await record(world)
    reply = await world.client("viewer").get("/v1/recordings/rec_1")
    assert (reply.status, reply.body) == (200, b"RIFFand so on")
    assert {name: reply.headers[name] for name in ("Content-Type", "Content-Length")} == {
        "Content-Type": "audio/wav",
        "Content-Length": "13",
    }
    assert reply.headers["Content-Disposition"] == 'attachment; filename="rec_1.wav"'


async def test_a_recording_whose_file_is_gone_is_known_and_says_so(world: World) -> None:
    await record(world)
    reply = await world.client("viewer").get("/v1/recordings/rec_2")
    assert reply.problem == (404, "recording_not_kept")


async def test_a_recording_of_another_account_is_not_there(world: World) -> None:
    await record(world)
    stranger = world.client("owner", "theirs")
    assert (await stranger.get("/v1/recordings/rec_1")).problem == (404, "not_found")
    assert (await stranger.get("/v1/recordings")).json == {"items": [], "next": None}


async def test_recordings_are_listed_by_attempt(world: World) -> None:
    await record(world)
    reply = await world.client("viewer").get("/v1/recordings?attempt=att_2")
    assert reply.json == {
        "items": [
            {
                "id": "rec_3",
                "attempt": "att_2",
                "created_at": "2026-01-01T00:00:03.000Z",
                "url": "/v1/recordings/rec_3",
            }
        ],
        "next": None,
    }
    everything = await world.client("viewer").get("/v1/recordings?limit=2")
    assert [one["id"] for one in everything.json["items"]] == ["rec_1", "rec_2"]
