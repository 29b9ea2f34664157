"""The settings that only a dialer flow has: what is wrong with them, beside the form of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from engine.form import Mistake
from engine.model import FlowSettings

DIALER_SETTINGS: Final = (
    "dialing",
    "power_ratio",
    "abandoned_max",
    "answer_wait_s",
    "safe_harbour",
    "hold",
    "wrap_up_s",
    "first",
    "agent_ring_timeout_s",
)
MESSAGES: Final = ("safe_harbour", "hold")
_DEFAULTS: Final = msgspec.to_builtins(FlowSettings())


def find_dialer_mistakes(kind: Any, settings: Mapping[str, Any]) -> Iterator[Mistake]:
    """What is wrong with a flow's settings for agents.

    Args:
        kind: of the flow.
        settings: both as JSON brought them.
    """
    place = "/settings"
    if kind != "dialer":
        for name in DIALER_SETTINGS:
            # What the API shows of a flow may be sent back as it is, defaults included.
            if name in settings and settings[name] != _DEFAULTS[name]:
                detail = f"`{name}` is for a flow of the kind `dialer`."
                yield Mistake(f"{place}/{name}", "dialer_only", detail)
        return
    if settings.get("dialing") == "power" and settings.get("safe_harbour") is None:
        detail = "A flow that dials by `power` has a message for customers whom no agent takes."
        yield Mistake(f"{place}/safe_harbour", "missing_safe_harbour", detail)
    for name in MESSAGES:
        message = settings.get(name)
        if isinstance(message, dict) and (message.get("play") is None) == (
            message.get("say") is None
        ):
            detail = "Either `play` or `say` is given."
            yield Mistake(f"{place}/{name}", "invalid_value", detail)


def prompts_of_settings(settings: Any) -> dict[str, str]:
    """JSON pointer of each setting that names a prompt → the prompt's id."""
    found: dict[str, str] = {}
    if not isinstance(settings, dict):
        return found
    for name in MESSAGES:
        message = settings.get(name)
        prompt = message.get("play") if isinstance(message, dict) else None
        if isinstance(prompt, str):
            found[f"/settings/{name}/play"] = prompt
    return found
