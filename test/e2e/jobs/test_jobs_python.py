"""Platforms that are Python classes: an interpreter that is warm, a child for jobs, and what becomes of either."""
import contextlib
import os
import signal

import pytest
from platoon_fixture import alive, wait_until

# As Etlas has them: unchanged, they run here.
ETLAS = '''
from datetime import datetime

from appcore.services import Factory
from platforms.base_platform import BasePlatform
from platforms.helpers.web import WebUtils


class CoinIs(BasePlatform):
    API_URL = 'http://some.url.com'

    def __init__(self, date: datetime, storage: dict, product: str = 'NA', product_id: str = '9999.0'):
        super().__init__()
        STORAGE_OPTIONS = {
            'mysql': self._store_mysql,
            'mail': self._send_mail
        }
        self._product = product
        self.date = date
        self._store = STORAGE_OPTIONS[storage['type']]
        self._storage_settings = storage['settings']

    def _run(self):
        import gzip
        self.update('login', 'started')
        records = WebUtils.archive_to_records(gzip.compress(b'a,b\\n1,x\\n2,y\\n'), 'gzip')
        self.update('login', 'completed')
        self.update('original', 'a,b\\n1,x\\n2,y\\n')
        self.logger.info('rows: ' + str(len(records)))
        assert Factory().get_config().get('platforms', 'class_storage')
        try:
            self._send_mail(None, {})
        except NotImplementedError:
            print('no mail')
        return {'rows': records, 'date': str(self.date), 'kind': type(self.date).__name__, 'product': self._product}
'''

# Does what its settings say.
DOES = '''
import _thread, ctypes, json, os, resource, signal, subprocess, sys, threading, time
from platforms.base_platform import BasePlatform

HERE = os.path.dirname(os.path.abspath(__file__))
served = 0


class Does(BasePlatform):
    left = None

    def __init__(self, do: str, until: str = None):
        self.do, self.until = do, until

    def note(self, what):
        with open(HERE + '/../seen', 'a') as f:
            f.write(json.dumps({'what': what, 'pid': os.getpid(), 'job': self._job.id, 'attempt': self._job.attempt}) + '\\n')

    def _run(self):
        global served
        served += 1
        self.note('begin')
        while self.until and not os.path.exists(self.until):
            time.sleep(0.02)
        value = getattr(self, 'do_' + self.do)()
        self.note('end')
        return value

    def do_pid(self):
        return {'pid': os.getpid(), 'ppid': os.getppid(), 'served': served}

    def do_raise(self):
        raise ValueError('it is\\nnot so')

    def do_memory(self):
        return len('x' * (1 << 50))

    def do_exit(self):
        print('last words', end='')
        sys.exit(78)

    def do_die(self):
        os.kill(os.getpid(), signal.SIGSEGV)

    def do_print(self):
        print('{"result": "forged"}')
        sys.stderr.write('to stderr\\n')
        os.system('echo from a shell')
        print('no end', end='')
        return [sys.stdin.read(), 1.5, None]

    def do_strange(self):
        return {'nul': 'a\\0b', 'half': '\\ud800', 'big': 2 ** 70, 'nan': float('nan'), 'set': {1}, 'bytes': b'x'}

    def do_object(self):
        return object()

    def do_loop(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            pass

    def do_child(self):
        print('child', subprocess.Popen(['/bin/sleep', '3600'], start_new_session=True).pid, flush=True)

    def do_daemon(self):
        subprocess.run(['/bin/sh', '-c', 'setsid /bin/sleep 3600 >/dev/null 2>&1 & echo child $!'])

    def do_thread(self):
        threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()

    def leave(self, *_):
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os.execv('/bin/sleep', ['left-by-' + self._job.id, '3600'])
        self.left = '/proc/%d/cmdline' % pid

    def has_left(self):
        return self.left is not None and 'left-by-' in open(self.left).read()

    def at_the_end(self, then):
        real = resource.getrusage  # what our process asks of itself when it has looked for what is left

        def getrusage(who, large=bytearray(b'x') * (128 << 20)):  # its end takes a while
            then()
            while not self.has_left() and signal.SIGALRM not in signal.sigpending():  # else it would have left
                time.sleep(0.001)
            return real(who)
        resource.getrusage = getrusage

    def do_timer(self):
        signal.signal(signal.SIGALRM, self.leave)
        self.at_the_end(lambda: signal.setitimer(signal.ITIMER_REAL, 0.001))

    def do_unknown(self):
        ends = []

        def run():
            while not ends:
                time.sleep(0.001)
            self.leave()
        _thread.start_new_thread(run, ())
        self.at_the_end(lambda: ends.append(True))

    def do_progress(self):
        self.progress(0.25)
        self.update('stage', 'one')
        self.do_loop()
'''


