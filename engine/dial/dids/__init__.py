"""A DID at work: its actor, what lies before it, and what waits for it."""
