"""The secrets among a flow's settings, which are written and never shown."""

from __future__ import annotations

from typing import Final

import msgspec

from engine.form import Invalid, Mistake
from engine.model import FlowSettings
from engine.model.webhook import HIDDEN, Webhook

_LOGIN: Final = ("password", "private_key")


def hide_secrets(settings: FlowSettings) -> FlowSettings:
    """The settings as they are shown."""
    return _hide_hook(_hide_sftp(settings))


def _hide_hook(settings: FlowSettings) -> FlowSettings:
    hook = settings.webhook
    if hook is None:
        return settings
    secret = HIDDEN if isinstance(hook.secret, str) else (HIDDEN,) * len(hook.secret)
    return msgspec.structs.replace(settings, webhook=msgspec.structs.replace(hook, secret=secret))


def keep_secrets(settings: FlowSettings, present: FlowSettings | None) -> FlowSettings:
    """Settings as they came in, where what was hidden stands for what it hid.

    Args:
        present: the settings that the flow has; None for a new one.

    Raises `Invalid` where there is nothing that was hidden.
    """
    return _keep_hook(_keep_sftp(settings, present), present)


def _hide_sftp(settings: FlowSettings) -> FlowSettings:
    sftp = settings.sftp
    if sftp is None:
        return settings
    hidden = {name: HIDDEN for name in _LOGIN if getattr(sftp, name) is not None}
    return msgspec.structs.replace(settings, sftp=msgspec.structs.replace(sftp, **hidden))


def _keep_sftp(settings: FlowSettings, present: FlowSettings | None) -> FlowSettings:
    sftp = settings.sftp
    if sftp is None:
        return settings
    before = present.sftp if present is not None else None
    # Whoever does not know a secret must not have it sent to a server of their own.
    is_same = before is not None and all(
        getattr(sftp, name) == getattr(before, name) for name in ("host", "port", "user")
    )
    kept = {}
    for name in _LOGIN:
        if getattr(sftp, name) == HIDDEN:
            kept[name] = getattr(before, name) if is_same else None
            if kept[name] is None:
                detail = (
                    f"`{HIDDEN}` keeps a secret of the same host, port and user: there is none."
                )
                mistake = Mistake(f"/settings/sftp/{name}", "invalid_value", detail)
                raise Invalid("invalid_body", detail, (mistake,))
    return msgspec.structs.replace(settings, sftp=msgspec.structs.replace(sftp, **kept))


def _keep_hook(settings: FlowSettings, present: FlowSettings | None) -> FlowSettings:
    hook = settings.webhook
    if hook is None or HIDDEN not in hook.secrets:
        return settings
    before = present.webhook if present is not None else None
    mistakes: list[Mistake] = []
    secrets = tuple(
        _find_secret(place, one, before, hook, mistakes) for place, one in enumerate(hook.secrets)
    )
    if mistakes:
        raise Invalid("invalid_body", mistakes[0].detail, tuple(mistakes))
    secret = secrets[0] if isinstance(hook.secret, str) else secrets
    return msgspec.structs.replace(settings, webhook=msgspec.structs.replace(hook, secret=secret))


def _find_secret(
    place: int, secret: str, before: Webhook | None, hook: Webhook, mistakes: list[Mistake]
) -> str:
    """The secret at one place: as it is, or the one that was hidden at that place."""
    if secret != HIDDEN:
        return secret
    if before is not None and place < len(before.secrets):
        return before.secrets[place]
    where = "" if isinstance(hook.secret, str) else f"/{place}"
    detail = f"`{HIDDEN}` keeps a secret, and there is none here to be kept."
    mistakes.append(Mistake(f"/settings/webhook/secret{where}", "invalid_value", detail))
    return secret
