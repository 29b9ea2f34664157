"""The configuration: TOML and environment in, frozen values out, or every mistake with its place.

A configuration that starts is one that was understood to its last key: an unknown key, a value out of
range or a feature that is not there yet is a mistake, never a silence. All mistakes are reported at
once. Nothing here reads a file or the process's environment: both are arguments.
"""

from api.config.reading import ADMIN_KEY_VARIABLE, ConfigError, read_config
from api.config.tables import (
    Config,
    Folder,
    Http,
    Imap,
    Limits,
    Log,
    LogFormat,
    Mail,
    Media,
    Retention,
    Route,
    Sftp,
    Sip,
    Speech,
    Trunk,
    Webhooks,
)
from api.config.understood import KEYS

__all__ = [
    "ADMIN_KEY_VARIABLE",
    "KEYS",
    "Config",
    "ConfigError",
    "Folder",
    "Http",
    "Imap",
    "Limits",
    "Log",
    "LogFormat",
    "Mail",
    "Media",
    "Retention",
    "Route",
    "Sftp",
    "Sip",
    "Speech",
    "Trunk",
    "Webhooks",
    "read_config",
]
