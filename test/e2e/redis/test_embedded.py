"""The embedded server is private: whoever reaches its port is asked for a password, and what keeps it from starting is named."""
import os
import pathlib
import stat

import pytest
import redis

from platoon_fixture import free_port, wait_until
from platoon_steps import refused

ODD = 'a "b" \\x41 \'c\' #{}$ é'


def files(platoon):
    return platoon.dir / "state/redis"


def started(platoon, **keys):
    platoon.configure(redis=keys)
    platoon.start()
    assert platoon.problems() == ""
    done = platoon.ctl("redis", "SET", "a", "b")
    assert done.returncode == 0, done


def asks_for_a_password(**where):
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis(**where).config_set("appendonly", "no")
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis(**where).get("a")


def test_a_port_has_a_password_by_itself(platoon):
    port = free_port()
    started(platoon, server_port=port)
    asks_for_a_password(port=port)
    secret = files(platoon) / "password"
    for path in (secret, files(platoon) / "login.conf"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = secret.read_text().strip()
    assert len(text) == 64
    assert redis.Redis(port=port, password=text).get("a") == b"b"
    server = platoon.workers()["redis/server"]["pid"]
    for pid in [server, *map(int, pathlib.Path(f"/proc/{server}/task/{server}/children").read_text().split())]:
        assert text.encode() not in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    assert text not in platoon.log()
    platoon.stop()
    platoon.start()
    assert secret.read_text().strip() == text, "it stays what the application was told"
    assert redis.Redis(port=port, password=text).get("a") == b"b"


def test_a_password_of_our_own_that_a_power_failure_left_empty_is_made_anew(platoon):
    port = free_port()
    files(platoon).mkdir(parents=True)
    (files(platoon) / "password").write_text("")
    started(platoon, server_port=port)
    text = (files(platoon) / "password").read_text().strip()
    assert len(text) == 64 and redis.Redis(port=port, password=text).get("a") == b"b"
    assert not list(files(platoon).glob("*.new"))


def test_a_password_of_our_own_that_cannot_be_read_is_named_with_its_remedy(platoon):
    files(platoon).mkdir(parents=True)
    (files(platoon) / "password").write_text("a\nb\nc\n")
    platoon.configure(redis={"server_port": free_port()})
    refused(platoon, f"password_file {files(platoon)}/password has more than two lines: write the password into it", code=1)


def test_no_port_no_password(platoon):
    started(platoon)
    assert platoon.redis().get("a") == b"b"
    assert not (files(platoon) / "password").exists()


@pytest.mark.parametrize("text, user, password", [
    ("secret\n", None, "secret"),
    ("app\nsecret\n", "app", "secret"),
    (ODD + "\n", None, ODD),
    ("app\n" + ODD, "app", ODD),
])
@pytest.mark.parametrize("port", [False, True])
def test_the_password_file_works(platoon, text, user, password, port):
    secret = platoon.dir / "secret"
    secret.write_text(text)
    secret.chmod(0o600)
    number = free_port()
    started(platoon, password_file=secret, **({"server_port": number} if port else {}))
    where = {"port": number} if port else {"unix_socket_path": str(platoon.dir / "run/redis.sock")}
    asks_for_a_password(**where)
    assert redis.Redis(username=user, password=password, **where).get("a") == b"b"
    assert not (files(platoon) / "password").exists()


def test_a_new_password_takes_a_reload_and_a_restart(platoon):
    secret = platoon.dir / "secret"
    secret.write_text("one\n")
    started(platoon, password_file=secret)
    secret.write_text("two\n")
    assert platoon.ctl("reload").returncode == 0
    assert platoon.ctl("--timeout", "60s", "restart", "redis/server").returncode == 0
    wait_until(lambda: platoon.ctl("redis", "GET", "a").stdout.strip() == "b", 20, "workers to log in with the new one")
    asks_for_a_password(unix_socket_path=str(platoon.dir / "run/redis.sock"))


@pytest.mark.parametrize("text", [None, "", "a\nb\nc\n"])
def test_a_password_file_that_is_none_is_refused_by_name(platoon, text):
    secret = platoon.dir / "secret"
    if text is not None:
        secret.write_text(text)
    platoon.configure(redis={"password_file": secret})
    refused(platoon, str(secret), code=78)


def test_a_damaged_append_only_file_is_named_with_the_remedy(platoon):
    """Zeros at its end, as after a power failure."""
    started(platoon)
    wait_until(lambda: platoon.redis().info("persistence")["aof_pending_bio_fsync"] == 0, 10, "it to be on disk")
    platoon.stop()
    (damaged,) = (files(platoon) / "appendonlydir").glob("*incr.aof")
    with damaged.open("ab") as file:
        file.write(bytes(4096))
    platoon.start(ready=False)
    wait_until(lambda: all(words in problems for problems in [platoon.problems()] for words in ("redis-check-aof --fix", "append only file", damaged.name)),
               20, "status to say what Redis says")
    os.truncate(damaged, damaged.stat().st_size - 4096)
    wait_until(lambda: platoon.status()["ready"], 40, "the next try")
    assert platoon.redis().get("a") == b"b"
