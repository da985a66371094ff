"""platoon_jobs.py: the interpreter of a section's Python platforms.

    python3 platoon_jobs.py --specs FOLDER [PATH…]   what its classes say of themselves, one line of JSON
    python3 platoon_jobs.py serve                    for a sanjer: fd 3 is a socket of whole packets

Standard library only. Started by collector and sanjers, and dies with them (PR_SET_PDEATHSIG is theirs to set). As a server it loads
every platform once, says {"ready": true}, and makes a child of itself for each {"fork": N} with four pipes: a job's lines, its output,
its errors, and what it says to us (platoon_child.py). The child is the sanjer's own, not ours.
It runs no job itself and keeps nothing.
"""
import array
import ctypes
import json
import os
import signal
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CONTROL = 3
PACKET = 1 << 20

sys.dont_write_bytecode = True  # nothing of ours is left in the users' folders


def load_apart(folder, skip):
    """What load_all says, as specs, from a process of its own; and the platform that ended it, and how."""
    import platoon_class
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            told = {}
            loaded, broken = platoon_class.load_all(folder, skip, lambda name: os.write(writes, f"{name}\n".encode()))
            for name, found in loaded.items():
                try:
                    told[name] = platoon_class.spec(found)
                except Exception as error:  # a default whose repr raises, an annotation that does
                    broken[name] = platoon_class.one_line(error)
            with open(writes, "w") as answer:
                answer.write(json.dumps([told, broken]))
        finally:
            os._exit(0)
    os.close(writes)
    with open(reads) as answer:
        lines = answer.read().splitlines()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if lines and lines[-1].startswith("["):
        return json.loads(lines[-1]), None
    how = f"killed by signal {-code}" if code < 0 else f"exited with code {code}"
    return None, (lines[-1] if lines else "", "its interpreter ended: " + how)


def specs(folder, path):
    """One that ends the process takes no other with it: the rest is loaded anew, without it."""
    import platoon_class
    out = os.dup(1)
    os.dup2(2, 1)  # what modules print while they load is no answer
    platoon_class.prepare(folder, path)
    ended, killed = {}, set()
    while True:
        answer, culprit = load_apart(folder, ended)
        if answer is not None:
            break
        name, why = culprit
        if why.endswith("killed by signal 9") and name not in killed:
            killed.add(name)  # by whom nobody knows: it is to blame when that happens again
            continue
        if name in ended:
            sys.exit("the platforms cannot be loaded: " + why)
        ended[name] = why
    told, broken = answer
    os.write(out, (json.dumps({"platforms": told, "broken": {**broken, **ended}}) + "\n").encode())


def receive(control):
    """A packet and the descriptors that came with it; None at the end."""
    fds = array.array("i")
    data, with_it, _, _ = control.recvmsg(PACKET, socket.CMSG_SPACE(8 * fds.itemsize), socket.MSG_CMSG_CLOEXEC)
    for level, kind, content in with_it:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(content[:len(content) - len(content) % fds.itemsize])
    return (json.loads(data), list(fds)) if data else None


def tell(control, **packet):
    control.send(json.dumps(packet).encode("utf-8", "replace"))


PR_GET_TID_ADDRESS, SYS_CLONE, CLONE_PARENT, CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID = 40, 56, 0x8000, 0x200000, 0x1000000


def fork_sibling():
    """As os.fork, but the child's parent is ours: half the work of a fork and another one whose parent goes. The kernel writes the child's number where libc
    keeps it, as libc's own fork has it do. None: not on this machine."""
    if os.uname().machine != "x86_64":
        return None
    here, libc = ctypes.c_void_p(), ctypes.PyDLL(None, use_errno=True)
    if libc.prctl(PR_GET_TID_ADDRESS, ctypes.byref(here), 0, 0, 0) != 0 or not here.value:
        return None
    flags = CLONE_PARENT | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | signal.SIGCHLD
    libc.syscall.restype = ctypes.c_long
    ctypes.pythonapi.PyOS_BeforeFork()
    pid = libc.syscall(ctypes.c_long(SYS_CLONE), ctypes.c_ulong(flags), None, None, here, None)
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
        return 0
    error = ctypes.get_errno()
    ctypes.pythonapi.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(error, os.strerror(error))
    return pid


def become(control, number, between, fds, hello, broken):
    code = 1
    try:
        import platoon_child
        code = platoon_child.main(control, number, between, fds, hello, broken)
    finally:
        os._exit(code)


def make(control, number, fds, hello, broken):
    """A child whose parent is the sanjer: by a fork whose parent dies as soon as it has made it, where there is no other way."""
    made = fork_sibling()
    if made == 0:
        become(control, number, 0, fds, hello, broken)
    if made is None:
        between = os.fork()
        if between == 0:
            try:
                between = os.getpid()
                if os.fork() == 0:
                    become(control, number, between, fds, hello, broken)
            finally:
                os._exit(0)
        os.waitpid(between, 0)
    for fd in fds:
        os.close(fd)


def serve():
    import platoon_class
    control = socket.socket(fileno=CONTROL)
    control.set_inheritable(False)
    hello, _ = receive(control)
    platoon_class.prepare(hello["folder"], hello["path"])
    broken = dict(hello["skip"])
    for name in hello["preload"]:
        platoon_class.preload(name)
    _, more = platoon_class.load_all(hello["folder"], broken, lambda name: tell(control, loading=name))
    broken.update(more)
    import platoon_child  # noqa: F401, in memory before any fork
    if hello["functions"]:
        import platoon_function
        try:
            platoon_function.prepare()
        except ImportError:
            pass  # whoever runs a function says so
    import gc
    gc.collect()
    gc.freeze()  # what is there now is shared with every child, and stays so
    tell(control, ready=True)
    while True:
        got = receive(control)
        if got is None:
            return
        make(control, got[0]["fork"], got[1], hello, broken)


def main(argv):
    sys.path.insert(0, HERE)
    if argv[1:2] == ["--specs"] and len(argv) >= 3:
        specs(argv[2], argv[3:])
    elif argv[1:] == ["serve"]:
        serve()
    else:
        sys.exit("platoon_jobs.py: --specs FOLDER [PATH…], or serve, is wanted")


if __name__ == "__main__":
    main(sys.argv)
