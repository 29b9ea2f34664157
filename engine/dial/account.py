"""An account in operation: what it says of all calls of its flows."""

from __future__ import annotations

from engine.dial.limits.day_caps import DayCapDefaults, DayCaps
from engine.dial.limits.party import limits_of_account, windows_of_account
from engine.model import Account, windows_of
from engine.schedule.calling_hours import Party


class AccountDesk:
    """An account as the dialler knows it."""

    def __init__(self, account: Account, day_caps: DayCapDefaults) -> None:
        """`day_caps` are the installation's."""
        self.limits = limits_of_account(account.rules)
        """Shared by all its DIDs."""
        self.day_caps = DayCaps(account.rules, day_caps)
        """How many calls it may make in a day."""
        self.set_account(account)

    def set_account(self, account: Account) -> None:
        """Take the account, as it is now, into operation."""
        windows = windows_of_account(account.rules)
        if self.limits.channels != account.rules.channels or not self.limits.are(windows):
            self.limits.change(account.rules.channels, windows)
        self.has_other_caps = self.day_caps.set_rules(account.rules)
        """Whether contacts that wait for a cap are to be looked at again."""
        self.account = account
        self.is_stopped = account.stopped_at is not None
        """Whether no call of it may be made."""
        self.is_paused = account.paused_at is not None
        """Whether no call of it may begin, but for that those which are up go on."""
        self.party = Party(windows_of(account.rules.calling_window), account.timezone)
        """Its say in when calls are made."""
