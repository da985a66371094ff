"""Functions that rq's client has enqueued: a module of them, and what a test asks of them."""
import json

from platoon_fixture import wait_until, whole_lines
from rq import Queue

TASKS = '''
import asyncio, json, os, sys, time
from rq import get_current_job

SEEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'seen')


def note(**what):
    with open(SEEN, 'a') as f:
        f.write(json.dumps({'what': 'begin', 'pid': os.getpid(), 'job': get_current_job().id, **what}) + '\\n')


def add(a, b=2):
    note()
    return a + b


async def later(a):
    await asyncio.sleep(0.01)
    return a * 2


class Till:
    def __init__(self, sum):
        self.sum = sum

    def take(self, more):
        return Till(self.sum + more)

    @staticmethod
    def count():
        return 7


def fail(until=0):
    note()
    print('before it fails')
    if len([line for line in open(SEEN) if json.loads(line)['job'] == get_current_job().id]) <= until:
        raise ValueError('it is\\nnot so')
    return 'at last'


def die(until):
    note()
    if len([line for line in open(SEEN) if json.loads(line)['job'] == get_current_job().id]) <= until:
        os.kill(os.getpid(), 11)
    return 'alive'


def leave():
    sys.exit(0)


def meta():
    job = get_current_job()
    job.meta['step'] = job.meta['from'] + 1
    job.save_meta()
    return [job.origin, job.connection.get('counter')]


def wait(path):
    note()
    while not os.path.exists(path):
        time.sleep(0.02)
    return 'waited'


def loop():
    while True:
        time.sleep(0.02)


def deaf():
    while True:
        try:
            loop()
        except BaseException:
            pass


def large(count):
    return 'x' * count


def unreturnable():
    return lambda: 1


def unkept():
    """Of RQ 2, which has another value kept instead."""
    from rq import defaults
    defaults.UNSERIALIZABLE_RETURN_VALUE_PAYLOAD = 'Unserializable return value'
    return lambda: 1


def on_success(job, connection, result):
    connection.rpush('called', f'success {job.id} {result}')


def on_failure(job, connection, kind, value, traceback):
    connection.rpush('called', f'failure {job.id} {kind.__name__}')


def on_stopped(job, connection):
    connection.rpush('called', f'stopped {job.id}')


def again(most, knows=False):
    """What RQ 2 is told by a Retry that is returned; RQ 1's job does not know its number, nor its client what came of one too many."""
    import rq
    job = get_current_job()
    note()
    if not hasattr(job, 'number_of_retries'):
        job.number_of_retries = int(job.connection.hget(job.key, 'number_of_retries') or 0) or None
        if knows:
            rq.results.Result.Type.MAX_RETRIES_EXCEEDED = 5
    return rq.Retry(max=2, interval=[0, 1]) if len([line for line in open(SEEN) if json.loads(line)['job'] == job.id]) <= most else 'enough'


def on_success_that_fails(job, connection, result):
    raise KeyError('callback')
'''


class Functions:
    def __init__(self, etlas, folder):
        self.etlas, self.redis, self.folder = etlas, etlas.redis, folder
        self.queue = Queue("default", connection=self.redis)

    def start(self, sanjers=2, **keys):
        self.etlas.start(sanjers, **{"python.program": "/usr/bin/python3", "python.path": self.folder, "python.functions": "default high", **keys})
        return self

    def until(self, job, status, timeout=60):
        wait_until(lambda: job.get_status(refresh=True) == status, timeout, f"{job.id} to be {status}")
        return job

    def value(self, job):
        return self.until(job, "finished").return_value(refresh=True)

    def seen(self, job):
        return [row for row in map(json.loads, whole_lines(self.folder / "seen")) if row["job"] == job.id]
