"""platoon_jobs.py: the interpreter of a section's Python platforms.

    python3 platoon_jobs.py --specs FOLDER [PATH…]   what its classes say of themselves, one line of JSON
    python3 platoon_jobs.py serve                    for a sanjer: fd 3 is a socket of whole packets

Standard library only. Started by collector and sanjers, and dies with them (PR_SET_PDEATHSIG is theirs to set). As a server it loads
every platform once, says {"ready": true}, and makes a child of itself for each {"fork": N} with four pipes: a job's lines, its output,
its errors, and what it says to us (platoon_child.py). The child is the sanjer's own, not ours.
It runs no job itself and keeps nothing.
"""
import array
import gc
import json
import os
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CONTROL = 3
PACKET, ORDER = 1 << 20, 128  # bytes of the first, and of those that want a child: for each a buffer is made

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


def receive(control, size=PACKET):
    """A packet and the descriptors that came with it; None at the end."""
    fds = array.array("i")
    data, with_it, _, _ = control.recvmsg(size, socket.CMSG_SPACE(8 * fds.itemsize), socket.MSG_CMSG_CLOEXEC)
    for level, kind, content in with_it:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(content[:len(content) - len(content) % fds.itemsize])
    return (json.loads(data), list(fds)) if data else None


def tell(control, **packet):
    control.send(json.dumps(packet).encode("utf-8", "replace"))


PR_GET_TID_ADDRESS, SYS_CLONE, CLONE_PARENT, CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID = 40, 56, 0x8000, 0x200000, 0x1000000


def become(main, between, fds, on_ready):
    code = 1
    try:
        code = main(between, fds, on_ready)
    finally:
        os._exit(code)


def make_by_two(main, control, number, fds):
    """By a fork whose parent dies as soon as it has made it: where there is no other way."""
    def on_ready():
        tell(control, child=number, pid=os.getpid())
        control.close()
    between = os.fork()
    if between == 0:
        try:
            between = os.getpid()
            if os.fork() == 0:
                become(main, between, fds, on_ready)
        finally:
            os._exit(0)
    os.waitpid(between, 0)


def make(main, control, sibling, number, fds):
    """A child that runs main and whose parent is the sanjer."""
    if sibling.works:
        pid = sibling.fork()
        if pid == 0:
            become(main, 0, fds, control.close)
        control.send(b'{"child":%d,"pid":%d}' % (number, pid))
    else:
        make_by_two(main, control, number, fds)
    for fd in fds:
        os.close(fd)


def serve():
    import platoon_fork  # before all that has threads in mind
    import platoon_child
    import platoon_class
    control = socket.socket(fileno=CONTROL)
    control.set_inheritable(False)
    hello, _ = receive(control)
    platoon_class.prepare(hello["folder"], hello["path"])
    broken = dict(hello["skip"])
    for name in hello["preload"]:
        platoon_class.preload(name)
    loaded, more = platoon_class.load_all(hello["folder"], broken, lambda name: tell(control, loading=name))
    broken.update(more)
    if hello["functions"]:
        import platoon_function
        try:
            platoon_function.prepare()
        except ImportError:
            pass  # whoever runs a function says so
    platoon_child.prepare(hello, broken, loaded)
    sibling = platoon_fork.Sibling()
    gc.collect()
    gc.freeze()  # what is there now is shared with every child, and stays so
    tell(control, ready=True)
    while True:
        got = receive(control, ORDER)
        if got is None:
            return
        make(platoon_child.main, control, sibling, got[0]["fork"], got[1])


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
