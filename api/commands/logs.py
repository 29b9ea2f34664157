"""Where a process writes its log: standard error, so that standard output is left for what was asked."""

from __future__ import annotations

import logging
import sys

import structlog

from api.config import LogFormat


def write_logs_to_stderr(form: LogFormat) -> None:
    """A line for each entry from now on: for people on a terminal, JSON for whatever collects logs, unless
    `form` says which."""
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if form == "console" or (form == "auto" and sys.stderr.isatty()):
        # Colours are for a terminal, not for a file that somebody reads later.
        processors.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
    else:
        processors += [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=repr),
        ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
