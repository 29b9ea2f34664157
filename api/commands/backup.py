"""`callwheel backup FILE` and `callwheel restore FILE`: all that an installation keeps, in one file."""

from __future__ import annotations

import sqlite3
import time
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from pathlib import Path

from api.backup import BackupFailed, Manifest, NoInstallation, make_backup, restore_backup
from api.commands import Command, CommandFailed
from api.commands.config_file import add_config_argument, load_config
from api.commands.wording import count


def add_backup_arguments(parser: ArgumentParser) -> None:
    """Where to, and what of."""
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="the backup; one that is there is replaced"
    )
    parser.add_argument("--recordings", action="store_true", help="with what callees said")
    add_config_argument(parser)


def add_restore_arguments(parser: ArgumentParser) -> None:
    """Where from, and what becomes of what is there."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a backup")
    parser.add_argument(
        "--replace", action="store_true", help="move an installation that is there aside"
    )
    parser.add_argument(
        "--unpaused",
        action="store_true",
        help="leave accounts as they were, although they call again who was called since the backup",
    )
    add_config_argument(parser)


def backup(args: Namespace) -> int:
    """Write it, and say what is in it."""
    data = Path(load_config(args.config).data_dir)
    try:
        manifest = make_backup(data, args.file, _now(), with_recordings=args.recordings)
    except NoInstallation as error:
        hint = " Give the configuration whose data_dir is meant: --config FILE."
        raise CommandFailed(f"{error}{hint if args.config is None else ''}") from error
    except (BackupFailed, OSError, sqlite3.Error) as error:
        raise CommandFailed(_say(error)) from error
    size = args.file.stat().st_size
    files = count(len(manifest.files), "file")
    print(f"{args.file}: {files}, {count(size, 'byte')}, {_say_when(manifest)}.")
    return 0


def restore(args: Namespace) -> int:
    """Put it back, and say what to do next."""
    data = Path(load_config(args.config).data_dir)
    try:
        manifest, aside = restore_backup(
            data, args.file, _now(), replaces=args.replace, pauses=not args.unpaused
        )
    except (BackupFailed, OSError, sqlite3.Error) as error:
        raise CommandFailed(_say(error)) from error
    print(f"{data} is as it was {_say_when(manifest)}: {count(len(manifest.files), 'file')}.")
    if aside is not None:
        print(f"  What was there before is in {aside}; remove it when you do not need it.")
    if not args.unpaused:
        print(
            "  Every account is paused: calls, and people who opted out, since then are not known here.\n"
            "  Look at it, and then go on: POST /v1/accounts/ACCOUNT/resume"
        )
    return 0


def _now() -> float:
    return time.time()  # noqa: TID251 - a command has no other clock


def _say(error: Exception) -> str:
    return (
        f"{error}"
        if isinstance(error, BackupFailed)
        else f"it failed, and nothing was changed: {error}."
    )


def _say_when(manifest: Manifest) -> str:
    at = datetime.fromtimestamp(manifest.made_at, UTC)
    return f"on {at:%Y-%m-%d} at {at:%H:%M:%S} UTC"


COMMAND = Command(
    "backup", "keep all of an installation in one file, while it runs", add_backup_arguments, backup
)
RESTORE = Command(
    "restore", "put a backup back, where no installation runs", add_restore_arguments, restore
)
