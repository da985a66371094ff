"""platoon_child.py: a child of the interpreter: it runs one job after the other until its pipe of jobs ends.

A job comes as one line, {"job_id","id","platform_id","attempt","settings"}; what it says goes line by line through a pipe of its own,
as a program says it on its stdout (JOBS.md), and then {"exception": …} or {"result": …}, and {"end": {"left","cpu_ms","rss"}}. left: a
thread or a process of the job is still there, and the sanjer ends us for it. What is printed is output. Leaves a process of its own when
the users' code ends it (sys.exit, os._exit, a signal): the sanjer sees that as it would of a program.
"""
import ctypes
import gc
import json
import logging
import os
import resource
import signal
import sys
import threading
import time
import traceback

PR_SET_PDEATHSIG = 1

_say_fd = -1
_say_lock = threading.Lock()
hello = {}


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode  # json.dumps makes one for each call


def line_of(**line):
    return (_encode(line) + "\n").encode("utf-8", "replace")


def say(**line):
    """One line to the sanjer; whole, from any thread."""
    say_lines(line_of(**line))


def say_lines(data):
    with _say_lock:
        while data:
            data = data[os.write(_say_fd, data):]


class Job:
    """What rq's Job shows of itself to the users' code, as far as an Etlas file uses it."""

    def __init__(self, told):
        self.id, self.platform_id, self.attempt = told["job_id"], told["platform_id"], told["attempt"]
        self.meta = {}

    def get_id(self):
        return self.id

    def save_meta(self):
        from platoon_plain import plain
        say(update=plain(self.meta))


current = None  # the Job that runs


def _adopted(between):
    """Waits until the sanjer is our parent. False: there is none any more."""
    while os.getppid() == between:
        time.sleep(0.0002)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return os.getppid() == hello["sanjer"]


def _streams(fds):
    """0 is empty, 1 and 2 are the output. The pipes of jobs and of what is said, away from where users look."""
    jobs, out, err, said = fds
    null = os.open("/dev/null", os.O_RDONLY)
    for fd, to in ((null, 0), (out, 1), (err, 2)):
        os.dup2(fd, to)
        os.close(fd)
    sys.stdin = open(0, closefd=False)
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    return jobs, said


def _left():
    """Whether a thread or a process of the job is still there."""
    if threading.active_count() > 1:
        return True
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
        return True
    except ChildProcessError:
        return False


def _cpu_ms():
    own, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return int(1000 * (own.ru_utime + own.ru_stime + theirs.ru_utime + theirs.ru_stime))


def _run(told, broken):
    """The line of its result; b"" when there is none."""
    if "function" in told:
        import platoon_function
        platoon_function.run(told)
        return b""
    import platoon_class
    name = told["platform_id"]
    if name in broken:
        say(fault="platform: " + name + ": " + broken[name])
        return b""
    try:
        found = platoon_class.load(name)
    except (Exception, platoon_class.TooLong) as error:
        say(fault="platform: " + name + ": " + platoon_class.one_line(error))
        return b""
    from platoon_plain import plain
    platform = found(**platoon_class.arguments(found, told["settings"]))
    platform._job = current
    if not hasattr(platform, "logger"):
        platform.logger = logging.getLogger()
    return line_of(result=plain(platform._run()))


def say_raised(error):
    text = " ".join(str(error).split())
    say(exception={"reason": ("raised " + type(error).__name__ + (": " + text if text else ""))[:400].encode("utf-8", "replace").decode(),
                   "memory": False, "traceback": traceback.format_exc(limit=-50)[-60000:]})


def _serve(told, broken):
    global current
    current = Job(told)
    before, result = _cpu_ms(), b""
    try:
        result = _run(told, broken)
    except MemoryError as error:
        gc.collect()
        say(exception={"reason": ("out of memory: " + (str(error) or "MemoryError"))[:400], "memory": True, "traceback": traceback.format_exc()})
    except SystemExit:
        raise
    except BaseException as error:
        say_raised(error)
    finally:
        current = None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass  # they closed it
    end = line_of(end={"left": _left(), "cpu_ms": _cpu_ms() - before, "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024})
    say_lines(result + end)  # at once: the sanjer wakes up for each


def _exit(error):
    """sys.exit as the interpreter would do it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    os.write(2, (str(error.code) + "\n").encode("utf-8", "replace"))
    return 1


def main(control, number, between, fds, told_hello, broken):
    global _say_fd, hello
    hello = told_hello
    jobs, _say_fd = _streams(fds)
    if not _adopted(between):
        return 1
    control.send(json.dumps({"child": number, "pid": os.getpid()}).encode())
    control.close()
    if hello["memory_max"] > 0:
        resource.setrlimit(resource.RLIMIT_DATA, (hello["memory_max"], hello["memory_max"]))
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    kept, environment, first = os.environ, dict(os.environ), True
    held = getattr(kept, "_data", kept)  # as bytes: what is compared for each job need not be decoded for it
    as_it_was = dict(held)
    with open(jobs, "rb") as lines:
        for line in lines:
            if first:
                os.setsid()  # until now the sanjer knows us by the interpreter's session
                first = False
            os.chdir(hello["folder"])
            if os.environ is not kept or held != as_it_was:
                os.environ = kept
                kept.clear()
                kept.update(environment)
            try:
                _serve(json.loads(line), broken)
            except SystemExit as error:
                return _exit(error)
    return 0