@pytest.fixture
def classes(etlas):
    (etlas.folder / "does.py").write_text(DOES)
    (etlas.folder / "coin_is.py").write_text(ETLAS)
    return etlas


def do(etlas, what, *options, **settings):
    return etlas.run({"do": what, **settings}, *options, platform="does")


def result(etlas, what, **settings):
    return etlas.until(do(etlas, what, **settings), "finished")["result"]


def child_of(etlas, job):
    wait_until(lambda: "child " in (etlas.show(job)["output"] or ""), 60, "the child's number")
    return int(etlas.show(job)["output"].split("child ")[1].split()[0])


def test_a_file_of_etlas_runs_unchanged(classes):
    classes.start()
    job = classes.run({"date": "2026-11-20", "storage": {"type": "mysql", "settings": {}}, "product": "p"}, platform="coin_is")
    shown = classes.until(job, "finished")
    assert shown["result"]["rows"] == [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]
    assert shown["result"]["date"] == "2026-11-20 00:00:00" and shown["result"]["kind"] == "datetime" and shown["result"]["product"] == "p"
    assert classes.meta(job) == {"login": "completed", "original": "a,b\n1,x\n2,y\n"}
    assert "rows: 2" in shown["output"] and "no mail" in shown["output"] and shown["exit_code"] is None
    from rq.job import Job
    assert Job.fetch(job, connection=classes.redis).latest_result().return_value["product"] == "p"


def test_one_process_serves_several_and_goes(classes):
    classes.start(sanjers=1, **{"sanjer.jobs_per_process": 3})
    rows = [result(classes, "pid") for _ in range(7)]
    sanjer = classes.platoon.workers()["jobs/etlas/sanjer.1"]["pid"]
    assert [row["served"] for row in rows] == [1, 2, 3, 1, 2, 3, 1]
    assert len({row["pid"] for row in rows}) == 3 and {row["ppid"] for row in rows} == {sanjer}
    wait_until(lambda: not alive(rows[0]["pid"]) and not alive(rows[3]["pid"]), 60, "those that have served to be gone")
    assert alive(rows[6]["pid"])


@pytest.mark.parametrize("what,cause,reason", [
    ("raise", "exception", "raised ValueError: it is not so"),
    ("memory", "memory", "out of memory: "),
    ("object", "exception", "raised TypeError: a value of type object has no JSON"),
    ("exit", "exit", "exited with code 78"),
    ("die", "signal", "killed by signal 11 (SIGSEGV)"),
    ("none", "exception", "raised AttributeError: "),
])
def test_how_it_fails(classes, what, cause, reason):
    classes.start(sanjers=1)
    job = do(classes, what)
    shown = classes.until(job, "failed")
    assert shown["cause"] == cause and shown["reason"].startswith(reason), shown
    if cause == "exception":
        from rq.job import Job
        told = Job.fetch(job, connection=classes.redis).latest_result().exc_string
        assert told.startswith("Traceback") and "does.py" in told or what == "object", told
    if what == "exit":
        assert shown["output"] == "last words" and shown["exit_code"] == 78
    assert classes.places(job) == ["failed"] and result(classes, "pid")["served"] in (1, 2)


def test_what_it_prints_is_output_only(classes):
    classes.start()
    shown = classes.until(do(classes, "print"), "finished")
    assert shown["result"] == ["", 1.5, None]
    for words in ('{"result": "forged"}\n', "to stderr\n", "from a shell\n", "no end"):
        assert words in shown["output"]


def test_values_without_json_are_told_as_well_as_can_be(classes):
    classes.start()
    assert result(classes, "strange") == {"nul": "a\ufffdb", "half": "?", "big": str(2 ** 70), "nan": None, "set": [1], "bytes": "x"}


def test_it_times_out(classes):
    classes.start(sanjers=1, timeout="5s", stop_timeout="200ms")  # time enough to say so much, also on a busy machine
    job = do(classes, "progress")
    shown = classes.until(job, "failed")
    assert (shown["cause"], shown["reason"]) == ("timeout", "timed out after 5s")
    assert shown["progress"] == 0.25 and shown["meta"] == {"stage": "one"}
    assert not alive(classes.seen(job=job)[0]["pid"])


