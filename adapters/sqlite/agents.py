"""Agents, second legs, and what customers met who answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from adapters.sqlite import cursors, refusals, rules
from adapters.sqlite.answers import earlier_answer, keep_answer
from adapters.sqlite.attempts import GATHER_S
from adapters.sqlite.blocks import widen_block_of
from adapters.sqlite.connected import Connected
from adapters.sqlite.countries import note_country
from adapters.sqlite.do_not_call import LISTED, listed_row
from adapters.sqlite.paging import id_after
from adapters.sqlite.rows import Row
from adapters.sqlite.unit import Unit
from engine.model.agent import AGENTS_MAX, LEGS_SHOWN_MAX, Agent, AnswerDay, Leg, Presence
from engine.model.events import Event
from engine.ports.dial_store import Refusal
from engine.ports.stored import IdempotentAnswer, Page

_AGENT: Final = (
    "SELECT g.id, a.id, f.id, g.number, g.name, g.wrap_up_s, g.presence, g.presence_at, "
    "g.created_at, g.presence_reason"
)
_OF_FLOW: Final = "FROM agents g JOIN accounts a ON a.n = g.account JOIN flows f ON f.n = g.flow"
GET_AGENT: Final = f"{_AGENT} {_OF_FLOW} WHERE g.id = ? AND f.id = ? AND a.id = ?"
LIST_AGENTS: Final = (
    f"{_AGENT} {_OF_FLOW} WHERE g.id > ? AND a.id = ? AND f.id = ? ORDER BY g.id LIMIT ?"
)
FIND_AGENT: Final = f"{_AGENT}, f.calls_list {_OF_FLOW} WHERE g.id = ?"
PRESENT_AGENTS: Final = (
    f"{_AGENT}, f.calls_list {_OF_FLOW} WHERE g.presence != 'away' ORDER BY g.id"
)

_LEG: Final = (
    "SELECT g.id, a.id, f.id, l.id, g.number, g.did, g.trunk, g.initiated_at, g.attempt, g.contact, "
    "g.agent, g.answered_at, g.ended_at, g.outcome, g.sip_code FROM legs g "
    "JOIN accounts a ON a.n = g.account JOIN lists l ON l.n = g.list JOIN flows f ON f.n = g.flow"
)
OPEN_LEGS: Final = f"{_LEG} WHERE g.ended_at IS NULL ORDER BY g.id"
LEGS_OF: Final = f"{_LEG} WHERE g.attempt = ? AND a.id = ? ORDER BY g.id LIMIT {LEGS_SHOWN_MAX}"
IS_LISTED: Final = f"SELECT {LISTED}"
STATE_OF: Final = "SELECT state FROM contacts WHERE id = ?"
END_LEG: Final = (
    "UPDATE legs SET answered_at = ?, ended_at = ?, outcome = ?, sip_code = ? "
    "WHERE id = ? AND ended_at IS NULL"
)
ANSWER_DAYS: Final = (
    "SELECT f.id, d.day, d.answered, d.abandoned FROM answer_days d JOIN flows f ON f.n = d.flow "
    "WHERE d.day >= ? ORDER BY f.id, d.day"
)


class SqliteAgents(Connected):
    """The methods of `engine.ports.agent_store.AgentStore`."""

    async def add_agent(
        self, agent: Agent, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Make an agent. Raises LookupError for an unknown flow."""
        return await self._writer.submit(lambda unit: _add_agent(unit, agent, answer))

    async def get_agent(self, account: str, flow: str, agent: str) -> Agent | None:
        """One agent of the flow."""
        return await self._readers.row(GET_AGENT, (agent, flow, account), _to_agent)

    async def list_agents(
        self, account: str, flow: str, limit: int, cursor: str | None
    ) -> Page[Agent]:
        """Those of one flow, in the order of their ids."""
        return await self._readers.page(
            LIST_AGENTS,
            (id_after(cursor), account, flow),
            limit,
            _to_agent,
            lambda one: cursors.cursor_of(one.id),
        )

    async def change_agent(
        self, account: str, flow: str, agent: str, change: Callable[[Agent], Agent], at: float
    ) -> Agent | None:
        """Replace the agent by `change(agent)`, which runs in the writer's thread and may run twice."""
        return await self._writer.submit(
            lambda unit: _change_agent(unit, account, flow, agent, change, at)
        )

    async def delete_agent(self, account: str, flow: str, agent: str, at: float) -> bool:
        """Take an agent away."""
        return await self._writer.submit(lambda unit: _delete_agent(unit, account, flow, agent, at))

    async def note_presence(self, agent: str, presence: Presence, at: float, reason: str) -> bool:
        """Keep what an agent does now."""
        return await self._writer.submit(
            lambda unit: _note_presence(unit, agent, presence, at, reason), gather_s=GATHER_S
        )

    async def reset_presence(self, at: float, reason: str) -> int:
        """Everybody is away."""
        return await self._writer.submit(lambda unit: _reset_presence(unit, at, reason))

    async def begin_leg(self, leg: Leg) -> Refusal | None:
        """Write down the intent to dial."""
        return await self._writer.submit(lambda unit: _begin_leg(unit, leg), gather_s=GATHER_S)

    async def note_leg(self, leg: Leg, event: Event) -> None:
        """Keep the answer. Does nothing to a leg that has ended, or is not known."""
        await self._writer.submit(lambda unit: _note_leg(unit, leg, event), gather_s=GATHER_S)

    async def end_leg(self, leg: Leg) -> bool:
        """Keep the end."""
        return await self._writer.submit(lambda unit: _end_leg(unit, leg), gather_s=GATHER_S)

    async def open_legs(self) -> list[Leg]:
        """Legs without an end."""
        return await self._readers.rows(OPEN_LEGS, (), _to_leg)

    async def legs_of(self, account: str, attempt: str) -> list[Leg]:
        """The legs of an attempt."""
        return await self._readers.rows(LEGS_OF, (attempt, account), _to_leg)

    async def answer_days(self, since_day: int) -> Sequence[AnswerDay]:
        """What customers met, by flow and day."""
        return await self._readers.rows(ANSWER_DAYS, (since_day,), lambda row: AnswerDay(*row))


