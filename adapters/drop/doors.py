"""All places together: whatever a setting points to is visited by who can."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from adapters.drop.local import LocalDrops
from adapters.drop.sftp import SftpDrops
from engine.model.drop_settings import DropSettings, SftpSettings
from engine.ports.drops import DropSession


class AllDrops:
    """Implements `engine.ports.drops.Drops`."""

    def __init__(self, sftp: SftpDrops, local: LocalDrops) -> None:
        self._sftp = sftp
        self._local = local

    def open(self, setting: DropSettings, account: str) -> AbstractAsyncContextManager[DropSession]:
        """See the port."""
        if isinstance(setting, SftpSettings):
            return self._sftp.open(setting, account)
        return self._local.open(setting, account)
