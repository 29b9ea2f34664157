"""TOML and environment in, the configuration out, or every mistake with its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from api.config import keys
from api.config.checks import find_mistakes_between
from api.config.source import (
    ENVIRONMENT,
    ConfigMistake,
    Expected,
    Place,
    Refused,
    Source,
    read_source,
)
from api.config.tables import Config, Imap
from api.config.understood import ARRAYS, KEYS, TABLES

ADMIN_KEY_VARIABLE: Final = "CALLWHEEL_ADMIN_KEY"


class ConfigError(Exception):
    """The configuration cannot be used; `mistakes` are all of them."""

    def __init__(self, mistakes: Sequence[ConfigMistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)


FindMistakes = Callable[[Source, Mapping[str, Any]], Iterable[ConfigMistake]]
"""Finds what is wrong with what was given, and with the values that could be read of it, by key."""


def read_config(
    text: str,
    environment: Mapping[str, str],
    *,
    file: str = "callwheel.toml",
    find_more: FindMistakes = lambda source, values: (),
) -> Config:
    """The configuration. Raises `ConfigError` with every mistake.

    Args:
        text: the file's text, TOML 1.0; empty for none.
        environment: variables of the process; those that begin with CALLWHEEL_ go before the file.
        file: the file's name, for the places of mistakes.
        find_more: what else to look for, beyond what text and environment can tell.
    """
    expected = Expected(KEYS)
    source = read_source(text, environment, file=file, expected=expected)
    values, mistakes = _read_values(source)
    admin_key = environment.get(ADMIN_KEY_VARIABLE) or None
    mistakes += [*source.mistakes, *find_mistakes_between(source, values)]
    mistakes += find_more(source, values)
    try:
        admin_key = admin_key and keys.read_admin_key(admin_key)
    except Refused as refused:
        place = Place(ENVIRONMENT, ADMIN_KEY_VARIABLE)
        mistakes.append(ConfigMistake(place, refused.code, refused.detail))
    if mistakes:
        raise ConfigError(sorted(mistakes, key=_order_of))
    return _build(values, admin_key)


def _read_values(source: Source) -> tuple[dict[str, Any], list[ConfigMistake]]:
    """Each key by itself, so that one mistake does not hide the others."""
    values: dict[str, Any] = {}
    mistakes: list[ConfigMistake] = []
    for setting in source.settings.values():
        try:
            values[setting.key] = KEYS[setting.pattern].read(setting.raw)
        except Refused as refused:
            mistakes.append(ConfigMistake(setting.place, refused.code, refused.detail))
    return values, mistakes


def _order_of(mistake: ConfigMistake) -> tuple[str, int, str]:
    return (mistake.place.source, mistake.place.line or 0, mistake.place.key)


def _build(values: dict[str, Any], admin_key: str | None) -> Config:
    """The structs; every value has been read by its key already, so nothing can go wrong here."""
    fields: dict[str, Any] = {"admin_key": admin_key}
    tables: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        table, _, name = key.rpartition(".")
        if table:
            tables.setdefault(table, {})[name] = value
        else:
            fields[name] = value
    imap = tables.pop("mail.imap", None)
    if imap is not None:
        tables.setdefault("mail", {})["imap"] = Imap(**imap)
    for table, struct in TABLES.items():
        fields[table] = struct(**tables.pop(table, {}))
    for array, struct in ARRAYS.items():
        fields[array] = tuple(struct(**table) for table in _tables_of(array, tables))
    return Config(**fields)


def _tables_of(array: str, tables: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The tables of one array in the order of their indices."""
    indices = [int(key.rpartition(".")[2]) for key in tables if key.startswith(f"{array}.")]
    return [tables[f"{array}.{index}"] for index in sorted(indices)]
