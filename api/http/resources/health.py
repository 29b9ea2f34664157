"""Whether the process lives, and whether it can dial."""

from __future__ import annotations

from api.http.exchange import Answer, Exchange, answer
from api.http.problem import Fault, Problem


async def get_healthz(exchange: Exchange) -> Answer:
    """GET /healthz"""
    return answer({"status": "alive"})


async def get_readyz(exchange: Exchange) -> Answer:
    """GET /readyz"""
    problems = exchange.engine.problems()
    if problems:
        faults = [Fault("not_ready", problem) for problem in problems]
        raise Problem("not_ready", " ".join(problems), faults)
    return answer({"status": "ready"})
