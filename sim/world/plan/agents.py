"""Flows with agents: who of them comes and goes when. How their telephones are answered, and that they hang
up at any moment, is the network's (`sim.world.network`).

Drawn apart from the rest of the plan, so that a seed means what it meant before.
"""

from __future__ import annotations

from random import Random
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from engine.model import Flow, Message
from engine.model.agent import Agent
from sim.world.plan.parts import Action, Plan

LIKELIHOOD: Final = 0.2
"""Share of seeds in which some flow has agents."""
AGENTS_MAX: Final = 4
"""Of one flow."""
PREFIX: Final = "+141526677"
"""Of the telephones of agents; two more digits follow."""


def add_agents(plan: Plan) -> Plan:
    """The plan, some of whose flows may have agents now."""
    chance = Random(f"{plan.seed}/agents")
    if chance.random() >= LIKELIHOOD:
        return plan
    staffed = [one for one in plan.flows if chance.random() < 0.6] or [plan.flows[0]]
    flows = {one.id: one for one in plan.flows}
    agents: list[Agent] = []
    actions: list[Action] = []
    for flow in staffed:
        flows[flow.id] = _dialer(flow, chance)
        for _ in range(chance.randrange(1, AGENTS_MAX + 1)):
            agent = _agent(len(agents), flow, chance)
            agents.append(agent)
            actions += _shift(agent, plan.horizon_s, chance)
    actions += (_for_agents(one, agents, chance) for one in plan.actions)
    staffed_plan = replace(
        plan,
        flows=tuple(flows.values()),
        agents=tuple(agents),
        actions=tuple(sorted(actions, key=lambda one: one.at)),
    )
    return staffed_plan if chance.random() < 0.3 else _with_room(staffed_plan)


def _with_room(plan: Plan) -> Plan:
    """The plan with room for agents beside customers: each takes a channel for as long as they stay."""
    return replace(
        plan,
        channels=max(plan.channels, 30),
        trunks=tuple(replace(one, channels=max(one.channels, 30)) for one in plan.trunks),
        dids=tuple(
            replace(one, channels=max(one.channels, 10), cps=max(one.cps, 0.5), caps=())
            for one in plan.dids
        ),
        flows=tuple(
            replace(one, settings=replace(one.settings, channels=None, calling_window=None))
            for one in plan.flows
        ),
        accounts=tuple(
            replace(
                one,
                rules=replace(one.rules, channels=None, calling_window=None, calls_per_day=None),
            )
            for one in plan.accounts
        ),
    )


def _dialer(flow: Flow, chance: Random) -> Flow:
    settings = replace(
        flow.settings,
        dialing=chance.choice(("progressive", "power")),
        power_ratio=chance.choice((1.0, 2.0, 5.0)),
        abandoned_max=chance.choice((0.03, 0.5)),
        answer_wait_s=chance.choice((0.0, 2.0, 10.0)),
        safe_harbour=Message(play="prm_hello"),
        wrap_up_s=chance.choice((0.0, 5.0)),
        first=chance.choice(("agent", "customer")),
        agent_ring_timeout_s=chance.choice((5.0, 20.0)),
    )
    return replace(flow, kind="dialer", settings=settings)


def _agent(place: int, flow: Flow, chance: Random) -> Agent:
    wrap_up_s = chance.choice((None, None, 1.0))
    number = f"{PREFIX}{place:02}"
    at = flow.created_at
    name = f"agent {place}"
    return Agent(f"agt_{place}", flow.account, flow.id, number, name, wrap_up_s, "away", at, at)


def _shift(agent: Agent, horizon_s: float, chance: Random) -> list[Action]:
    """Comes, now and then goes, and comes again: also after a restart, at which everybody is away."""
    actions = []
    at = chance.uniform(0, 30)
    while at < horizon_s * 0.8:
        actions.append(Action(at, "agent_comes", agent.id))
        at += chance.choice((5.0, 60.0, 120.0))
        if chance.random() < 0.4:
            actions.append(Action(at, "agent_goes", agent.id))
            at += chance.choice((1.0, 30.0))
        elif chance.random() < 0.3:
            actions.append(Action(at, "agent_parts", agent.id))
    return actions


def _for_agents(action: Action, agents: list[Agent], chance: Random) -> Action:
    """A single call that is for one agent."""
    own = [one for one in agents if one.flow == action.target]
    if action.deed != "call" or not own or chance.random() < 0.5:
        return action
    trigger: dict[str, Any] = msgspec.json.decode(action.body)
    return replace(action, body=msgspec.json.encode(trigger | {"agent": chance.choice(own).number}))
