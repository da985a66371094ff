"""Log lines: where they go, in which form, how much of them; and what a program's own JSON becomes."""
import json
import os
import pathlib
import re
import signal
import socket

from platoon_fixture import SCALE, wait_until
from platoon_steps import own_binary, run, upgrade

SAYS = '''program says {{ command = "sh -c '{0}; exec sleep 1000'" {1} }}\n'''


def write(platoon, text, **keys):
    settings = "".join(f" {k} = {v}" for k, v in keys.items())
    platoon.config_path.write_text(f"platoon {{ runtime_dir = run  state_dir = state{settings} }}\n{text}")
    return platoon


def reload(platoon):
    done = platoon.ctl("--timeout", f"{60 * SCALE}s", "reload")
    assert done.returncode == 0, done.stderr


def lines(path):
    """Whole ones; a file that is rotated away is not there for a moment."""
    try:
        return path.read_text().split("\n")[:-1]
    except FileNotFoundError:
        return []


def test_json_lines_of_a_program_stand_as_they_are_in_ours(platoon):
    """Whose line it is, and when, is not for the program to say."""
    mine = '{"my":"own",  "n":1.50}'
    (platoon.dir / "say").write_text(f'{mine}\n{{"not": json}}\nplain "words"\n')
    write(platoon, SAYS.format(f"cat {platoon.dir}/say", ""), log_format="json").start()
    wait_until(lambda: "plain" in platoon.log(), 10, "what it says")
    found = [line for line in platoon.log().splitlines() if line.startswith("{")]
    assert any(line.endswith(f'"worker":"says.1","event":"output","object":{mine}}}') for line in found), "byte for byte"
    said = [json.loads(line) for line in found]
    own = [entry["line"] for entry in said if entry.get("event") == "output" and "object" not in entry]
    assert own == ['{"not": json}', 'plain "words"'], "what is no JSON object becomes a field of ours"
    write(platoon, SAYS.format(f"cat {platoon.dir}/say", ""), log_format="text")
    reload(platoon)
    assert platoon.ctl("restart", "says").returncode == 5
    assert platoon.ctl("restart", "says.1").returncode == 0
    wait_until(lambda: f"info  says.1 {mine}" in platoon.log(), 10, "the line as text")


def test_a_long_line_of_a_program_is_whole(platoon):
    write(platoon, SAYS.format("printf %01500d 7; echo", "")).start()
    wait_until(lambda: "0" * 1499 + "7" in platoon.log(), 10, "all of it")


def test_a_flood_ends_with_its_last_words_and_those_of_its_worker(platoon):
    """After reports against collectors whose rate limit drops the panic that a program ends with, and the word that anything was dropped."""
    (platoon.dir / "flood").write_text("seq 1 20000; printf panic; exit 9\n")
    write(platoon, f'program says {{ command = "sh {platoon.dir}/flood"  restart = temporary }}\n', log_format="json").start(ready=False)
    wait_until(lambda: "worker-exit" in platoon.log(), 20, "its end")
    said = [entry for line in platoon.log().splitlines() if line.startswith("{") and (entry := json.loads(line))["worker"] == "says.1"]
    printed = [entry["line"] for entry in said if entry["event"] == "output"]
    assert printed[-2:] == ["20000", "panic"]
    assert len(printed) + sum(int(entry["dropped"]) for entry in said if entry["event"] == "log-flood") == 20001, "each line is there, or counted"
    assert [entry["level"] for entry in said if entry["event"] == "exit"] == ["error"]


def test_control_bytes_of_a_marked_line_do_not_reach_the_log(platoon):
    (platoon.dir / "say").write_bytes(b"<4>odd \x1b[31m\xff end\n")
    write(platoon, SAYS.format(f"cat {platoon.dir}/say", "")).start()
    wait_until(lambda: "warn  says.1 odd  [31m? end" in platoon.log(), 10, "the line")


def test_what_orders_a_terminal_about_does_not_reach_the_log(platoon):
    """C1 and what turns the direction of writing: of a plain line, of one with a mark, and of a JSON object, which means what it meant."""
    said = {"a": "\x9b31m", "b\u202e": "\x7f\u2066ü"}
    text = f"plain \x9b31m\u202e\n<4>marked \x9b31m\u202e end\n{json.dumps(said, ensure_ascii=False)}\nlast\n"
    (platoon.dir / "say").write_text(text, encoding="utf-8")
    for form in ("text", "json"):
        write(platoon, SAYS.format(f"cat {platoon.dir}/say", ""), log_format=form)
        platoon.start() if form == "text" else reload(platoon)
        assert form == "text" or platoon.ctl("restart", "says.1").returncode == 0
        wait_until(lambda: platoon.log().count("last") == (1 if form == "text" else 2), 10, "all it says")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]", platoon.log())
    assert "warn  says.1 marked  " in platoon.log()
    objects = [json.loads(line)["object"] for line in platoon.log().splitlines() if '"object":' in line]
    assert objects == [said]


