"""Platforms: what they say of themselves, what they take, and what is wrong with them."""
import json
import time

from platoon_fixture import wait_until

# Says what it was told.
ECHO = """#!/usr/bin/python3 -B
import json, sys
SPEC = %s
if sys.argv[1:] == ["--spec"]:
    print(json.dumps(SPEC))
    sys.exit()
told = json.loads(sys.stdin.readline())
print(json.dumps({"result": told["settings"]}), flush=True)
for line in told["settings"].get("say") or []:
    print(line if isinstance(line, str) else json.dumps(line), flush=True)
"""
ALL = {"display_name": "CoinIs", "timeout": 90, "retries": 3, "rerun": False, "secrets": ["key"],
       "settings": {"date": {"type": "str"}, "days": {"type": "int", "default": 7}, "key": {"type": "str", "required": False},
                    "db_password": {"type": "str", "default": "of the platform"}, "say": {"type": "list", "required": False}}}


def rows(etlas):
    return {row["platform_id"]: row for row in etlas.platoon.json("job", "platforms")}


def refused(etlas, *words):
    done = etlas.platoon.ctl("job", "run", *words)
    assert done.returncode == 2, done
    return done.stderr.strip().removeprefix("platoonctl: ")


def test_what_a_platform_says_of_itself(etlas):
    etlas.add("echo.py", ECHO % ALL)
    etlas.start(timezone="Pacific/Auckland")
    row = rows(etlas)["echo"]
    assert (row["display_name"], row["timeout_ms"], row["retries"], row["rerun"], row["broken"]) == ("CoinIs", 90000, 3, False, None)
    assert row["settings"]["date"] == {"type": "datetime", "default": None, "required": True, "secret": False}
    assert row["settings"]["db_password"] == {"type": "str", "default": "***", "required": False, "secret": True}
    shown = etlas.platoon.ctl("job", "platforms").stdout
    assert "date:datetime [days:int=7] [key:str]" in shown and "of the platform" not in shown
    job = etlas.run({"date": "2026-07-01", "days": "3"}, platform="echo")
    done = etlas.until(job, "finished")
    assert done["result"] == {"date": "2026-07-01T00:00:00+12:00", "days": 3, "key": None, "db_password": "of the platform", "say": None}
    fields = etlas.redis.hgetall(f"rq:job:{job}")
    assert (fields[b"timeout"], fields[b"platoon.retries"], fields[b"platoon.rerun"]) == (b"90", b"3", b"0")
    words = etlas.until(etlas.run({}, "date=2 Jan 2026 2pm", platform="echo"), "finished")
    assert words["result"]["date"] == "2026-01-02T14:00:00+13:00"


def test_what_does_not_fit_is_refused(etlas):
    etlas.add("echo.py", ECHO % ALL)
    etlas.start()
    assert refused(etlas, "echo") == "Missing parameters in request: date"
    assert refused(etlas, "echo", "date=today", "dates=1") == "Unknown parameters in request: dates"
    said = refused(etlas, "echo", "date=yestrday", "days=x")
    assert said == 'Invalid parameters in request: date: no date: "yestrday", days: no int: "x"'
    assert "is no JSON object" in refused(etlas, "echo", "--settings", "[]")
    assert "is no JSON object" in refused(etlas, "echo", "--settings", "@/nowhere")
    (etlas.platoon.dir / "given").write_text('{"date": "today"}')
    assert etlas.platoon.ctl("job", "run", "echo", "--settings", f"@{etlas.platoon.dir}/given", "--wait").returncode == 0
    assert etlas.redis.scard("rq:queues") == 1 and etlas.platoon.json("job", "list")["total"] == 1


