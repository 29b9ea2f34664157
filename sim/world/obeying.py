"""What people ask of a running engine beside what they want called, as the API asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import trio
from msgspec import Struct

from engine.model.do_not_call import DoNotCall
from engine.model.events import rfc3339
from engine.runtime import Engine
from sim.world.plan import Action

if TYPE_CHECKING:
    from sim.world.run import World


PATIENCE_S: Final = 60.0
"""How long somebody waits for an agent's telephone to be answered."""


class Reply(Struct, frozen=True):
    """What is answered."""

    answer: str
    accepted: int = 0
    """Contacts that were taken."""
    until: float | None = None
    """The start time that was given, seconds since the epoch."""


async def obey(world: World, engine: Engine, action: Action, target: str) -> Reply:
    """Ask for what an action says, of a list, a contact, a flow, an account or a DID."""
    match action.deed:
        case "pause" | "resume" | "cancel":
            return await _change_list(world, engine, action, target)
        case "cancel_contact":
            account = world.store.tables.contacts[target].account
            contact = await engine.cancel_contact(account, target)
            return Reply("none" if contact is None else contact.state)
        case "reschedule_list" | "reschedule_contact":
            return await _reschedule(world, engine, action, target)
        case "prioritise_list":
            account = world.store.tables.lists[target].state.account
            form = {"priority": action.body.decode()}
            changed = await engine.rescheduling.change_list(account, target, form)
            return Reply("none" if changed is None else "done")
        case "do_not_call":
            expires_at = world.clock.now() + action.amount if action.amount else None
            bound = action.body.decode() or None
            one = DoNotCall(target, bound, world.clock.now(), expires_at)
            accounts = [*world.store.tables.accounts]
            if bound is not None:
                accounts = [world.store.tables.flows[bound].account]
            for account in accounts:
                await engine.store.put_do_not_call(account, [one])
            return Reply("done")
        case "letter":
            account, _, key = target.partition("/")
            assert world.postman is not None
            await world.postman.post(account, key, "who@example.com", "Receipt", "It was taken.")
            return Reply("done")
        case "agent_comes" | "agent_goes" | "agent_parts":
            return await _tell_agent(world, engine, action, target)
        case "rest_did":
            rest = {"for_s": action.amount} if action.amount else {}
            await engine.dids.rest(None, target, rest)
            return Reply("done")
        case "resume_did":
            await engine.dids.resume(None, target)
            return Reply("done")
        case "listener_off" | "listener_on":
            flow = world.store.tables.flows[target]
            account_of = world.store.tables.accounts[flow.account]
            state = action.deed == "listener_on"
            await engine.administration.set_listener(account_of, target, state)
            return Reply("done")
    return await _hold(world, engine, action, target)


async def _change_list(world: World, engine: Engine, action: Action, target: str) -> Reply:
    account = world.store.tables.lists[target].state.account
    change = {
        "pause": engine.pause_list,
        "resume": engine.resume_list,
        "cancel": engine.cancel_list,
    }[action.deed]
    found = await change(account, target)
    return Reply("none" if found is None else found.status)


async def _reschedule(world: World, engine: Engine, action: Action, target: str) -> Reply:
    tables, rescheduling = world.store.tables, engine.rescheduling
    starttime = float(round(world.clock.now() + action.amount))
    form = {"starttime": rfc3339(starttime)}
    found: Any
    if action.deed == "reschedule_list":
        found = await rescheduling.change_list(tables.lists[target].state.account, target, form)
    else:
        found = await rescheduling.change_contact(tables.contacts[target].account, target, form)
    return Reply("none") if found is None else Reply("done", until=starttime)


async def _tell_agent(world: World, engine: Engine, action: Action, target: str) -> Reply:
    agent = world.store.tables.agents[target]
    if action.deed == "agent_parts":
        engine.staffing.at_work.part(agent)
        return Reply("done")
    presence = "available" if action.deed == "agent_comes" else "away"
    flow = world.store.tables.flows[agent.flow]
    process = world.process
    assert process is not None
    with trio.CancelScope(deadline=trio.current_time() + PATIENCE_S) as scope:
        # Whose telephone rings as the process dies is told nothing.
        process.on_death[scope] = scope.cancel
        try:
            found = await engine.staffing.change_agent(flow, target, {"presence": presence})
            return Reply("none" if found is None else "done")
        finally:
            process.on_death.pop(scope, None)
    process.check()
    return Reply("unavailable")


async def _hold(world: World, engine: Engine, action: Action, target: str) -> Reply:
    holding = engine.holding
    match action.deed:
        case "stop_account":
            await engine.holding.stop_account(target)
        case "start_account":
            await engine.holding.start_account(target)
        case "pause_account":
            await holding.pause_account(target)
        case "resume_account":
            await holding.resume_account(target)
        case "cancel_account":
            await holding.cancel_account(target)
        case "pause_flow":
            await holding.pause_flow(world.store.tables.flows[target].account, target)
        case "resume_flow":
            await holding.resume_flow(world.store.tables.flows[target].account, target)
        case "cancel_flow":
            await holding.cancel_flow(world.store.tables.flows[target].account, target)
        case _:
            raise AssertionError(f"nobody knows how to {action.deed}")
    return Reply("done")
