"""What is in the folder that an installation keeps everything in, and who may read it."""

from __future__ import annotations

from typing import Final

DATABASE: Final = "callwheel.db"
PROMPTS: Final = "prompts"
RECORDINGS: Final = "recordings"
SPOOL: Final = "spool"
"""What was taken and has yet to be looked at."""
TRACES: Final = "traces.db"
ADMIN_KEY_HASH: Final = "administrator.sha256"
"""Holds the hash of the administrator key that the first start made."""
MAIL_KEY: Final = "mail.key"
"""What flows' mail addresses are made with. Whoever removes it changes all of them."""
PRIVATE_FILE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700
