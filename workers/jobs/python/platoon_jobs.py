"""platoon_jobs.py: the interpreter of a section's Python platforms.

    python3 platoon_jobs.py --specs FOLDER [PATH…]   what its classes say of themselves, one line of JSON
    python3 platoon_jobs.py serve                    for a sanjer: fd 3 is a socket of whole packets

Standard library only. Started by collector and sanjers, and dies with them (PR_SET_PDEATHSIG is theirs to set). As a server it loads
every platform once, says {"ready": true}, and makes a child of itself for each number that comes with four pipes: a job's lines, its output,
its errors, and what it says to us (platoon_child.py). The child is the sanjer's own, not ours.
It runs no job itself and keeps nothing.
"""
import gc
import json
import os
import socket
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CONTROL = 3
PACKET, ORDER = 1 << 20, 32  # bytes of the first, and of those that want a child: for each a buffer is made
ENDS = struct.Struct("4i")

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


def orders(control):
    """The number of each child that is wanted, and the ends of its pipes. What is done for one touches pages that a child has still in common with
    us, and copies them: it is little."""
    space = socket.CMSG_SPACE(ENDS.size)
    while True:
        data, with_it, _, _ = control.recvmsg(ORDER, space, socket.MSG_CMSG_CLOEXEC)
        if not data:
            return
        yield int(data), ENDS.unpack(with_it[0][2])


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
            become(main, 0, fds, lambda: os.close(CONTROL))
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
    hello = json.loads(control.recv(PACKET))
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
    platoon_child.rehearse()
    sibling = platoon_fork.Sibling()
    gc.collect()
    gc.freeze()  # what is there now is shared with every child, and stays so
    tell(control, ready=True)
    for number, fds in orders(control):
        make(platoon_child.main, control, sibling, number, fds)


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
