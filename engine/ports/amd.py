"""Answering machine detection, as whoever detects needs it; `engine.model.amd` holds the words."""

from engine.model.amd import AmdParameters, AmdVerdict, Answerer

__all__ = ["AmdParameters", "AmdVerdict", "Answerer"]
