"""A platoon with a cache that has a store, and both kinds of stores as a test sees them from behind: a directory, and radosgw."""
import hashlib
import os
import pathlib
import signal
import urllib.parse

import redis

from platoon_fixture import freeze, section, wait_until

NODE, BACKING = "cache/sessions/node.1", "cache/sessions/backing.1"


class Directory:
    """A store of type file."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.path.mkdir()

    def section(self):
        return section("store objects", {"type": "file", "path": self.path, "retry_max": "200ms"})

    def has(self, key):
        """The bytes that it has of an object; None: none, or a tombstone."""
        name = urllib.parse.quote(key, safe="-_.~:")
        path = self.path / hashlib.sha256(key.encode()).hexdigest()[:2] / name
        if not path.exists() or b"d=1" in os.getxattr(path, "user.platoon"):
            return None
        return path.read_bytes()

    def away(self):
        self.path.rename(self.path.with_suffix(".away"))

    def back(self):
        self.path.with_suffix(".away").rename(self.path)


class Bucket:
    """A store of type s3, on a radosgw that its tests share; each has a prefix of its own."""

    def __init__(self, server, prefix, directory):
        self.server, self.prefix, self.is_away = server, prefix, False
        self.credentials = server.credentials(directory / "credentials")

    def section(self):
        return section("store objects", {"type": "s3", "url": f"{self.server.url}/bucket/{self.prefix}", "credentials_file": self.credentials,
                                         "retry_max": "200ms"})

    def has(self, key):
        status, headers, body = self.server.ask("GET", f"/bucket/{self.prefix}/{urllib.parse.quote(key, safe='-_.~:/')}")
        gone = status == 404 or "d=1" in {k.lower(): v for k, v in headers.items()}.get("x-amz-meta-platoon", "")
        return None if gone else body

    def away(self):
        self.server.kill_gateway()
        self.is_away = True

    def back(self):
        self.server.start_gateway()
        self.is_away = False
        self.server.wait()


def cache_text(platoon, store, whole=None, **keys):
    """The store has all the time it needs, on a busy machine, too: who looks at what is refused when that is over says
    `timeout`. `whole`: more keys of the platoon section."""
    return (section("platoon", {"runtime_dir": "run", "state_dir": "state", **(whole or {})}) + store.section()
            + section("cache sessions", {"listen": f"unix:{platoon.dir}/c.sock", "store": "objects", "write_delay": "300ms", "timeout": "60s", **keys}))


def client(platoon, **options):
    return redis.Redis(unix_socket_path=f"{platoon.dir}/c.sock", **options)


def kill(platoon, name):
    before = platoon.workers()[name]
    os.kill(before["pid"], signal.SIGKILL)
    return platoon.replaced(before)


def lose(platoon):
    """The node dies, and all that it had on this host is lost."""
    before = platoon.workers()[NODE]
    directory = platoon.dir / "state/cache/sessions/node.1"
    freeze(before["pid"])  # or it would clean its log, or begin another file, beside this
    for path in directory.glob("*.log"):
        path.unlink()
    os.kill(before["pid"], signal.SIGKILL)
    platoon.replaced(before)
    return client(platoon)


def stored(r, timeout=20):
    """Waits until nothing is dirty."""
    wait_until(lambda: r.execute_command("PLATOON.DIRTY")[0] == 0, timeout, "all of it to be stored")


def again(error):
    return isinstance(error, redis.exceptions.ResponseError) and str(error).startswith("TRYAGAIN ")


def in_time(ask):
    """Its answer, where `timeout` is so short that a store which is there is late for it on a busy machine: that is TRYAGAIN, and no wrong answer."""
    def look():
        try:
            return [ask()]
        except redis.exceptions.ResponseError as error:
            assert again(error), error
            return None
    return wait_until(look, 20, "an answer in time")[0]
