"""The one place that names concrete adapters: it puts an installation together and takes it apart.

The order matters at the end as much as at the beginning. When the engine is told to stop, the HTTP front
closes first, then calls that are up end, then whatever carried them: signalling, media, the store.
"""

from api.compose.clock import SystemClock
from api.compose.installation import run_engine
from api.compose.started import CannotStart, Started

__all__ = ["CannotStart", "Started", "SystemClock", "run_engine"]