def test_what_is_broken_says_why_and_harms_no_other(etlas):
    etlas.add("echo.py", ECHO % {})
    etlas.add("fails.py", "#!/bin/sh -e\necho no module named coin >&2\nexit 3\n")
    etlas.add("words.py", "#!/bin/sh -e\necho hello\n")
    etlas.add("typed.sh", "#!/bin/sh\n", '{"settings": {"a": {"type": "number"}}}')
    etlas.add("missing.py", "#!/nowhere/python\n")
    etlas.add("twice.py", ECHO % {})
    etlas.add("twice.sh", "#!/bin/sh\n")
    etlas.add("loud.py", "#!/bin/sh -e\nexec head -c 1000000 /dev/zero\n")
    (etlas.folder / "_own.py").write_text("")
    etlas.add("base_thing.sh", "#!/bin/sh\n")
    etlas.start()
    why = {name: row["broken"] for name, row in rows(etlas).items() if row["broken"]}
    assert set(why) == {"fails", "words", "typed", "missing", "twice", "loud"} and set(rows(etlas)) - set(why) == {"coinis", "echo"}
    assert why["fails"] == "--spec exited with code 3: no module named coin"
    assert why["words"].startswith("--spec printed no JSON: ")
    assert why["typed"] == "settings: a: type is none of str int float bool datetime list dict"
    assert why["missing"] == "it cannot be started: No such file or directory"
    assert why["twice"].startswith("it is there 2 times, first as ")
    assert why["loud"] == "--spec printed more than 256KB"
    done = etlas.platoon.ctl("job", "run", "fails")
    assert done.returncode == 1 and "platform fails is broken: --spec exited with code 3" in done.stderr
    assert "broken: --spec exited with code 3: no module named coin" in etlas.platoon.ctl("job", "platforms").stdout
    etlas.until(etlas.run(platform="echo"), "finished")


def test_a_changed_file_is_read_anew(etlas):
    etlas.add("echo.py", ECHO % {"settings": {"a": {"type": "int"}}})
    etlas.start()
    assert refused(etlas, "echo") == "Missing parameters in request: a"
    etlas.add("echo.py", ECHO % {"settings": {"bb": {"type": "int", "default": 2}}})
    assert etlas.until(etlas.run(platform="echo"), "finished")["result"] == {"bb": 2}
    etlas.add("new.py", ECHO % {})
    assert etlas.until(etlas.run(platform="new"), "finished")["result"] == {}
    (etlas.folder / "new.py").unlink()
    wait_until(lambda: "new" not in rows(etlas), 60, "it to be gone")
    assert etlas.platoon.ctl("job", "run", "new").returncode == 5


def test_classes_say_what_they_are(etlas):
    """Beside programs, and read anew."""
    (etlas.folder / "shop_it.py").write_text("""from platforms.base_platform import BasePlatform
class ShopIt(BasePlatform):
    TIMEOUT = 60
    RETRIES = 2
    SECRETS = ["key"]
    def __init__(self, date: str, days: int = 3, key: str = "k"):
        self.date = date
    def _run(self):
        return 1
""")
    (etlas.folder / "bad_one.py").write_text("import nowhere\n")
    etlas.start()
    row = rows(etlas)["shop_it"]
    assert (row["broken"], row["timeout_ms"], row["retries"]) == (None, 60000, 2)
    assert {name: one["type"] for name, one in row["settings"].items()} == {"date": "datetime", "days": "int", "key": "str"}
    assert row["settings"]["key"] == {"type": "str", "default": "***", "required": False, "secret": True}
    assert "nowhere" in rows(etlas)["bad_one"]["broken"]
    assert refused(etlas, "shop_it") == "Missing parameters in request: date"
    (etlas.folder / "bad_one.py").write_text("class BadOne:\n    def __init__(self, n: int): pass\n    def _run(self): pass\n")
    assert refused(etlas, "bad_one") == "Missing parameters in request: n"
    assert rows(etlas)["coinis"]["broken"] is None


def test_a_file_that_hangs_is_broken(etlas):
    etlas.add("hangs.py", "#!/bin/sh -e\nsleep 3600 &\nsetsid sleep 3600 &\nwait\n")
    etlas.start()
    done = etlas.platoon.ctl("--timeout", "60s", "--json", "job", "platforms")
    why = {row["platform_id"]: row["broken"] for row in json.loads(done.stdout)}
    assert why == {"coinis": None, "hangs": "--spec took longer than 10s"}
    collector = etlas.platoon.workers()["jobs/etlas/collector"]["pid"]
    wait_until(lambda: not open(f"/proc/{collector}/task/{collector}/children").read().split(), 60, "what it has started to be gone")