def test_to_a_file_rotated_by_size(platoon):
    write(platoon, SAYS.format("i=0; while [ $i -lt 300 ]; do echo line $i of a program that says much; i=$((i+1)); done", ""),
          log_to="file", log_rotate_size="8KB", log_keep="3").start()
    log = platoon.dir / "state/platoon.log"
    wait_until(lambda: any("line 299 " in line for line in lines(log)), 20, "the last line")
    old = [log.with_name(f"platoon.log.{i}") for i in (1, 2, 3)]
    assert all(path.exists() for path in old) and not log.with_name("platoon.log.4").exists()
    assert all(path.stat().st_size <= 8192 for path in (log, *old))
    numbers = [int(found[1]) for path in (*reversed(old), log) for line in lines(path) if (found := re.search(r'line="line (\d+) of a program', line))]
    assert numbers == list(range(numbers[0], 300)), "no line is missing or twice between the files"
    assert log.stat().st_mode & 0o777 == 0o640


def test_reopened_on_usr2(platoon):
    write(platoon, SAYS.format("echo hello", ""), log_to="file", log_path="mine.log").start()
    log = platoon.dir / "mine.log"
    assert "platoon-started" in log.read_text()
    log.rename(platoon.dir / "moved.log")
    platoon.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: any("log-reopened" in line for line in lines(log)), 10, "the new file")
    assert "log-reopened" not in (platoon.dir / "moved.log").read_text()


def test_a_destination_that_cannot_be_had(platoon):
    write(platoon, SAYS.format("echo hello", ""), log_to="file", log_path="missing/dir/x.log").spawn()
    assert platoon.process.wait(10 * SCALE) == 78
    assert re.search(r"^\S+:\d+: log_path: /\S+/missing/dir/x.log: No such file or directory", platoon.log(), re.M), platoon.log()
    platoon.process = None
    write(platoon, SAYS.format("echo hello", "")).start()
    write(platoon, SAYS.format("echo hello", ""), log_to="file", log_path="missing/dir/x.log")
    reload(platoon)
    wait_until(lambda: platoon.log().count("log-destination") == 1, 10, "the error, where lines went before")
    assert "lines go where they went before" in platoon.log()


