"""Whether the process lives, whether it can dial, and what it does."""

from __future__ import annotations

from typing import Final

from api.http.exchange import Answer, Exchange, answer
from api.http.problem import Fault, Problem, not_found

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus's text format."""


async def get_healthz(exchange: Exchange) -> Answer:
    """GET /healthz"""
    return answer({"status": "alive"})


async def get_readyz(exchange: Exchange) -> Answer:
    """GET /readyz"""
    problems = exchange.engine.problems() + exchange.front.find_problems()
    if problems:
        faults = [Fault("not_ready", problem) for problem in problems]
        raise Problem("not_ready", " ".join(problems), faults)
    return answer({"status": "ready"})


async def get_metrics(exchange: Exchange) -> Answer:
    """GET /metrics"""
    show = exchange.front.show_metrics
    if show is None:
        raise not_found("page", "metrics")
    return Answer(200, show(), METRICS_TYPE)
