"""The simulated world: the engine itself, unchanged, under a virtual clock, with a carrier, a network and a
disk that misbehave as a seed says; and the judge, who looks at the run from outside.

`plan` draws a run from a seed, `run` lets it happen, `judge` says what was broken, `report` tells it.
"""