class Daemon:
    """What listens on /dev/log or the journal's socket."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(0.05)
        self.seen = []

    def heard(self, what):
        try:
            while True:
                self.seen.append(self.socket.recv(65536))
        except TimeoutError:
            return [line for line in self.seen if what in line]

    def close(self):
        self.socket.close()
        self.path.unlink()


def test_to_syslog_also_after_its_restart(platoon):
    daemon = Daemon(platoon.dir / "dev-log")
    write(platoon, SAYS.format("echo hello", ""), log_to="syslog", log_path="dev-log").start()
    line = wait_until(lambda: daemon.heard(b"output line="), 10, "the program's line")[0]
    assert line == b'<30>platoon[%d]: says.1 output line=hello' % platoon.process.pid
    daemon.close()
    daemon = Daemon(platoon.dir / "dev-log")
    assert platoon.ctl("restart", "says.1").returncode == 0
    wait_until(lambda: daemon.heard(b"output line="), 10, "a line at the new daemon")
    daemon.close()


def test_to_the_journal_with_fields(platoon):
    daemon = Daemon(platoon.dir / "journal")
    write(platoon, SAYS.format("echo two words", ""), log_to="journal", log_path="journal").start()
    entry = wait_until(lambda: daemon.heard(b"PLATOON_EVENT=output"), 10, "the program's line")[0]
    fields = dict(line.split("=", 1) for line in entry.decode().splitlines())
    assert fields == {"PRIORITY": "6", "SYSLOG_IDENTIFIER": "platoon", "PLATOON_WORKER": "says.1", "PLATOON_EVENT": "output",
                      "PLATOON_LINE": "two words", "MESSAGE": 'says.1 output line="two words"'}
    daemon.close()


def test_a_reader_that_stands_still_costs_lines_and_says_how_many(platoon):
    daemon = Daemon(platoon.dir / "dev-log")
    write(platoon, SAYS.format("i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); done; echo last", ""), log_to="syslog", log_path="dev-log").start()
    wait_until(lambda: any("last" in line["line"] for line in map(json.loads, platoon.ctl("--json", "logs", "says.1").stdout.splitlines())), 10,
               "all lines at the master")
    daemon.heard(b"")
    assert platoon.ctl("restart", "platoon").returncode == 0
    assert wait_until(lambda: daemon.heard(b"log-lines-lost count="), 10, "the count")
    daemon.close()


def debug_of(platoon, name):
    return [line for line in platoon.log().splitlines() if f" debug {name} " in line]


def test_level_of_a_branch(platoon):
    platoon.configure(redis={"log_level": "debug"}).start()
    wait_until(lambda: platoon.ctl("level", "redis", "error").returncode == 0, 15, "the order")
    platoon.redis()
    assert platoon.ctl("level", "redis/send.1", "debug").returncode == 0
    wait_until(lambda: "log-level level=debug" in platoon.log(), 15, "the worker's own word")
    assert platoon.ctl("level", "nope", "debug").returncode == 5
    assert platoon.ctl("level", "redis", "loud").returncode == 2


def test_level_of_programs_by_section_by_hand_and_back_by_reload(platoon):
    noisy = "while :; do echo \"<7>deep\"; echo \"<4>warned\"; sleep 0.05; done"
    (platoon.dir / "noisy").write_text(noisy)
    text = '''supervisor quiet {{ children = "a b" log_level = error }}
        program a {{ command = "sh {0}/noisy" }}
        program b {{ command = "sh {0}/noisy" log_level = debug }}
        program c {{ command = "sh {0}/noisy" }}\n'''.format(platoon.dir)
    write(platoon, text).start()

    def counts():
        log = platoon.log()
        return {(level, name): log.count(f"{level} {name} ") for level in ("debug", "warn ") for name in ("quiet/a.1", "quiet/b.1", "c.1")}
    wait_until(lambda: counts()[("debug", "quiet/b.1")] > 3 and counts()[("warn ", "c.1")] > 3, 10, "the talkative ones")
    now = counts()
    assert now[("debug", "quiet/a.1")] == now[("warn ", "quiet/a.1")] == now[("debug", "c.1")] == 0
    pid = platoon.pid_of("quiet/a.1")
    assert platoon.ctl("level", "quiet", "debug").returncode == 0
    wait_until(lambda: counts()[("debug", "quiet/a.1")] > 3, 10, "the one that was quiet")
    reload(platoon)

    def is_quiet():
        before = counts()[("debug", "quiet/a.1")], counts()[("warn ", "c.1")]
        wait_until(lambda: counts()[("warn ", "c.1")] > before[1] + 10, 20, "what the others say meanwhile")
        return counts()[("debug", "quiet/a.1")] == before[0]
    wait_until(is_quiet, 20, "the reload to bring the file's level back")
    assert platoon.pid_of("quiet/a.1") == pid
    os.kill(pid, 0)
    assert pathlib.Path(f"/proc/{pid}").exists()


def test_one_master_writes_a_log_also_over_an_upgrade(platoons):
    """Each of two would rotate the other's file away. Public threads: getlogbook/logbook#153, log4cplus/log4cplus#192."""
    first, second = platoons(), platoons()
    own_binary(first)
    log = first.dir / "platoon.log"
    write(first, "", log_to="file", log_path=str(log)).start()
    write(second, "", log_to="file", log_path=str(log))
    for _ in range(2):
        done = run(second, "-c", str(second.config_path))
        assert done.returncode != 0 and f"path={log}" in done.stderr and f"another process (pid {first.process.pid}) writes it" in done.stderr
        upgrade(first)
    reload(first)
    log.rename(first.dir / "platoon.log.old")
    os.kill(first.process.pid, signal.SIGUSR2)
    wait_until(log.exists, 10, "a new one")
    assert "another process" in run(second, "-c", str(second.config_path)).stderr
    write(second, "", log_to="stderr").start()
    write(second, "", log_to="file", log_path=str(log))
    second.ctl("reload")
    wait_until(lambda: "log-destination" in second.log(), 10, "the refusal of a reload")
    first.kill9()
    done = second.ctl("reload")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: "log-destination" not in log.read_text() and "reload" in log.read_text(), 10, "lines of the second")
