"""Prompts: made from what was uploaded, and kept as files that planes map."""
