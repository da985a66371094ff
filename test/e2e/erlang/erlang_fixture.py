"""Erlang nodes and port mappers for the gate's tests: real ones (erl, epmd), and one written by hand, which does what no real one would."""
import hashlib
import os
import pathlib
import re
import select
import shutil
import socket
import struct
import subprocess
import tempfile

from platoon_fixture import SCALE, free_port, section, wait_until

GATE, NODE, CACHE_NODE = "erlang/gate", "manager@localhost", "cache/sessions/node.1"
COOKIE = "walrus"
FLAGS = 0x7 << 32 | 0x0F7FBD & ~0x2000 | 1 << 24 | 1 << 25  # of OTP 25, without the atom cache

# Reads an expression a line, and answers with a line: what it is, or how it failed. G is the gate's name, P the pid that get_nodes tells of.
CLIENT = """#!/usr/bin/env escript
main([Name, Cookie, Gate]) ->
    {ok, _} = net_kernel:start([list_to_atom(Name), shortnames]),
    erlang:set_cookie(node(), list_to_atom(Cookie)),
    process_flag(trap_exit, true),
    io:setopts([{encoding, latin1}]),
    loop(erl_eval:add_binding('G', list_to_atom(Gate), erl_eval:new_bindings())).

loop(Bindings) ->
    case io:get_line("") of
        eof -> ok;
        Line -> loop(answer(Line, Bindings))
    end.

answer(Line, Bindings) ->
    try
        {ok, Tokens, _} = erl_scan:string(Line),
        {ok, Expressions} = erl_parse:parse_exprs(Tokens),
        {value, Value, New} = erl_eval:exprs(Expressions, Bindings),
        io:format("~w~n", [Value]),
        New
    catch Class:Reason ->
        io:format("~w~n", [{Class, Reason}]),
        Bindings
    end.
"""


