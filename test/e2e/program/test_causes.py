"""Why a program does not run, in its own words: object, cause, remedy; and its last words in a line of their own.

What users of such programs have reported: supervisor#749, alexsilva/supervisor#25 (two writers on one pipe); one remedy for every errno.
"""
import json
import re
import subprocess

import pytest

from platoon_fixture import BUILD, wait_until

PLACES = 'platoon { runtime_dir = run  state_dir = state  backoff_min = 20ms  backoff_max = 200ms }\n'


def run(platoon, text, places=PLACES):
    platoon.config_path.write_text(places + text)
    return platoon.start(ready=False)


def script(path, text, mode=0o755):
    path.write_text(text)
    path.chmod(mode)
    return path


def died(platoon, name="p.1", state="BACKOFF"):
    return wait_until(lambda: (w := platoon.workers()[name])["state"] == state and w["last_exit"] and w, 10, state)


@pytest.mark.parametrize("text,says", [
    ('command = "/no/such/thing"', r"^cannot start /no/such/thing: No such file or directory: is it installed"),
    ('command = "no-such-thing"', r"^cannot start no-such-thing: it is in no directory of PATH: is it installed\? Or write its path \(PATH is /.*/bin"),
    ('command = "/etc/passwd"', r"^cannot start /etc/passwd: Permission denied: it is not executable: chmod \+x /etc/passwd"),
    ('command = "/etc/"', r"^cannot start /etc/: Permission denied: it is a directory"),
    ('command = "./crlf"', r"^cannot start /tmp/\S*/crlf: its first line names the interpreter /bin/sh and ends in a carriage return"),
    ('command = "./python"', r"^cannot start /tmp/\S*/python: its interpreter /opt/nowhere/python9, named by its first line, cannot be run"),
    ('command = "./foreign"', r"^cannot start /tmp/\S*/foreign: it is there, but not the loader that it names"),
    ('command = "./half"', r"^cannot start /tmp/\S*/half: it is no program that this system runs, or only a part of one"),
    ('command = "./empty"', r"^cannot start /tmp/\S*/empty: it is no program that this system runs, or only a part of one"),
    ('command = "true"  directory = "/no/such"', r"^cannot start true: directory /no/such: No such file or directory: make it"),
    ('command = "true"  log_file = "/no/such/log"', r"^log_file /no/such/log: No such file or directory"),
    ('command = "true"  user = nobody-at-all', r"^user = nobody-at-all: there is no such user on this host: make it"),
    ('command = "true"  group = nobody-at-all', r"^group = nobody-at-all: there is no such group on this host: make it"),
])
def test_what_cannot_be_started_now_is_tried_again(platoon, text, says):
    script(platoon.dir / "crlf", "#!/bin/sh\r\necho hi\r\n")
    script(platoon.dir / "python", "#!/opt/nowhere/python9\n")
    loader = open("/bin/true", "rb").read().replace(b"/ld-linux", b"/ld-nowhe")
    for name, content in (("foreign", loader), ("half", loader[:100]), ("empty", b"")):
        (platoon.dir / name).write_bytes(content)
        (platoon.dir / name).chmod(0o755)
    run(platoon, f'program p {{ {text} }}\nprogram other {{ command = "sleep 1000" }}')
    first = died(platoon)
    assert re.search(says, first["last_exit"]), first["last_exit"]
    wait_until(lambda: platoon.workers()["p.1"]["generation"] > first["generation"], 10, "another try")
    wait_until(lambda: platoon.workers()["other.1"]["state"] == "READY", 10, "the other one")
    assert re.search(says[1:], platoon.problems())


def test_a_text_without_a_first_line_is_the_shells(platoon):
    script(platoon.dir / "plain", "echo taken by $0 $1\nexec sleep 1000\n")
    run(platoon, 'program p { command = "./plain one" }')
    wait_until(lambda: f"taken by {platoon.dir}/./plain one" in platoon.log(), 10, "what it prints")


def test_it_starts_when_what_it_lacked_has_come(platoon):
    run(platoon, 'program p { command = "./late/run"  directory = "late" }')
    died(platoon)
    (platoon.dir / "late").mkdir()
    script(platoon.dir / "late" / "run", "#!/bin/sh\nexec sleep 1000\n")
    wait_until(lambda: platoon.workers()["p.1"]["state"] == "READY", 10, "READY without a hand")