def _to_agent(row: Row) -> Agent:
    return Agent(*row)


def _to_leg(row: Row) -> Leg:
    return Leg(*row)


def _add_agent(
    unit: Unit, agent: Agent, answer: IdempotentAnswer | None
) -> IdempotentAnswer | None:
    earlier = earlier_answer(unit, answer)
    if earlier is not None:
        return earlier
    flow = unit.row(
        "SELECT f.account, f.n, f.deleted, f.calls_list FROM flows f JOIN accounts a "
        "ON a.n = f.account WHERE f.id = ? AND a.id = ?",
        (agent.flow, agent.account),
    )
    if flow is None:
        raise LookupError(f"the account {agent.account} has no flow {agent.flow}")
    account_n, flow_n, deleted, calls_list = flow
    if deleted:
        raise refusals.flow_deleted()
    _check_number(unit, flow_n, agent)
    counted = unit.row("SELECT count(*) FROM agents WHERE flow = ?", (flow_n,))
    if counted is not None and counted[0] >= AGENTS_MAX:
        raise refusals.too_many_agents()
    unit.execute(
        "INSERT INTO agents (id, account, flow, number, name, wrap_up_s, presence, presence_at, "
        "created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            agent.id,
            account_n,
            flow_n,
            agent.number,
            agent.name,
            agent.wrap_up_s,
            agent.presence,
            agent.presence_at,
            agent.created_at,
        ),
    )
    unit.tell((rules.agent_event("agent.added", agent, calls_list, agent.created_at),))
    keep_answer(unit, answer)
    return None


def _check_number(unit: Unit, flow_n: int, agent: Agent) -> None:
    sql = "SELECT 1 FROM agents WHERE flow = ? AND number = ? AND id != ?"
    if unit.row(sql, (flow_n, agent.number, agent.id)) is not None:
        raise refusals.agent_exists(agent.number)


def _find(unit: Unit, agent: str) -> tuple[Agent, str] | None:
    """An agent, and the standing list of its flow."""
    row = unit.row(FIND_AGENT, (agent,))
    return None if row is None else (_to_agent(row[:-1]), row[-1])


