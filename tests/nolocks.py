"""Run a command as on a file system without locks: `python -m tests.nolocks ENOLCK sa-sr train ...`.

A filter of system calls answers flock and fcntl's locks with that error: Python's, those of HDF5's C code, and those of
whatever the command starts.
"""

import ctypes
import errno
import os
import platform
import struct
import sys

FLOCK, FCNTL = {"x86_64": (73, 72), "aarch64": (32, 25)}[platform.machine()]
COMMANDS = (5, 6, 7, 36, 37, 38)
"""fcntl's F_GETLK, F_SETLK, F_SETLKW, and the same of an open file."""
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, FILTER = 22, 38, 2


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def refuse_locks(error: int) -> None:
    """From now on, here and in every process started from here."""
    steps = [
        (LOAD, 0, 0, 0),  # the number of the system call
        (EQUAL, len(COMMANDS) + 3, 0, FLOCK),
        (EQUAL, 0, len(COMMANDS) + 1, FCNTL),
        (LOAD, 0, 0, 24),  # its second argument
        *((EQUAL, len(COMMANDS) - i, 0, command) for i, command in enumerate(COMMANDS)),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, REFUSE | error),
    ]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    libc = ctypes.CDLL(None, use_errno=True)
    program = Program(len(steps), code)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "no filter of system calls here")


if __name__ == "__main__":
    refuse_locks(getattr(errno, sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
