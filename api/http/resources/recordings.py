"""What callees said where a flow recorded them."""

from __future__ import annotations

from typing import Final

from api.http.exchange import Answer, Exchange, answer_page
from api.http.problem import Problem, not_found
from api.http.views.calls import show_recording

WAV_TYPE: Final = "audio/wav"


async def list_recordings(exchange: Exchange) -> Answer:
    """GET /v1/recordings"""
    page = await exchange.store.list_recordings(
        exchange.account.id,
        exchange.parameters.read_text("attempt"),
        *exchange.parameters.read_page(),
    )
    return answer_page(page, show_recording)


async def get_recording(exchange: Exchange) -> Answer:
    """GET /v1/recordings/{recording}"""
    asked = exchange.path["recording"]
    recording = await exchange.store.get_recording(exchange.account.id, asked)
    if recording is None:
        raise not_found("recording", asked)
    reader = exchange.front.recordings
    kept = await reader.read(recording.id) if reader is not None else None
    if kept is None:
        raise Problem(
            "recording_not_kept",
            f"There is no sound of {recording.id}: nothing was said yet, it could not be written, or"
            " its file has been removed.",
        )
    headers = {
        "Content-Disposition": f'attachment; filename="{recording.id}.wav"',
        "Content-Length": str(kept.size),
    }
    return Answer(200, kept.octets, WAV_TYPE, headers)
