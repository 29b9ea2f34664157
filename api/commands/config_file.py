"""The configuration of this process: its file, if one is named, and its environment."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Final

from api.commands import CommandFailed
from api.commands.wording import count
from api.config import Config, ConfigError, read_config
from api.config.files import find_mistakes_in_files

CONFIG_BYTES_MAX: Final = 1024 * 1024


def add_config_argument(parser: ArgumentParser) -> None:
    """`--config`."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the configuration in TOML; without one the defaults and CALLWHEEL_… variables hold",
    )


def load_config(path: Path | None) -> Config:
    """The configuration, whose files can be read too. Raises `CommandFailed` that tells every mistake."""
    text = "" if path is None else _read(path)
    try:
        return read_config(
            text,
            os.environ,
            file=str(path) if path else "defaults",
            find_more=find_mistakes_in_files,
        )
    except ConfigError as error:
        lines = [f"the configuration has {count(len(error.mistakes), 'mistake')}."]
        raise CommandFailed("\n  ".join([*lines, *map(str, error.mistakes)])) from None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(CONFIG_BYTES_MAX + 1)
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error.strerror}.") from None
    if len(content) > CONFIG_BYTES_MAX:
        raise CommandFailed(f"{path} is longer than {CONFIG_BYTES_MAX} bytes.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandFailed(f"{path} is not UTF-8: byte {error.start} begins no letter.") from None
