"""How hypothesis draws: the same examples at each run of `make test`, so that a red run speaks of the
change at hand; new ones at each run of `make test-long`, which is where they are looked for."""

from __future__ import annotations

from hypothesis import settings

from tests.sizes import size

settings.register_profile("callwheel", derandomize=bool(size(1, 0)), deadline=None)
settings.load_profile("callwheel")
