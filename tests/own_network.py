"""A network for each worker of pytest-xdist, so that no two of them meet at a port of loopback.

The media plane takes its ports from one range, and a packet that is still on its way to a port that
was closed would reach whoever has it next: within one run that is the same test, across two it is not.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from typing import Final

CLONE_NEWNET: Final = 0x40000000
SIOCSIFFLAGS: Final = 0x8914
IFF_UP: Final = 0x1


def enter_own_network() -> None:
    """Leave the machine's network for a new one that has loopback only, for this thread and all that it
    will start (network_namespaces(7)). Raises `OSError` where the kernel does not allow it: it takes
    root."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
