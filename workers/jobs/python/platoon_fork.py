"""platoon_fork.py: a fork whose child is our parent's, and the least that it may cost.

Runs in the interpreter of a sanjer. Imported before anything that imports threading or logging: what these two do in each child touches some
140 pages, a third of all that a short job touches, and each is copied. It repairs what other threads may have held; with none there is nothing
to repair. So theirs is done only where a thread is, and in every fork of the users' own. What others register is always done.
"""
import os

_register, _alone = os.register_at_fork, False


def _register_theirs(**calls):
    _register(**{when: lambda call=call: _alone or call() for when, call in calls.items()})


os.register_at_fork = _register_theirs
import logging  # noqa: E402, F401
import threading  # noqa: E402, F401
os.register_at_fork = _register

import ctypes  # noqa: E402
import signal  # noqa: E402

PR_GET_TID_ADDRESS, SYS_CLONE, CLONE_PARENT, CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID = 40, 56, 0x8000, 0x200000, 0x1000000


def has_threads():
    """Also such as Python does not know."""
    return os.stat("/proc/self/task").st_nlink != 3


class Sibling:
    """As os.fork, but the child's parent is ours: half the work of a fork and another one whose parent goes. The kernel writes the child's number where libc
    keeps it, as libc's own fork has it do."""

    def __init__(self):
        libc, here = ctypes.PyDLL(None, use_errno=True), ctypes.c_void_p()
        self.works = os.uname().machine == "x86_64" and libc.prctl(PR_GET_TID_ADDRESS, ctypes.byref(here), 0, 0, 0) == 0 and bool(here.value)
        flags = CLONE_PARENT | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | signal.SIGCHLD
        self.words = ctypes.c_long(SYS_CLONE), ctypes.c_ulong(flags), None, None, here, None
        self.clone = libc.syscall
        self.clone.restype = ctypes.c_long
        self.before, self.in_child, self.in_parent = (getattr(ctypes.pythonapi, "PyOS_" + name) for name in ("BeforeFork", "AfterFork_Child", "AfterFork_Parent"))

    def fork(self):
        global _alone
        _alone = not has_threads()
        self.before()
        pid = self.clone(*self.words)
        error = ctypes.get_errno()
        (self.in_child if pid == 0 else self.in_parent)()
        _alone = False
        if pid < 0:
            raise OSError(error, os.strerror(error))
        return pid
