"""Stops all threads of a process but its first, until standard input ends: hold_threads.py PID

What the first thread does by itself still works then, and what it needs another for does not.
"""

import ctypes
import os
import select
import sys

PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request: int, thread: int) -> None:
    if libc.ptrace(request, thread, None, None) != 0:
        sys.exit(f"ptrace: {os.strerror(ctypes.get_errno())}")


pid = int(sys.argv[1])
held = {pid}


def hold_more() -> None:
    """Those that were started since, in the place of others that were held."""
    for thread in {int(name) for name in os.listdir(f"/proc/{pid}/task")} - held:
        ptrace(PTRACE_SEIZE, thread)
        ptrace(PTRACE_INTERRUPT, thread)
        held.add(thread)


hold_more()
print(f"held {len(held) - 1}", flush=True)
while not select.select([sys.stdin], [], [], 0.001)[0]:
    hold_more()
# The kernel lets go of them when this process ends.