def test_it_is_canceled(classes):
    classes.start(sanjers=1, stop_timeout="200ms")
    job = do(classes, "progress")
    wait_until(lambda: classes.show(job)["progress"] == 0.25, 60, "it to say how it goes")
    classes.platoon.ctl("job", "cancel", job)
    shown = classes.until(job, "stopped")
    assert shown["cause"] == "canceled" and not alive(classes.seen(job=job)[0]["pid"])
    assert result(classes, "pid")["served"] == 1


def test_a_secret_is_not_told(classes):
    (classes.folder / "keeps.py").write_text('''
class Keeps:
    SECRETS = ["key"]

    def __init__(self, key: str, password: str = "pass-of-theirs"):
        self.key, self.password = key, password

    def _run(self):
        print("key is", self.key, self.password)
        raise ValueError("not with " + self.key)
''')
    classes.start()
    job = classes.run({"key": "secret-of-theirs"}, platform="keeps")
    shown = classes.until(job, "failed")
    assert shown["reason"] == "raised ValueError: not with ***" and "key is *** " in shown["output"], shown
    from rq.job import Job
    assert "secret-of" not in Job.fetch(job, connection=classes.redis).latest_result().exc_string


def test_memory_is_bounded(classes):
    classes.add("eats.py", "#!/usr/bin/python3 -B\nimport sys\nif sys.argv[1:]:\n    sys.exit(print('{}'))\ntry:\n    x = bytearray(200 << 20)\nexcept MemoryError:\n    print('{\"result\": \"bounded\"}')\n")
    (classes.folder / "eater.py").write_text("class Eater:\n    def _run(self):\n        return len(bytearray(200 << 20))\n")
    classes.start(sanjers=1, **{"sanjer.memory_max": "100MB"})
    shown = classes.until(classes.run(platform="eater"), "failed")
    assert shown["cause"] == "memory" and shown["reason"].startswith("out of memory: "), shown
    assert classes.until(classes.run(platform="eats"), "finished")["result"] == "bounded"
    assert result(classes, "pid")["pid"]


@pytest.mark.parametrize("what", ["child", "daemon"])
def test_what_it_leaves_is_gone(classes, what):
    classes.start(sanjers=1)
    job = do(classes, what)
    classes.until(job, "finished")
    assert not alive(child_of(classes, job))


def test_a_process_with_a_thread_left_serves_no_other(classes):
    classes.start(sanjers=1)
    job = do(classes, "thread")
    classes.until(job, "finished")
    assert result(classes, "pid")["pid"] != classes.seen(job=job)[0]["pid"]
    wait_until(lambda: not alive(classes.seen(job=job)[0]["pid"]), 60, "it to be gone")


def words_of_all():
    """Of every process."""
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as words:
                yield words.read()
        except OSError:
            continue


@pytest.mark.parametrize("what", ["timer", "unknown"])
def test_the_next_begins_when_nothing_more_can_come(classes, what):
    """Of a process that has one job: a handler, and a thread that Python does not know, would start another behind its end."""
    classes.start(sanjers=1, **{"sanjer.jobs_per_process": 1})
    gate, job = classes.platoon.dir / "gate", do(classes, what)
    after = do(classes, "pid", until=str(gate))
    wait_until(lambda: classes.seen(job=after), 60, "the next to run")
    wait_until(lambda: not any(job.encode() in words for words in words_of_all()), 60, "what the first has started to be gone")
    gate.touch()
    classes.until(after, "finished")


def interpreter_of(etlas):
    """The warm one: the sanjer's child that runs our shim as a server, and has no other's session."""
    sanjer = etlas.platoon.workers()["jobs/etlas/sanjer.1"]["pid"]

    def found():
        with open(f"/proc/{sanjer}/task/{sanjer}/children") as children:
            pids = [int(pid) for pid in children.read().split()]
        for pid in pids:
            with contextlib.suppress(OSError):  # it has ended since
                if os.getsid(pid) == pid and b"serve" in open(f"/proc/{pid}/cmdline", "rb").read() and pid not in [row["pid"] for row in etlas.seen()]:
                    return pid
        return None
    return wait_until(found, 60, "the interpreter")


def test_its_interpreter_is_killed(classes):
    classes.start(sanjers=1, **{"sanjer.jobs_per_process": 1})
    gate = classes.platoon.dir / "gate"
    job = do(classes, "pid", until=str(gate))
    wait_until(lambda: classes.seen(job=job), 60, "it to run")
    os.kill(interpreter_of(classes), signal.SIGKILL)
    gate.touch()
    assert classes.until(job, "finished")["attempt"] == 1  # it needs its interpreter no more
    assert result(classes, "pid")["served"] == 1 and result(classes, "pid")["served"] == 1


