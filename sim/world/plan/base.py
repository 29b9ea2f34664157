"""Who calls whom by which limits, and what goes wrong when. Drawn all at once."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, Final

import msgspec

from engine.dial.trunks.trunk import TrunkSettings
from engine.model import (
    DAYS,
    Account,
    AccountRules,
    CalleeCap,
    CallingWindow,
    Cap,
    Did,
    Flow,
    FlowSettings,
    RetryRule,
)
from sim.profile import BUILT_IN
from sim.world.plan.parts import (
    CLOCKS_SET,
    YEAR_AT,
    ZONES,
    Action,
    Deed,
    DiskTrouble,
    Outage,
    Plan,
)

TEL_MAX: Final = 10


def draw_bare_plan(seed: int, contacts: int | None = None, hours: float | None = None) -> Plan:
    """The run of a seed without what `terms` and `orders` add."""
    return _Draw(seed).plan(contacts, hours)


class _Draw:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = Random(seed)
        self.of_callees = Random(f"{seed}/callees")
        """What came later than the rest is drawn apart, so that seeds mean what they meant before."""
        self.numbers: list[str] = []

    def some(self, likelihood: float) -> bool:
        return self.chance.random() < likelihood

    def plan(self, contacts: int | None, hours: float | None) -> Plan:
        chance = self.chance
        count = contacts if contacts is not None else chance.randrange(3, 13)
        horizon_s = 3600 * hours if hours is not None else chance.uniform(300, 1500)
        epoch = float(round(self._epoch()))
        trunks = self._trunks()
        accounts = [self._account(n, epoch) for n in range(chance.choice((1, 1, 2)))]
        dids = [self._did(n, accounts, trunks) for n in range(chance.randrange(1, 6))]
        flows = [self._flow(n, accounts, dids, epoch) for n in range(chance.randrange(1, 4))]
        crashes = self.some(0.4)
        actions = [
            *self._triggers(flows, count, horizon_s),
            *self._orders(flows, accounts, horizon_s),
            *self._machine(crashes, horizon_s),
        ]
        return Plan(
            seed=self.seed,
            epoch=epoch,
            horizon_s=horizon_s,
            channels=chance.choice((1, 3, 10, 1000)),
            cps=chance.choice((0.5, 2, 50, 500)),
            caps=self._caps(0.2),
            trunks=tuple(trunks),
            dids=tuple(dids),
            accounts=tuple(accounts),
            flows=tuple(flows),
            agents=(),
            actions=tuple(sorted(actions, key=lambda one: one.at)),
            outages=tuple(self._outages(trunks, horizon_s)),
            disk=tuple(self._disk(horizon_s)),
            profile=BUILT_IN[chance.choice(("default", "demo", "quiet", "evening", "hostile"))],
            loss=chance.choice((0.0, 0.0, 0.02, 0.2)),
            dies_at_step=self._deaths() if crashes else (),
            look_s=chance.uniform(20, 90),
        )

    def _epoch(self) -> float:
        if self.some(0.5):
            return self.chance.choice(CLOCKS_SET) - self.chance.uniform(0, 3600)
        return YEAR_AT + self.chance.uniform(0, 365 * 86_400)

    def _trunks(self) -> list[TrunkSettings]:
        chance = self.chance
        return [
            TrunkSettings(
                name,
                chance.choice((1, 4, 1000)),
                chance.choice((0.2, 1, 5, 200)),
                caps=self._caps(0.2),
            )
            for name in ("main", "other")[: chance.choice((1, 1, 2))]
        ]

    def _account(self, place: int, epoch: float) -> Account:
        chance = self.chance
        rules = AccountRules(
            calling_window=self._windows(epoch) if self.some(0.2) else None,
            channels=chance.choice((None, None, 1, 3)),
            cps=chance.choice((None, None, 0.5, 3)),
            caps=self._caps(0.2),
            callee_caps=self._callee_caps(),
        )
        zone = chance.choice(list(ZONES.values()))
        return Account(f"acc_{place}", f"account {place}", zone, "who@example.com", epoch, rules)

    def _did(self, place: int, accounts: Sequence[Account], trunks: Sequence[TrunkSettings]) -> Did:
        chance = self.chance
        return Did(
            f"+1415555{place:04}",
            accounts[place % len(accounts)].id,
            chance.choice(trunks).name,
            cps=chance.choice((0.1, 0.5, 1, 3, 20)),
            channels=chance.choice((1, 2, 30)),
            caps=self._caps(0.5),
        )

    def _caps(self, likelihood: float) -> tuple[Cap, ...]:
        chance = self.chance
        count = chance.choice((1, 1, 2)) if self.some(likelihood) else 0
        return tuple(Cap(chance.randrange(1, 6), chance.choice((5, 60, 300))) for _ in range(count))

    def _callee_caps(self) -> tuple[CalleeCap, ...]:
        chance = self.of_callees
        count = chance.choice((1, 1, 2)) if chance.random() < 0.2 else 0
        return tuple(
            CalleeCap(chance.randrange(1, 4), chance.choice((5, 60, 300))) for _ in range(count)
        )

    def _flow(
        self, place: int, accounts: Sequence[Account], dids: Sequence[Did], epoch: float
    ) -> Flow:
        chance = self.chance
        account = accounts[place % len(accounts)]
        own = [did.number for did in dids if did.account == account.id]
        settings = FlowSettings(
            attempts_max=chance.choice((1, 2, 3, 8)),
            retry={
                what: RetryRule(chance.randrange(3), chance.choice((0, 20, 120)))
                for what in ("busy", "no-answer", "machine", "failed", "declined")
                if self.some(0.4)
            },
            ring_timeout_s=chance.choice((5, 20, 45)),
            call_max_s=chance.choice((10, 3600)),
            channels=chance.choice((None, None, 1, 2, 5)),
            cps=chance.choice((None, None, 0.2, 1, 10)),
            caps=self._caps(0.2),
            callee_caps=self._callee_caps(),
            declined=chance.choice(("stop", "next")),
            on_unknown=chance.choice(("stop", "retry")),
            calling_window=self._windows(epoch) if self.some(0.4) else None,
            caller_numbers=chance.choice(("rotate", "sticky", "local")),
        )
        return Flow(
            id=f"flw_{place}",
            account=account.id,
            name=f"flow {place}",
            kind="multicast",
            timezone=chance.choice(list(ZONES.values())),
            definition=DEFINITION,
            settings=settings,
            version=1,
            listener_active=True,
            dids=tuple(chance.sample(own, chance.randrange(1, len(own) + 1))) if own else (),
            calls_list=f"lst_calls_{place}",
            created_at=epoch,
        )

    def _windows(self, epoch: float) -> tuple[CallingWindow, ...]:
        """Windows of which some open or close about the run, on one clock or another."""
        chance = self.chance
        windows = []
        for _ in range(chance.choice((1, 1, 2))):
            half_hours = round(epoch / 1800) % 48
            first = (half_hours + chance.randrange(-30, 31)) % 48
            last = (first + chance.choice((1, 2, 8, 24, 40))) % 48
            windows.append(
                CallingWindow(
                    _hour(first),
                    _hour(last),
                    tuple(sorted(chance.sample(DAYS, chance.choice((5, 7))), key=DAYS.index)),
                    timezone=chance.choice((None, None, "Europe/London")),
                    callee_zone=self.some(0.7),
                )
            )
        return tuple(windows)

    def _number(self) -> str:
        """A number; now and then one that was there before."""
        if self.numbers and self.some(0.1):
            return self.chance.choice(self.numbers)
        prefix = self.chance.choice(list(ZONES))
        # Those whose endings force an outcome are among them.
        ending = self.chance.choice((self.chance.randrange(10_000), 9486, 9404, 9603, 9503))
        number = f"{prefix}{ending:04}" if self.some(0.3) else f"{prefix}{len(self.numbers):04}"
        self.numbers.append(number)
        return number

    def _contact(self) -> dict[str, Any]:
        tels = self.chance.choice((1, 1, 1, 2, 3, TEL_MAX))
        return {"tel": list(dict.fromkeys(self._number() for _ in range(tels)))}

    def _triggers(self, flows: Sequence[Flow], count: int, horizon_s: float) -> list[Action]:
        chance = self.chance
        actions = []
        left = count
        while left > 0:
            at = chance.choice((0.0, chance.uniform(0, horizon_s / 3)))
            flow = chance.choice(flows).id
            if self.some(0.2):
                contact = self._contact()
                body = msgspec.json.encode({"to": contact["tel"]})
                actions.append(Action(at, "call", flow, body=body))
                left -= 1
                continue
            size = min(left, max(1, round(count * chance.uniform(0.2, 1))))
            left -= size
            body = msgspec.json.encode({"contacts": [self._contact() for _ in range(size)]})
            actions.append(Action(at, "list", flow, body=body))
        return actions

    def _orders(
        self, flows: Sequence[Flow], accounts: Sequence[Account], horizon_s: float
    ) -> list[Action]:
        """What people do while it runs."""
        chance = self.chance
        actions: list[Action] = []
        off: Deed
        on: Deed
        for _ in range(chance.choice((0, 1, 2, 4))):
            begin = chance.uniform(0, horizon_s * 0.6)
            end = begin + chance.choice((0.5, 10, 120))
            which = str(chance.randrange(4))
            kind = chance.randrange(6)
            if kind == 0:
                actions += [Action(begin, "pause", which), Action(end, "resume", which)]
            elif kind == 1:
                actions.append(Action(begin, "cancel", which))
            elif kind == 2:
                actions.append(Action(begin, "cancel_contact", which))
            elif kind == 3:
                account = chance.choice(accounts).id
                actions += [
                    Action(begin, "stop_account", account),
                    Action(end, "start_account", account),
                ]
            elif kind == 4:
                flow = chance.choice(flows).id
                off, on = chance.choice(
                    (
                        ("listener_off", "listener_on"),
                        ("pause_flow", "resume_flow"),
                    )
                )
                actions += [Action(begin, off, flow), Action(end, on, flow)]
            else:
                for_s = chance.choice((0.0, 300.0))
                number = chance.choice((*self.numbers, "+1212*"))
                actions.append(Action(begin, "do_not_call", number, for_s))
        return actions

    def _machine(self, crashes: bool, horizon_s: float) -> list[Action]:
        """What happens to the machine. A clock that goes forward while no process can see it would take the
        calls before it out of their windows, which nobody could know: so it does not in such runs."""
        chance = self.chance
        actions = []
        if crashes:
            for _ in range(chance.randrange(3)):
                deed: Deed = chance.choice(("crash", "restart"))
                actions.append(Action(chance.uniform(0, horizon_s * 0.6), deed))
        if self.some(0.3):
            by_s = chance.choice((-7200.0, -20.0, -0.3, 0.3, 20.0, 7200.0))
            if not crashes or by_s < 0:
                actions.append(Action(chance.uniform(0, horizon_s * 0.6), "set_clock", amount=by_s))
        return actions

    def _deaths(self) -> tuple[int, ...]:
        chance = self.chance
        return tuple(chance.randrange(1, 200) for _ in range(chance.choice((0, 1, 2, 5))))

    def _outages(self, trunks: Sequence[TrunkSettings], horizon_s: float) -> list[Outage]:
        chance = self.chance
        outages = []
        for _ in range(chance.choice((0, 0, 1, 2))):
            begin = chance.uniform(0, horizon_s * 0.5)
            end = begin + chance.choice((2, 40, 200))
            outages.append(Outage(chance.choice(trunks).name, begin, end, self.some(0.5)))
        return outages

    def _disk(self, horizon_s: float) -> list[DiskTrouble]:
        chance = self.chance
        troubles = []
        for _ in range(chance.choice((0, 0, 1, 2))):
            begin = chance.uniform(0, horizon_s * 0.5)
            end = begin + chance.choice((1, 10, 60))
            full = self.some(0.5)
            troubles.append(DiskTrouble(begin, end, full, chance.choice((0.02, 0.5, 8))))
        return troubles


DEFINITION: Final[dict[str, Any]] = {
    "start": "ask",
    "nodes": {
        "ask": {
            "type": "gather",
            "prompt": {"play": "prm_hello"},
            "digits": 1,
            "timeout_s": 2,
            "tries": 1,
            "branches": {"9": "stop"},
            "otherwise": "bye",
        },
        "stop": {"type": "opt_out", "next": "bye"},
        "bye": {"type": "hangup"},
    },
}


def _hour(half_hours: int) -> str:
    return f"{half_hours // 2:02}:{half_hours % 2 * 30:02}"
