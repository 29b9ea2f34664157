"""Answering machine detection, as whoever detects needs it; `engine.amd` holds the words."""

from engine.amd import AmdParameters, AmdVerdict, Answerer

__all__ = ["AmdParameters", "AmdVerdict", "Answerer"]