def test_a_program_that_is_being_written(platoon):
    """ETXTBSY: a deployment copies over the file while the program is restarted."""
    path = platoon.dir / "busy"
    path.write_bytes(open("/bin/sleep", "rb").read())
    path.chmod(0o755)
    with open(path, "r+b"):
        run(platoon, 'program p { command = "./busy 1000" }')
        assert "somebody has it open for writing" in died(platoon)["last_exit"]
    wait_until(lambda: platoon.workers()["p.1"]["state"] == "READY", 10, "READY without a hand")


def test_arguments_that_no_try_can_shorten_are_fatal(platoon):
    run(platoon, f'program p {{ command = "true"  environment = "BIG={"x" * 200000}" }}')
    says = died(platoon, state="FATAL")["last_exit"]
    assert re.match(r"cannot start true: its arguments and variables are too long: 200\d\d\d bytes", says), says


@pytest.mark.parametrize("command,says", [
    ("exit 3", r"^exited 3 after \S+, \d+ MB$"),
    ("kill -SEGV $$", r"^killed by SIGSEGV \(Segmentation fault\) after \S+, \d+ MB$"),
    ("setsid sleep 1000 & exit 0", r"^exited 0 after \S+, \d+ MB: it left a process behind.*background.*foreground"),
])
def test_an_end_is_told_in_the_programs_words(platoon, command, says):
    run(platoon, f'program p {{ command = "sh -c \'{command}\'" }}', PLACES.replace("20ms", "5s").replace("200ms", "9s"))
    assert re.search(says, died(platoon)["last_exit"])


def test_nothing_is_cut_where_there_is_no_terminal(platoon, monkeypatch):
    """A long cause and a long line: through a pipe, and into a file."""
    monkeypatch.delenv("COLUMNS", raising=False)
    words = " ".join(f"word{i}" for i in range(40))
    script(platoon.dir / "talks", f"#!/bin/sh\necho '{words}'\nexec sleep 1000\n")
    missing, long = f"/no/such/{'x' * 150}", "y" * 24
    run(platoon, f'program p {{ command = "{missing}" }}\nprogram {long} {{ command = "./talks" }}', PLACES.replace("20ms", "5s").replace("200ms", "9s"))
    died(platoon)
    wait_until(lambda: words in platoon.log(), 10, "its line")
    cause = f"cannot start {missing}: No such file or directory: is it installed"
    out = platoon.dir / "out"
    for verb, whole in ((["status"], [cause, f"{long}.1"]), (["status", "p.1"], [cause]), (["tree"], [f"{long}.1"]), (["logs", f"{long}.1"], [words]),
                        (["crashes", "p.1"], [cause]), (["crashes"], [cause])):
        with out.open("w") as file:
            subprocess.run([BUILD / "platoonctl", "-s", platoon.dir / "run/control.sock", *verb], stdout=file, timeout=30)
        for text in (platoon.ctl(*verb).stdout, out.read_text()):
            lines = text.splitlines()
            assert all(any(part in line for line in lines) for part in whole) and "…" not in text, (verb, text)


@pytest.mark.parametrize("more", ["", "ready = \"log:panic\""], ids=["shared", "piped"])
def test_last_words_without_an_end_are_a_line(platoon, more):
    script(platoon.dir / "die", "#!/bin/sh\nprintf 'panic: out of cheese'\nkill -SEGV $$\n")
    run(platoon, f'program p {{ command = "./die"  restart = temporary {more} }}', PLACES.replace("state ", "state  log_format = json "))

    def lines():
        return [json.loads(line) for line in platoon.log().splitlines() if '"worker":"p.1"' in line]
    wait_until(lambda: any(line["event"] == "exit" for line in lines()), 10, "the worker's own line")
    assert [line["level"] for line in lines() if line.get("line") == "panic: out of cheese"] == ["info"]
    assert [line["level"] for line in lines() if line["event"] == "exit"] == ["error"]
    assert not [line for line in lines() if line.get("line") == ""]


def test_last_words_in_a_file_of_their_own(platoon):
    """The next life's first line begins a line."""
    script(platoon.dir / "die", "#!/bin/sh\nprintf 'first'\nprintf ' and last'\nexit 1\n")
    run(platoon, 'program p { command = "./die"  log_file = "p.log" }')
    wait_until(lambda: platoon.workers()["p.1"]["generation"] > 2, 10, "some lives")
    assert (platoon.dir / "p.log").read_text().splitlines()[:2] == ["first and last"] * 2
