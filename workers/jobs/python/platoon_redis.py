"""platoon_redis.py: the section's Redis for a job's own use, as Etlas' storage client has it: hashes ("tables") and plain keys.

A connection a call, so that a fork never shares one. Standard library only; answers are bytes.
"""
import socket

TIMEOUT = 30


class RedisError(Exception):
    """What the server answers instead."""


class Redis:
    def __init__(self, where):
        self._where = where

    def get(self, table=None, key=None):
        if table and key:
            return self._call("HGET", table, key)
        if table:
            flat = self._call("HGETALL", table)
            return dict(zip(flat[::2], flat[1::2]))
        return self._call("GET", key)

    def set(self, table=None, record=None):
        key, value = next(iter(record.items()))
        return self._call("HSET", table, key, value) if table else self._call("SET", key, value)

    def search(self, table, query):
        cursor = b"0"
        while True:
            cursor, keys = self._call("SCAN", cursor, "MATCH", query["pattern"], "COUNT", "500")
            for key in keys:
                yield {key: self.get("", key)}
            if cursor == b"0":
                return

    def delete(self, table, key):
        return self._call("HDEL", table, key) if table else self._call("DEL", key)

    def is_connected(self):
        try:
            return self._call("PING") in (b"PONG", "PONG")
        except OSError:
            return False

    # ---- the protocol ----

    def _open(self):
        w = self._where
        if not w.get("host") and not w.get("path"):
            raise RedisError("the section's Redis is not told to platforms here")
        if w.get("path"):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(TIMEOUT)
            sock.connect(w["path"])
            return sock
        sock = socket.create_connection((w["host"], int(w["port"])), TIMEOUT)
        if w.get("tls"):
            import ssl
            return ssl.create_default_context(cafile=w.get("ca") or None).wrap_socket(sock, server_hostname=w["host"])
        return sock

    def _call(self, *words):
        w = self._where
        with self._open() as sock, sock.makefile("rwb") as stream:
            if w.get("password"):
                self._ask(stream, ("AUTH", *([w["user"]] if w.get("user") else []), w["password"]))
            if w.get("db"):
                self._ask(stream, ("SELECT", str(w["db"])))
            return self._ask(stream, words)

    def _ask(self, stream, words):
        parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        stream.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        stream.flush()
        return self._read(stream)

    def _read(self, stream):
        line = stream.readline()
        if not line.endswith(b"\r\n"):
            raise RedisError("the connection has ended")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            raise RedisError(rest.decode("utf-8", "replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if int(rest) < 0 else stream.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if int(rest) < 0 else [self._read(stream) for _ in range(int(rest))]
        raise RedisError(f"an answer begins with {kind!r}")
