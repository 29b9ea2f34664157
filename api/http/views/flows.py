"""Flows and prompts as the API shows them."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from api.http.views.encoding import show_time
from engine.forms.flow_secrets import hide_secrets
from engine.model import (
    Flow,
    FlowKind,
    FlowSettings,
    Prompt,
)
from engine.model.drop_settings import place_of
from engine.model.events import rfc3339


class ListenerView(Struct, frozen=True):
    """Whether a flow takes triggers and dials."""

    active: bool


class TriggersView(Struct, frozen=True):
    """Where a flow's triggers go."""

    multicast_url: str
    calls_url: str
    upload_url: str
    email: str | None = None
    """Where lists are mailed to; None where the installation takes no mail."""
    sftp: str | None = None
    """From where lists are picked up by SFTP; None where the flow has no such setting."""
    folder: str | None = None
    """Which folder is watched; None where the flow has no such setting."""


class FlowView(Struct, frozen=True):
    """A flow."""

    id: str
    name: str
    kind: FlowKind
    timezone: str
    definition: dict[str, Any]
    settings: FlowSettings
    version: int
    listener: ListenerView
    dids: tuple[str, ...]
    calls_list: str
    """The list of its single calls."""
    triggers: TriggersView
    created_at: str
    paused_at: str | None = None
    """Since when no call of it begins."""


class PromptView(Struct, frozen=True):
    """A recording."""

    id: str
    name: str
    duration_s: float
    created_at: str


def show_flow(flow: Flow, public_url: str, email: str | None = None) -> FlowView:
    """A flow as the API shows it; its triggers begin with `public_url`, and lists are mailed to `email`."""
    base = f"{public_url}/v1/flows/{flow.id}"
    return FlowView(
        id=flow.id,
        name=flow.name,
        kind=flow.kind,
        timezone=flow.timezone,
        definition=flow.definition,
        settings=hide_secrets(flow.settings),
        version=flow.version,
        listener=ListenerView(flow.listener_active),
        dids=flow.dids,
        calls_list=flow.calls_list,
        triggers=TriggersView(
            f"{base}/multicast",
            f"{base}/calls",
            f"{base}/lists",
            email=email,
            sftp=None if flow.settings.sftp is None else f"{place_of(flow.settings.sftp)}/incoming",
            folder=None
            if flow.settings.folder is None
            else f"{flow.settings.folder.path}/incoming",
        ),
        created_at=rfc3339(flow.created_at),
        paused_at=show_time(flow.paused_at),
    )


def show_prompt(prompt: Prompt) -> PromptView:
    """A recording as the API shows it."""
    return PromptView(prompt.id, prompt.name, prompt.duration_s, rfc3339(prompt.created_at))