def test_secrets(etlas):
    etlas.add("echo.py", ECHO % ALL)
    etlas.add("fails.py", (ECHO % ALL).replace("told =", "sys.exit(78)\ntold ="))
    etlas.start(sanjers=1)
    given = {"date": "today", "key": "correct horse", "db_password": "short",
             "say": ["it is correct horse, and short", {"update": {"correct horse": ["correct horse"]}}]}
    job = etlas.run(given, platform="echo")
    done = etlas.until(job, "finished")
    assert done["settings"]["key"] == done["settings"]["db_password"] == "***"
    assert done["output"] == "it is ***, and short\n" and done["meta"] == {"***": ["***"]}
    assert not etlas.redis.hexists(f"rq:job:{job}", "platoon.secrets")
    del given["say"]
    bad = etlas.run(given, platform="fails")
    etlas.until(bad, "failed")
    assert json.loads(etlas.redis.hget(f"rq:job:{bad}", "platoon.secrets")) == {"key": "correct horse", "db_password": "short"}
    shown = etlas.platoon.ctl("job", "show", bad).stdout + etlas.platoon.log() + etlas.platoon.ctl("tree").stdout
    assert "correct horse" not in shown
    said = refused(etlas, "echo", "date=today", "key=correct horse", "days=x", "--settings", '{"db_password": 5}')
    assert said == 'Invalid parameters in request: days: no int: "x", db_password: no str'


def test_time_and_attempts_are_the_platforms(etlas):
    slow = {"timeout": "1s", "retries": 1}
    etlas.add("slow.sh", "#!/bin/sh\nexec sleep 600\n", json.dumps(slow))
    etlas.start(sanjers=1, retry_min="100ms", stop_timeout="500ms")
    begun = time.monotonic()
    done = etlas.until(etlas.run(platform="slow"), "failed")
    assert (done["cause"], done["reason"], done["attempt"]) == ("timeout", "timed out after 1s", 2)
    assert time.monotonic() - begun >= 2


def test_what_must_not_run_twice_fails(etlas):
    etlas.add("once.sh", "#!/bin/sh\nkill -9 $PPID\nsleep 60\n", '{"rerun": false}')
    etlas.start(sanjers=1)
    done = etlas.until(etlas.run(platform="once"), "failed")
    assert (done["cause"], done["attempt"]) == ("lost", 1)


def test_numbers_come_back_as_they_were_written(etlas):
    """Seventeen digits where there are as many, and no more than that where there are fewer."""
    etlas.add("echo.py", """#!/usr/bin/python3 -B
import sys
if sys.argv[1:]:
    sys.exit(print('{"settings":{"all":{"type":"list"}}}'))
line = sys.stdin.readline()
print(line)  # as it was told
print('{"result":' + line[line.index('"all":') + 6:line.rindex("]") + 1] + "}")
""")
    etlas.start(sanjers=1)
    written = "[0.1,0.30000000000000004,12345678901234567,9007199254740993,1234567890.1234567,-0.0,1e-07,100.0]"
    job = etlas.platoon.json("job", "run", "echo", f"--settings={{\"all\":{written}}}")["job_id"]
    etlas.until(job, "finished")
    hash_of = etlas.redis.hgetall(f"rq:job:{job}")
    assert hash_of[b"platoon.settings"].decode() == '{"all":' + written + "}" and hash_of[b"platoon.result"].decode() == written
    assert '"all":' + written in hash_of[b"platoon.output"].decode()
    assert f"{written}\n" in etlas.platoon.ctl("job", "show", job).stdout
    assert "".join(etlas.platoon.ctl("job", "show", job, "--json").stdout.split()).count(written) == 3  # settings, result, output
