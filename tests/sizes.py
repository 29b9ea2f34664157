"""How large a test runs: quick under `make test`, long under `make test-long`."""

from __future__ import annotations

import os


def size(quick: int, long: int) -> int:
    """`long` where `CALLWHEEL_TEST_SIZE=long` asks for it, else `quick`."""
    return long if os.environ.get("CALLWHEEL_TEST_SIZE") == "long" else quick
