"""The engine's openings to the outside: each module names what the engine needs, nobody who gives it."""