def _change_agent(
    unit: Unit,
    account: str,
    flow: str,
    agent: str,
    change: Callable[[Agent], Agent],
    at: float,
) -> Agent | None:
    found = _find(unit, agent)
    if found is None or (found[0].account, found[0].flow) != (account, flow):
        return None
    changed = change(found[0])
    flow_n = unit.row("SELECT flow FROM agents WHERE id = ?", (agent,))
    assert flow_n is not None
    _check_number(unit, flow_n[0], changed)
    unit.execute(
        "UPDATE agents SET number = ?, name = ?, wrap_up_s = ? WHERE id = ?",
        (changed.number, changed.name, changed.wrap_up_s, agent),
    )
    if changed != found[0]:
        unit.tell((rules.agent_event("agent.changed", changed, found[1], at),))
    return changed


def _delete_agent(unit: Unit, account: str, flow: str, agent: str, at: float) -> bool:
    found = _find(unit, agent)
    if found is None or (found[0].account, found[0].flow) != (account, flow):
        return False
    unit.execute("DELETE FROM agents WHERE id = ?", (agent,))
    unit.tell((rules.agent_event("agent.removed", found[0], found[1], at),))
    return True


def _note_presence(unit: Unit, agent: str, presence: Presence, at: float, reason: str) -> bool:
    unit.execute(
        "UPDATE agents SET presence = ?, presence_at = ?, presence_reason = ? "
        "WHERE id = ? AND presence != ?",
        (presence, at, reason, agent, presence),
    )
    if not unit.rowcount:
        return False
    found = _find(unit, agent)
    assert found is not None
    unit.tell((rules.agent_event("agent.presence", found[0], found[1], at, reason),))
    return True


def _reset_presence(unit: Unit, at: float, reason: str) -> int:
    present = [row[0] for row in unit.rows(PRESENT_AGENTS, ())]
    return sum(_note_presence(unit, agent, "away", at, reason) for agent in present)


def _begin_leg(unit: Unit, leg: Leg) -> Refusal | None:
    row = unit.find_list(leg.list)
    if row is None:
        return "gone"
    refused = rules.leg_refusal(_state_for(unit, leg, row.state), row.state)
    if refused is not None:
        return refused
    listed = unit.row(
        IS_LISTED,
        listed_row(row.account_n, leg.number, leg.number, leg.flow, leg.initiated_at),
    )
    if listed is not None and listed[0]:
        return "do_not_call"
    unit.execute(
        "INSERT INTO legs (id, account, flow, list, number, did, trunk, initiated_at, attempt, contact, "
        "agent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            leg.id,
            row.account_n,
            row.flow_n,
            row.n,
            leg.number,
            leg.did,
            leg.trunk,
            leg.initiated_at,
            leg.attempt,
            leg.contact,
            leg.agent,
        ),
    )
    unit.tell((rules.leg_event("leg.initiated", leg, leg.initiated_at, did=leg.did),))
    note_country(unit, row.account_n, leg)
    return None


def _state_for(unit: Unit, leg: Leg, state: rules.ListState) -> str | None:
    """Of the contact that a leg is for."""
    if leg.contact is None:
        return None
    found = unit.row(STATE_OF, (leg.contact,))
    if found is not None:
        return str(found[0])
    # One in a block is open, which matters in few lists.
    is_stopped = state.status in ("paused", "canceled")
    return "open" if is_stopped and widen_block_of(unit, leg.contact) else None


def _note_leg(unit: Unit, leg: Leg, event: Event) -> None:
    unit.execute(
        "UPDATE legs SET answered_at = ? WHERE id = ? AND ended_at IS NULL",
        (leg.answered_at, leg.id),
    )
    if unit.rowcount:
        unit.tell((event,))


def _end_leg(unit: Unit, leg: Leg) -> bool:
    unit.execute(END_LEG, (leg.answered_at, leg.ended_at, leg.outcome, leg.sip_code, leg.id))
    if not unit.rowcount:
        return False
    unit.tell((rules.leg_ended(leg),))
    return True
