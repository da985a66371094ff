"""platoon_function.py: a function that rq's client has enqueued, run as rq's worker runs it, with rq's own Job around it.

Runs in a child of the interpreter, in queues that python.functions names. The hash of the job comes with its line, so that Redis is asked for nothing
unless the function asks. What it returns is said twice: as its serializer has it, which rq's clients read, and as JSON, which is shown. Its time is over
by an exception in it, as with RQ; the sanjer ends what does not heed that. Needs rq and redis, the users' own; all else is the standard library.
"""
import asyncio
import base64
import contextlib
import json
import os
import signal
import sys
import traceback
import zlib

import platoon_child
from platoon_plain import plain

CALLBACK_SECONDS = 60  # RQ's CALLBACK_TIMEOUT
SHOWN_MAX = 65536      # of a result that is shown
_connection = None


class Refused(Exception):
    """It cannot be run here, and another attempt would not help."""


def prepare():
    """In memory before any fork."""
    import redis  # noqa: F401
    import rq.job  # noqa: F401
    import rq.serializers  # noqa: F401
    import rq.timeouts  # noqa: F401


def _tls(w):
    return {"ssl": True, "ssl_ca_certs": w.get("ca"), "ssl_certfile": w.get("cert"), "ssl_keyfile": w.get("key")} if w.get("tls") else {}


def _connect(w):
    import redis
    if "password" not in w:
        raise Refused("platform: the password of the section's Redis cannot be read by functions")
    common = {"db": w["db"], "username": w.get("user"), "password": w["password"] or None}
    if w.get("path"):
        return redis.Redis(unix_socket_path=w["path"], **common)
    if w.get("host"):
        return redis.Redis(host=w["host"], port=w["port"], **common, **_tls(w))
    from redis.sentinel import Sentinel
    theirs = {"password": w["sentinel_password"] or None, **_tls(w)}
    return Sentinel([tuple(address) for address in w["sentinels"]], sentinel_kwargs=theirs).master_for(w["sentinel_name"], **common, **_tls(w))


def connection():
    """To the section's Redis; nothing is sent before it is used. One a child."""
    global _connection
    if _connection is None:
        _connection = _connect(platoon_child.hello["redis"])
    return _connection


def _serializer(data):
    from rq.serializers import DefaultSerializer, JSONSerializer
    with contextlib.suppress(zlib.error):
        data = zlib.decompress(data)
    return JSONSerializer if data[:1] in (b"[", b"{") else DefaultSerializer


def _job_class():
    from rq.job import Job

    class Function(Job):
        """Its meta is shown too."""

        def save_meta(self):
            super().save_meta()
            platoon_child.say(update=_shown_meta(self.meta))

    Function.__name__ = "Job"
    return Function


def _shown(value):
    try:
        value = plain(value)
        size = len(json.dumps(value, ensure_ascii=False))
    except Exception:
        value, size = plain(repr(value)[:500]), 0
    return value if size <= SHOWN_MAX else f"{type(value).__name__} of {size} bytes as JSON"


def _shown_meta(meta):
    return {str(name): _shown(value) for name, value in meta.items()} if isinstance(meta, dict) else {"meta": _shown(meta)}


@contextlib.contextmanager
def _limited(seconds):
    """Raises JobTimeoutException in the main thread; None or below 0: never."""
    from rq.timeouts import JobTimeoutException

    def over(*_):
        raise JobTimeoutException(f"Task exceeded maximum timeout value ({seconds} seconds)")
    if seconds is None or seconds <= 0:
        yield
        return
    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _current(job):
    """What rq.get_current_job() and, in RQ 1, Queue() without a connection find."""
    from rq import job as module
    pushed = None
    with contextlib.suppress(ImportError):
        from rq.connections import pop_connection, push_connection
        push_connection(job.connection)
        pushed = pop_connection
    module._job_stack.push(job)
    try:
        yield
    finally:
        module._job_stack.pop()
        if pushed is not None:
            pushed()


def _restore(told):
    job_id = told["job_id"]
    fields = {name.encode(): base64.b64decode(value) for name, value in told["function"].items()}
    if b"data" not in fields:
        raise Refused("platform: its hash has no data, which names a function")
    job = _job_class()(job_id, connection=connection(), serializer=_serializer(fields[b"data"]))
    job.restore(fields)
    return job, fields


