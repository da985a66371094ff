"""platoon_child.py: a child of the interpreter: it runs one job after the other until its pipe of jobs ends.

A job comes as one line, {"job_id","id","platform_id","attempt","settings","last"}; what it says goes line by line through a pipe of its own,
as a program says it on its stdout (JOBS.md), and then {"exception": …} or {"result": …}, and {"end": {"left","cpu_ms","rss"}}. left: a
thread or a process of the job is still there, and the sanjer ends us for it. What is printed is output. Leaves a process of its own when
the users' code ends it (sys.exit, os._exit, a signal): the sanjer sees that as it would of a program. last: there is none after it; what
it says at its end is the last thing that happens here, so that the next job need not wait until we are gone.

prepare runs in the interpreter, once: what it makes is shared, and what a child makes itself it pays for, page by page.
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

import platoon_class
import platoon_fork
import platoon_plain

PR_SET_PDEATHSIG = 1
REHEARSALS = 20  # CPython 3.11 makes code so at the eighth

_say_fd = -1
_say_lock = threading.Lock()
_libc = ctypes.CDLL(None)
_prctl, _waitpid = _libc.prctl, _libc.waitpid
_signals = [int(number) for number in signal.valid_signals()]
_cpu = 0.0  # seconds, when the last job ended
_broken, _classes = {}, {}
_environment, _environment_held = {}, {}  # as text, and as os.environ has it: what is compared for each job need not be decoded for it
hello = {}


_scan = json.JSONDecoder().scan_once  # json.loads without its five functions
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
        say(update=platoon_plain.plain(self.meta))


current = None  # the Job that runs


def _adopted(between):
    """Waits until the sanjer is our parent. False: there is none any more."""
    while os.getppid() == between:
        time.sleep(0.0002)
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return os.getppid() == hello["sanjer"]


def _streams(fds):
    """1 and 2 are the output; 0 is empty already. The pipes of jobs and of what is said, away from where users look."""
    jobs, out, err, said = fds
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.close(out)
    os.close(err)
    return jobs, said


def _left(last):
    """Whether a thread or a process of the job is still there. Of the last one nothing of the users' runs any more behind this: no handler of
    a signal, and no thread that Python does not know (before others such threads are their libraries', and stay)."""
    if last:
        signal.pthread_sigmask(signal.SIG_BLOCK, _signals)
    if platoon_fork.has_threads() if last else threading.active_count() > 1:
        return True
    while (ended := _waitpid(-1, None, os.WNOHANG)) > 0:
        pass
    return ended == 0  # below: there is none; os.waitpid would make an exception of that, with its text in the user's language


def _class(name):
    """The class of a platform and the parameters that are its settings."""
    found, parameters = _classes.get(name, (None, None))
    if found is None:
        found = platoon_class.load(name)
    return found, platoon_class.parameters(found) if parameters is None else parameters


def _run(told):
    """The line of its result; b"" when there is none."""
    if "function" in told:
        import platoon_function
        platoon_function.run(told)
        return b""
    name = told["platform_id"]
    if name in _broken:
        say(fault="platform: " + name + ": " + _broken[name])
        return b""
    try:
        found, parameters = _class(name)
    except (Exception, platoon_class.TooLong) as error:
        say(fault="platform: " + name + ": " + platoon_class.one_line(error))
        return b""
    try:
        given = platoon_class.arguments(parameters, told["settings"])
    except (TypeError, ValueError) as error:
        say(fault="settings: " + " ".join(str(error).split())[:400])
        return b""
    platform = found(**given)
    platform._job = current
    if not hasattr(platform, "logger"):
        platform.logger = logging.getLogger()
    result = platform._run()
    return b'{"result": null}\n' if result is None else line_of(result=platoon_plain.plain(result))


def _flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass  # they closed it, or have put another thing there


def say_raised(error):
    text = " ".join(str(error).split())
    say(exception={"reason": ("raised " + type(error).__name__ + (": " + text if text else ""))[:400].encode("utf-8", "replace").decode(),
                   "memory": False, "traceback": traceback.format_exc(limit=-50)[-60000:]})


def _serve(told):
    global current, _cpu
    current, result = Job(told), b""
    try:
        result = _run(told)
    except MemoryError as error:
        gc.collect()
        say(exception={"reason": ("out of memory: " + (str(error) or "MemoryError"))[:400], "memory": True, "traceback": traceback.format_exc()})
    except SystemExit:
        raise
    except BaseException as error:
        say_raised(error)
    finally:
        current = None
    _flush()
    left, own, theirs = _left(told["last"]), resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    before, _cpu = _cpu, own.ru_utime + own.ru_stime + theirs.ru_utime + theirs.ru_stime
    end = b'{"end": {"left": %s, "cpu_ms": %d, "rss": %d}}\n' % (b"true" if left else b"false", 1000 * (_cpu - before), 1024 * own.ru_maxrss)
    say_lines(result + end)  # at once: the sanjer wakes up for each


def _exit(error):
    """sys.exit as the interpreter would do it."""
    _flush()
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    os.write(2, (str(error.code) + "\n").encode("utf-8", "replace"))
    return 1


def _held(environment):
    return getattr(environment, "_data", environment)


def _stream(fd):
    return open(fd, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)


def prepare(told_hello, broken, loaded):
    """In the interpreter, when all is loaded: what its children have in common."""
    global hello, _broken, _environment, _environment_held
    hello, _broken = told_hello, broken
    for name, found in loaded.items():
        try:
            _classes[name] = found, platoon_class.parameters(found)
        except Exception:
            pass  # a signature that raises: whoever runs it says so
    _flush()  # what modules have printed while they were loaded is no job's
    while (null := os.open("/dev/null", os.O_RDWR)) <= 2:
        pass  # they have closed one
    os.dup2(null, 0)
    os.close(null)
    sys.stdin, sys.stdout, sys.stderr = open(0, closefd=False), _stream(1), _stream(2)
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    _environment, _environment_held = dict(os.environ), dict(_held(os.environ))


class _Rehearsed:
    def _run(self):
        pass


def rehearse():
    """In the interpreter, behind prepare: jobs that do nothing, until their code is as Python's has become that has run for a while. Else each child
    would make it so, in pages of its own. One more in each child, before it has a job, was tried: it costs more than the job then waits less."""
    global _say_fd, _cpu
    _say_fd, _classes["-"] = os.open("/dev/null", os.O_WRONLY), (_Rehearsed, [])
    for _ in range(REHEARSALS):
        _serve(_scan('{"job_id": "-", "platform_id": "-", "attempt": 0, "settings": {}, "last": false}', 0)[0])
    os.close(_say_fd)
    _say_fd, _cpu = -1, 0.0
    del _classes["-"]


def _lines(fd):
    """Of the pipe, until its end."""
    parts = []
    while part := os.read(fd, 8192):
        parts.append(part)
        if part.endswith(b"\n"):  # the next comes when this one has been done
            yield b"".join(parts).decode()
            parts = []


def main(between, fds, on_ready):
    """on_ready: is called when the sanjer is our parent."""
    global _say_fd
    jobs, _say_fd = _streams(fds)
    if not _adopted(between):
        return 1
    on_ready()
    if hello["memory_max"] > 0:
        resource.setrlimit(resource.RLIMIT_DATA, (hello["memory_max"], hello["memory_max"]))
    kept, served = os.environ, 0
    for line in _lines(jobs):
        if served == 0:
            os.setsid()  # until now the sanjer knows us by the interpreter's session
        elif os.environ is not kept or _held(kept) != _environment_held:
            os.environ = kept
            kept.clear()
            kept.update(_environment)
        os.chdir(hello["folder"])
        served += 1
        told, _ = _scan(line, 0)
        try:
            _serve(told)
        except SystemExit as error:
            return _exit(error)
        if told["last"]:
            break
    return 0
