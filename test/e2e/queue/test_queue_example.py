"""etc/examples/queue.conf as README.md has people try it, line by line; the consumer and the clients beside it; queue_servers.conf, which is of two servers."""
import os
import re
import shlex
import shutil
import subprocess

from platoon_fixture import ROOT, wait_until

ID = re.compile(r"\d{16}")


def session():
    """The lines of README.md that ask platoonctl, each with what it answers."""
    text = (ROOT / "README.md").read_text().split("\n## Queues\n")[1].split("\n## ")[0].split("To try (")[1]
    said = re.findall(r"^    \$ (platoonctl .*)\n((?:    (?!\$ ).*\n)+)", text, re.M)
    return [(line, re.sub(r"^    ", "", answer, flags=re.M)) for line, answer in said]


def start(platoon, example="queue.conf"):
    for name in ("pages_consumer.py", "mail_client.sh", "mail_client.py"):
        shutil.copy(ROOT / "etc/examples" / name, platoon.dir)
    platoon.config_path.write_text((ROOT / "etc/examples" / example).read_text())
    platoon.start()


def run(platoon, words, **options):
    environment = {**os.environ, "PATH": f"{platoon.build.resolve()}:{os.environ['PATH']}", "PLATOON_SOCKET": str(platoon.dir / "run/control.sock")}
    return subprocess.run(words, cwd=platoon.dir, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, **options)


def test_the_session(platoon):
    start(platoon)
    lines = session()
    assert len(lines) == 7
    ids = {}  # as README.md has them, and as they are
    for said, answer in lines:
        done = run(platoon, shlex.split(ID.sub(lambda found: ids[found[0]], said)))
        assert done.returncode == 0, (said, done)
        for then, now in zip(ID.findall(answer), ID.findall(done.stdout)):
            assert ids.setdefault(then, now) == now, said
        assert done.stdout == ID.sub(lambda found: ids[found[0]], answer), said
    wait_until(lambda: "indexed /" in platoon.ctl("logs").stdout, 30, "the page to be indexed")


def test_a_page_without_a_url_is_a_dead_letter(platoon):
    start(platoon)
    platoon.json("queue", "deliver", '{"user_id": 7, "type": "page"}')
    wait_until(lambda: [letter["reason"] for letter in platoon.json("queue", "dead", "pages")] == ["it has no url"], 30, "the dead letter")


def test_the_clients(platoon):
    start(platoon)
    for body in ("one", "two"):
        platoon.json("queue", "deliver", "--topic", "7:mail", "--facet", "7", body)
    done = run(platoon, ["sh", "mail_client.sh", "mail"])
    assert done.returncode == 0 and done.stdout == "mail: 1 acked\n" * 2 and done.stderr == "7 one\n7 two\n", done
    done = run(platoon, ["/usr/bin/python3", "-B", "mail_client.py", "run/redis.sock", "three", "four"])
    assert done.returncode == 0 and done.stdout == "7 three\n7 four\n", done
    status = platoon.json("queue", "status", "mail")[0]
    assert status["acked"] == 4 and status["waiting"] == 0


def test_two_servers(platoon):
    start(platoon, "queue_servers.conf")
    ids = [platoon.json("queue", "deliver", f'{{"user_id": {n}, "type": "page", "url": "/{n}"}}')["id"] for n in range(24)]
    assert {one.split("@")[1] for one in ids} == {"left", "right"}
    assert platoon.ctl("--timeout", "60s", "queue", "wait", "pages").returncode == 0
    status = platoon.json("queue", "status", "pages")[0]
    assert status["acked"] == 24 and [row["server"] for row in status["servers"]] == ["left", "right"] and all(row["acked"] > 0 for row in status["servers"])
