"""Hosts as network namespaces behind a router in one more of its own, so that the way between any two can be cut: nothing arrives, and nobody is told."""
import contextlib
import ctypes
import itertools
import os
import socket
import subprocess
import threading

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
NUMBERS = itertools.count(1)


def _ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    assert done.returncode == 0, (words, done.stderr)


def _enter(path):
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        assert LIBC.setns(fd, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    finally:
        os.close(fd)


class Network:
    """Each host has one address; all of them reach each other until they are cut. Needs root."""

    def __init__(self, *hosts):
        self.run = f"pl{os.getpid()}-{next(NUMBERS)}"
        self.router = f"{self.run}router"
        self.addresses, self.cuts, self.made = {}, [], []
        try:
            self._add(self.router)
            self._in(self.router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
            for number, host in enumerate(hosts, 1):
                self._join(host, number)
        except BaseException:
            self.close()
            raise

    def _add(self, name):
        _ip("netns", "add", name)
        self.made.append(name)
        self._in(name, "ip", "link", "set", "lo", "up")

    @staticmethod
    def _in(name, *words):
        _ip("netns", "exec", name, *words)

    def _join(self, host, number):
        name, here, there = f"{self.run}{host}", f"10.77.{number}.1", f"10.77.{number}.254"
        self._add(name)
        _ip("-n", self.router, "link", "add", f"h{number}", "type", "veth", "peer", "name", "net", "netns", name)
        for space, link, address in ((self.router, f"h{number}", there), (name, "net", here)):
            _ip("-n", space, "address", "add", f"{address}/24", "dev", link)
            _ip("-n", space, "link", "set", link, "up")
        _ip("-n", name, "route", "add", "default", "via", there)
        self.addresses[host] = here

    @contextlib.contextmanager
    def inside(self, host):
        """What this thread starts and binds is there."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(f"/run/netns/{self.run}{host}")
            yield
        finally:
            assert LIBC.setns(home, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            os.close(home)

    @contextlib.contextmanager
    def cut(self, *pairs):
        """The router drops what these send each other."""
        rules = [("from", self.addresses[a], "to", self.addresses[b], "blackhole") for pair in pairs for a, b in (pair, pair[::-1])]
        for rule in rules:
            _ip("-n", self.router, "rule", "add", *rule)
        try:
            yield
        finally:
            for rule in rules:
                _ip("-n", self.router, "rule", "del", *rule)

    def close(self):
        for name in self.made:
            _ip("netns", "del", name)


class Relay:
    """What connects to this port of a host is led to a port of 127.0.0.1 where the tests are."""

    def __init__(self, network, host, port):
        self.target = ("127.0.0.1", port)
        with network.inside(host):
            self.listener = socket.create_server((network.addresses[host], 0))
        self.address = "{}:{}".format(*self.listener.getsockname())
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                up = socket.create_connection(self.target)
            except OSError:
                client.close()
                continue
            for ends in ((client, up), (up, client)):
                threading.Thread(target=self._pump, args=ends, daemon=True).start()

    @staticmethod
    def _pump(source, sink):
        with contextlib.suppress(OSError):  # one of the two has gone: so does the other
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