def _call(job):
    value = job.func(*job.args, **job.kwargs)
    if not asyncio.iscoroutine(value):
        return value
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(value)
    finally:
        loop.close()


def _dumped(job, value):
    """With RQ 2 a job has finished whose value cannot be kept, with this text instead; with RQ 1 it has failed."""
    try:
        return job.serializer.dumps(value)
    except Exception:
        from rq import defaults
        instead = getattr(defaults, "UNSERIALIZABLE_RETURN_VALUE_PAYLOAD", None)
        if instead is None:
            raise
        return job.serializer.dumps(instead)


def _returned_line(job, value):
    line = {"result": _shown(value), "return_value": base64.b64encode(_dumped(job, value)).decode()}
    size = len(line["return_value"])
    if size > platoon_child.hello["line_max"] - SHOWN_MAX * 2:
        raise Refused(f"platform: what it returns has {size} bytes in Redis: dataset_max of the section is what it may have")
    return line


def _is_retry(job, value):
    from rq import Retry
    return isinstance(value, Retry) and hasattr(job, "number_of_retries")  # RQ 1 knows none that is returned


def _retry_line(job, retry):
    """RQ 2 counts these by themselves, beside those of the enqueue. Which results its clients know depends on its version."""
    from rq.results import Result
    done = job.number_of_retries or 0
    line = _returned_line(job, retry)
    del line["result"]
    if done < retry.max:
        intervals = list(retry.intervals or [0])
        return {**line, "retry": {"number": done + 1, "seconds": intervals[min(done, len(intervals) - 1)]}}
    if not hasattr(Result.Type, "MAX_RETRIES_EXCEEDED"):
        del line["return_value"]
    return {**line, "retry": {"spent": True}, "exception": {
        "reason": f"returned a Retry after {done} of them: max={retry.max}", "memory": False, "traceback": f"Job failed after {retry.max} retry attempts"}}


def _seconds(job, which):
    return getattr(job, which + "_callback_timeout", None) or CALLBACK_SECONDS


def _succeed(job):
    with _limited(job.timeout):
        value = _call(job)
    job._result, job.ended_at = value, _now()
    if _is_retry(job, value):
        return _retry_line(job, value)
    line = _returned_line(job, value)
    if job.success_callback:
        seconds = _seconds(job, "success")
        platoon_child.say(more=seconds)
        with _limited(seconds):
            job.success_callback(job, job.connection, value)
    return line


def _fail(job):
    job.ended_at = _now()
    if job.failure_callback:
        seconds = _seconds(job, "failure")
        platoon_child.say(more=seconds)
        with _limited(seconds):
            job.failure_callback(job, job.connection, *sys.exc_info())


@contextlib.contextmanager
def _stoppable(job, fields):
    """Whom stop-job ends is told so first (RQ 2's on_stopped, which a client that knows it writes): in its own process, for as long as stop_timeout lets it."""
    from rq.utils import import_attribute
    name = fields.get(b"stopped_callback_name")
    if not name:
        yield
        return
    callback = import_attribute(name.decode())

    def stopped(*_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            if job.connection.hexists(job.key, "platoon.stop"):  # else it is over for another reason
                callback(job, job.connection)
        except BaseException:
            traceback.print_exc()
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    before = signal.signal(signal.SIGTERM, stopped)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _now():
    import datetime
    return datetime.datetime.utcnow()


def run(told):
    """Says what has become of it: {"result", "return_value"} or {"exception"}, or {"fault"}."""
    try:
        prepare()
    except ImportError as error:
        platoon_child.say(fault=f"platform: {error}: install python3-rq, or set python.path")
        return
    from rq.timeouts import JobTimeoutException
    try:
        job, fields = _restore(told)
        os.environ["RQ_JOB_ID"] = job.id
        if job.meta:
            platoon_child.say(update=_shown_meta(job.meta))
        with _current(job), _stoppable(job, fields):
            try:
                line = _succeed(job)
            except BaseException:
                _fail(job)
                raise
        platoon_child.say(**line)
    except Refused as error:
        platoon_child.say(fault=str(error))
    except JobTimeoutException:
        platoon_child.say(exception={"reason": "timed out", "memory": False, "timeout": True, "traceback": traceback.format_exc(limit=-50)[-60000:]})
    except SystemExit as error:  # which ends no job well with RQ
        platoon_child.say_raised(error)