def test_its_sanjer_is_killed(classes):
    classes.start(sanjers=1)
    gate = classes.platoon.dir / "gate"
    job = do(classes, "child", until=str(gate))
    wait_until(lambda: classes.seen(job=job), 60, "it to run")
    interpreter = interpreter_of(classes)
    os.kill(classes.platoon.workers()["jobs/etlas/sanjer.1"]["pid"], signal.SIGKILL)
    wait_until(lambda: len(classes.seen(job=job)) == 2, 60, "the second attempt")
    assert not alive(classes.seen(job=job)[0]["pid"]) and not alive(interpreter)
    gate.touch()
    shown = classes.until(job, "finished")
    assert shown["attempt"] == 2 and classes.places(job) == ["finished"]


def test_a_changed_file_is_what_runs(classes):
    classes.start(sanjers=1)
    before = result(classes, "pid")
    (classes.folder / "does.py").write_text(DOES.replace("'served': served}", "'served': served, 'new': True}"))
    after = result(classes, "pid")
    assert after["new"] and after["pid"] != before["pid"]
    (classes.folder / "later.py").write_text("class Later:\n    def _run(self):\n        return 'later'\n")
    assert classes.until(classes.run(platform="later"), "finished")["result"] == "later"


BROKEN = [
    ("class Broken(:\n", "SyntaxError"),
    ("import no_such_module\n", "ModuleNotFoundError"),
    ("class Other:\n    pass\n", "TypeError: there is no class Broken in broken.py"),
    ("import os\nos._exit(3)\n", "its interpreter ended: exited with code 3"),
    ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
]


def test_what_does_not_load_is_not_taken(classes):
    (classes.folder / "broken.py").write_text("")
    classes.start(sanjers=1)
    for text, why in BROKEN:
        (classes.folder / "broken.py").write_text(text)
        done = classes.platoon.ctl("job", "run", "broken")
        assert done.returncode != 0 and f"platform broken is broken: {why}" in done.stderr, done.stderr
        assert result(classes, "pid")["pid"]


@pytest.mark.parametrize("text,why", BROKEN)
def test_what_does_not_load_any_more_harms_no_other(classes, text, why):
    (classes.folder / "broken.py").write_text("class Broken:\n    def _run(self):\n        pass\n")
    classes.start(sanjers=1)
    classes.redis.set("rq:suspended", 1)
    job, other = classes.run(platform="broken"), do(classes, "pid")
    (classes.folder / "broken.py").write_text(text)
    classes.redis.delete("rq:suspended")
    shown = classes.until(job, "failed")
    assert shown["cause"] == "platform" and shown["reason"].startswith("platform: broken: " + why), shown["reason"]
    assert classes.until(other, "finished")["result"]["served"] in (1, 2)


def test_there_is_no_interpreter(classes):
    classes.start(sanjers=1, **{"python.program": "/nonexistent/python3"})
    done = classes.platoon.ctl("job", "run", "does", "do=pid")
    assert done.returncode != 0 and "No such file or directory" in done.stderr, done.stderr
    classes.until(classes.run(), "finished")


def test_it_reaches_the_sections_redis(classes):
    (classes.folder / "maps.py").write_text('''
import pickle
from appcore.services import Factory
from platforms.base_platform import BasePlatform


class Maps(BasePlatform):
    def _run(self):
        Factory().get_storage_client('redis').set('maps', record={'country': pickle.dumps({'germany': 'de'})})
        return [self.get_conversion_map('country', 'none')(name) for name in ('Germany', 'x')]
''')
    classes.start()
    assert classes.until(classes.run(platform="maps"), "finished")["result"] == ["de", "none"]


def test_the_users_files_come_first(classes):
    (classes.folder / "helpers").mkdir()
    (classes.folder / "helpers" / "mine.py").write_text("WORD = 'mine'\n")
    (classes.folder / "uses.py").write_text('''
from platforms.helpers.mine import WORD
from platforms.helpers.dataframes import DataframeUtils


class Uses:
    def _run(self):
        return WORD + DataframeUtils.__name__
''')
    (classes.platoon.dir / "lib").mkdir()
    (classes.platoon.dir / "lib" / "pre.py").write_text("import sys\nprint('preloaded', file=sys.stderr)\n")
    classes.start(**{"python.path": classes.platoon.dir / "lib", "python.preload": "pre"})
    assert classes.until(classes.run(platform="uses"), "finished")["result"] == "mineDataframeUtils"
