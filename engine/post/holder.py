"""Tells the holder of an account by mail."""

from __future__ import annotations

from collections.abc import Sequence

from engine.model.letter import Attachment
from engine.ports.store import Store
from engine.post.postman import Postman


class HolderByMail:
    """The port `engine.ports.holder.Holder`."""

    def __init__(self, store: Store, postman: Postman) -> None:
        self._store = store
        self._postman = postman

    async def tell(
        self,
        account: str,
        key: str,
        subject: str,
        text: str,
        attachments: Sequence[Attachment] = (),
    ) -> None:
        """See the port."""
        found = await self._store.get_account(account)
        if found is not None and found.email:
            await self._postman.post(
                account, key, found.email, subject, text, attachments=attachments
            )
