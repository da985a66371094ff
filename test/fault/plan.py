"""plan.py: orders for processes that run with shim.c preloaded; the other side of struct shim_plan."""
import mmap
import pathlib
import struct

from platoon_fixture import BUILD

KINDS = ["alloc", "write", "send", "sync"]  # enum shim_kind
SHORTAGES = ["process", "pipe", "node", "memory"]  # enum shim_shortage
COUNTDOWN, FAILED, CALLS, DELAY, CLOCK, SHORTAGE, SPARED, WRITE_ERROR = 0, 4, 8, 12, 16, 17, 21, 25  # struct shim_plan, in words of 8 bytes

HALF = -1  # SHIM_HALF


def environment(directory):
    """What preloads the shim and tells it where the plans are."""
    return {"LD_PRELOAD": str((BUILD / "test/fault/shim.so").resolve()), "PLATOON_SHIM_DIR": str(directory)}


class Plan:
    """The orders for every process of one program, old and new; and of others, as if they were that one."""

    def __init__(self, directory, program, *others):
        path = pathlib.Path(directory) / program
        path.write_bytes(bytes(4096))
        for other in others:
            (path.parent / other).hardlink_to(path)
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 4096)

    def put(self, word, value):
        struct.pack_into("<q", self.map, 8 * word, value)

    def fail(self, kind, n):
        """The nth call of that kind from now on fails; 0: none does."""
        self.put(FAILED + KINDS.index(kind), 0)
        self.put(COUNTDOWN + KINDS.index(kind), n)

    def write_error(self, error):
        """What a write to a file that fails is answered with, instead of ENOSPC; HALF: nothing, but only half of it is written."""
        self.put(WRITE_ERROR, error)

    def failed(self, kind):
        return struct.unpack_from("<q", self.map, 8 * (FAILED + KINDS.index(kind)))[0]

    def calls(self, kind):
        return struct.unpack_from("<q", self.map, 8 * (CALLS + KINDS.index(kind)))[0]

    def delay(self, kind, seconds):
        """Every call of that kind takes so much longer."""
        self.put(DELAY + KINDS.index(kind), int(seconds * 1000000))

    def clock(self, seconds):
        """The wall clock is set forward by so much; negative: back."""
        self.put(CLOCK, int(seconds))

    def shortage(self, of, error, spared=0):
        """Until it is 0: what whoever would make one of those is answered with, after so many that each process may make. Of "memory" it is
        the size from which on there is none."""
        self.put(SPARED + SHORTAGES.index(of), spared)
        self.put(SHORTAGE + SHORTAGES.index(of), error)