class Epmd:
    """A port mapper of a test's own, in the foreground."""

    def __init__(self):
        self.port = free_port()
        self.process = None

    def start(self):
        self.process = subprocess.Popen(["epmd", "-port", str(self.port), "-address", "127.0.0.1"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: self.names() is not None, 30, "epmd")
        return self

    def names(self):
        """Name to port of who is registered; None: it does not answer."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as s:
                s.sendall(b"\0\1n")
                text = b""
                while more := s.recv(4096):
                    text += more
        except OSError:
            return None
        return {name: int(port) for name, port in re.findall(r"name (\S+) at port (\d+)", text[4:].decode())}

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None


class Client:
    """A real Erlang node that evaluates what it is told."""

    def __init__(self, name, cookie=COOKIE, gate=NODE):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="e", dir="/tmp"))
        (self.dir / "client.escript").write_text(CLIENT)
        self.process = subprocess.Popen(["escript", str(self.dir / "client.escript"), name + "@localhost", cookie, gate], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "HOME": str(self.dir)})
        assert self("node()", 120) == name + "@localhost" or self.close(), "it is not distributed"  # of its start a busy machine makes a minute

    def say(self, text):
        self.process.stdin.write(text.encode("latin1") + b".\n")
        self.process.stdin.flush()

    def hear(self, timeout=30):
        if not select.select([self.process.stdout], [], [], timeout * SCALE)[0]:
            raise AssertionError("the Erlang node does not answer")
        return self.process.stdout.readline().decode("latin1").rstrip("\n").replace("'", "")

    def __call__(self, text, timeout=30):
        """The value of an expression, as text without quotes; or {error,…}."""
        self.say(text)
        return self.hear(timeout)

    def meet(self):
        """Waits until the gate is found, and asks it for its pid."""
        wait_until(lambda: self("net_adm:ping(G)") == "pong", 30, "the gate to be found")
        self("{manager, G} ! {get_nodes, self()}")
        assert self("receive [{G, P}] when node(P) =:= G -> true after 10000 -> false end") == "true"
        return self

    def asked(self, message, to="{manager, G}", ms=10000):
        """What comes for a message."""
        return self(f"{to} ! {message}, (fun() -> receive M -> M after {ms} -> nothing end end)()", 30 + ms / 1000)

    def get(self, key, strong="true", ms=10000):
        return self.asked(f"{{g, {strong}, {key}, self(), x}}", ms=ms)

    def set(self, key, value):
        self(f"{{manager, G}} ! {{s, {key}, {value}}}, ok")

    def close(self):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.dir, ignore_errors=True)


class Raw:
    """A node by hand: the handshake, and frames as the test wants them."""

    def __init__(self, port, name="raw@localhost", cookie=COOKIE):
        self.name = name.encode()
        self.socket = socket.create_connection(("127.0.0.1", port), 20 * SCALE)
        self.pack(b"N" + struct.pack(">QIH", FLAGS, 77, len(self.name)) + self.name)
        assert self.unpack() == b"sok"
        challenge, = struct.unpack(">I", self.unpack()[9:13])
        digest = hashlib.md5(cookie.encode() + str(challenge).encode()).digest()
        self.pack(b"r" + struct.pack(">I", 4711) + digest)

    def shake(self):
        """The last word of the handshake: the gate has the cookie too."""
        assert self.unpack() == b"a" + hashlib.md5(COOKIE.encode() + b"4711").digest()
        return self

    def pack(self, body):
        self.socket.sendall(struct.pack(">H", len(body)) + body)

    def take(self, count):
        taken = b""
        while len(taken) < count:
            more = self.socket.recv(count - len(taken))
            if not more:
                raise EOFError
            taken += more
        return taken

    def unpack(self):
        return self.take(struct.unpack(">H", self.take(2))[0])

    def pid(self, number=1):
        return b"Xw" + bytes([len(self.name)]) + self.name + struct.pack(">III", number, 0, 77)

    def frame(self, control, message=b""):
        """A control tuple, and a message, both without their version bytes."""
        body = b"p\x83" + control + (b"\x83" + message if message else b"")
        self.socket.sendall(struct.pack(">I", len(body)) + body)

    def send(self, message, to=b"w\7manager"):
        self.frame(b"h\4a\6" + self.pid() + b"w\0" + to, message)

    def hear(self):
        """The next frame that is no tick."""
        while not (length := struct.unpack(">I", self.take(4))[0]):
            pass
        return self.take(length)

    def close(self):
        self.socket.close()


class Objects:
    """A store of type file, as it looks from behind."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.path.mkdir()

    def section(self):
        return section("store objects", {"type": "file", "path": self.path})

    def has(self, key):
        """The bytes that it has of an object with a plain name; None: none."""
        path = self.path / hashlib.sha256(key.encode()).hexdigest()[:2] / key
        return path.read_bytes() if path.exists() else None

    def form(self, key):
        return os.getxattr(self.path / hashlib.sha256(key.encode()).hexdigest()[:2] / key, "user.platoon")


class Bucket:
    """The same of type s3, on a real server."""

    def __init__(self, server, prefix, directory):
        self.server, self.prefix = server, prefix
        self.credentials = server.credentials(directory / "credentials")

    def section(self):
        return section("store objects", {"type": "s3", "url": f"{self.server.url}/bucket/{self.prefix}", "credentials_file": self.credentials})

    def has(self, key):
        status, _, body = self.server.ask("GET", f"/bucket/{self.prefix}/{key}")
        return body if status == 200 else None

    def form(self, key):
        headers = self.server.ask("HEAD", f"/bucket/{self.prefix}/{key}")[1]
        return {name.lower(): value for name, value in headers.items()}["x-amz-meta-platoon"].encode()


def atom(text):
    return b"w" + bytes([len(text)]) + text.encode()


def binary(value):
    return b"m" + struct.pack(">I", len(value)) + value


def gate_text(directory, more="", cache=True, redis=True, **keys):
    """A configuration with a gate; keys of the cache have the prefix cache_, `redis` may be further keys of that section."""
    cookie = directory / "cookie"
    if not cookie.exists():
        cookie.write_text(COOKIE + "\n")
        cookie.chmod(0o600)
    of_cache = {key.removeprefix("cache_"): keys.pop(key) for key in list(keys) if key.startswith("cache_")}
    gate = {"node": NODE, "cookie_file": cookie, **({"cache": "sessions"} if cache else {}), **({"redis": "main"} if redis else {}), **keys}
    return (section("platoon", {"runtime_dir": "run", "state_dir": "state", "backoff_min": "20ms"})
            + (section("redis main", {"url": "embedded", **(redis if isinstance(redis, dict) else {})}) if redis else "")
            + (section("cache sessions", {"listen": f"unix:{directory}/c.sock", **of_cache}) if cache else "")
            + more + section("erlang gate", gate))
