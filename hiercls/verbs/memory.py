"""Keep freed memory in the process: forward passes ask for the same large blocks again and again.

glibc gives a block of this size back to the system as soon as it is free, and every pass then pays thousands of page
faults: a third of the time of a small network. The setting is the process's own, so it is made where a process of
ours begins, never in a library call.
"""

import ctypes
import platform

_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3


def keep_freed_memory() -> None:
    """Do so where the C library is glibc; elsewhere nothing is needed."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)
