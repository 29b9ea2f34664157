"""What a flow is made of and changed with, and all that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

import structlog
from msgspec import Meta, Struct

from engine.flow.definition import (
    Definition,
    InvalidDefinition,
    find_kind_mistakes,
    numbers_of,
    prompts_of,
    read_definition,
    voices_of,
)
from engine.flow.parts import read_parts
from engine.flow.presentation import find_presentation_mistakes
from engine.form import Mistake, find_mistakes, read_form, require
from engine.forms.account import find_timezone_mistakes
from engine.forms.dialer import find_dialer_mistakes, prompts_of_settings
from engine.forms.number import find_number_mistakes, find_pace_mistakes
from engine.forms.window import find_never_open, find_window_mistakes
from engine.model import Account, FlowKind, FlowSettings, windows_of
from engine.model.drop_settings import find_drop_mistakes
from engine.model.webhook import find_webhook_mistakes
from engine.ports.clock import WallClock
from engine.ports.settings_store import SettingsStore
from engine.ports.speech import Speech, SpeechFailed, SpeechRefused
from engine.schedule.calling_hours import Party

DEFAULTS_LENGTH_MAX: Final = 4_096
"""Characters of all defaults of one flow together, which every contact carries as well."""

Title = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^\S(?:[^\x00-\x1f\x7f]*\S)?\Z")]

log = structlog.get_logger(__name__)


class FlowForm(Struct, frozen=True, forbid_unknown_fields=True):
    """What a flow is made of."""

    name: Title
    definition: dict[str, Any]
    kind: FlowKind = "multicast"
    timezone: str | None = None
    """The account's where there is none."""
    settings: FlowSettings = FlowSettings()


class FlowReader:
    """Reads flows as they come in, and asks whoever knows what they name."""

    def __init__(self, store: SettingsStore, clock: WallClock, speech: Speech | None) -> None:
        self._store = store
        self._clock = clock
        self._speech = speech

    async def read(self, account: Account, raw: Any) -> FlowForm:
        """A flow of the account. Raises `Invalid` with every mistake."""
        mistakes = find_flow_mistakes(raw)
        if isinstance(raw, dict):
            mistakes += self._find_never_open(account, raw)
            mistakes += await self._find_missing_prompts(account, raw)
            mistakes += await self._find_unknown_voices(raw)
        require(mistakes)
        return read_form(raw, FlowForm)

    def _find_never_open(self, account: Account, raw: dict[str, Any]) -> Iterator[Mistake]:
        """A window in which nobody could ever be called, with the account's own."""
        settings = raw.get("settings")
        if isinstance(settings, dict):
            zone = raw.get("timezone") or account.timezone
            others = (Party(windows_of(account.rules.calling_window), account.timezone),)
            window, now = settings.get("calling_window"), self._clock.now()
            yield from find_never_open(window, zone, others, now, "/settings/calling_window")

    async def _find_unknown_voices(self, raw: dict[str, Any]) -> list[Mistake]:
        """Voices that there are not. Where nothing speaks just now, that is found out on the call."""
        mistakes: list[Mistake] = []
        if self._speech is None:
            return mistakes
        parts, _ = read_parts(raw.get("definition"))
        for place, voice in voices_of(parts.nodes).items():
            try:
                await self._speech.find_voice(voice)
            except SpeechRefused as refused:
                mistakes.append(Mistake(f"/definition{place}", refused.code, refused.detail))
            except SpeechFailed as error:
                log.warning("a voice is not looked up", voice=voice, reason=str(error))
                break
        return mistakes

    async def _find_missing_prompts(self, account: Account, raw: dict[str, Any]) -> list[Mistake]:
        parts, _ = read_parts(raw.get("definition"))
        places = {f"/definition{place}": one for place, one in prompts_of(parts.nodes).items()}
        places |= prompts_of_settings(raw.get("settings"))
        missing = {
            prompt
            for prompt in set(places.values())
            if await self._store.get_prompt(account.id, prompt) is None
        }
        return [
            Mistake(place, "unknown_prompt", f"There is no prompt {prompt!r}.")
            for place, prompt in places.items()
            if prompt in missing
        ]


def find_flow_mistakes(raw: Any) -> list[Mistake]:
    """All that is wrong with a flow as `FlowForm` has it, but for what only the store knows."""
    mistakes = list(find_mistakes(raw, FlowForm))
    if not isinstance(raw, dict):
        return mistakes
    mistakes += find_timezone_mistakes(raw.get("timezone"))
    settings = raw.get("settings")
    if isinstance(settings, dict):
        mistakes += find_pace_mistakes(settings.get("cps"), "/settings/cps")
        window = settings.get("calling_window")
        mistakes += find_window_mistakes(window, "/settings/calling_window")
        shown = settings.get("presentation")
        mistakes += find_presentation_mistakes(shown, "/settings/presentation")
        mistakes += find_dialer_mistakes(raw.get("kind", "multicast"), settings)
        mistakes += find_webhook_mistakes(settings.get("webhook"), "/settings/webhook")
        mistakes += find_drop_mistakes(settings, "/settings")
    definition = raw.get("definition")
    if isinstance(definition, dict):
        found = find_definition_mistakes(definition, raw.get("kind", "multicast"))
        mistakes += [Mistake(f"/definition{one.pointer}", one.code, one.detail) for one in found]
    return mistakes


def find_definition_mistakes(raw: Any, kind: Any = "dialer") -> list[Mistake]:
    """All that is wrong with a definition in a flow of this kind; a dialer's may hold whatever there is."""
    try:
        definition = read_definition(raw)
    except InvalidDefinition as invalid:
        return invalid.mistakes
    return [
        *_find_variable_mistakes(definition),
        *find_kind_mistakes(definition, kind),
        *_find_transfer_mistakes(definition),
    ]


def _find_transfer_mistakes(definition: Definition) -> Iterator[Mistake]:
    for pointer, text in numbers_of(definition).items():
        yield from find_number_mistakes(text, pointer)


def _find_variable_mistakes(definition: Definition) -> Iterator[Mistake]:
    place = "/variables"
    defaults = sum(len(variable.default or "") for variable in definition.variables.values())
    if defaults > DEFAULTS_LENGTH_MAX:
        detail = f"The defaults of a flow have at most {DEFAULTS_LENGTH_MAX} characters together."
        yield Mistake(place, "value_too_long", detail)
