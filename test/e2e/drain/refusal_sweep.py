"""Whole drains whose Redis refuses them one command: side by side in one platoon, each with a user or a server of its own.

A case is a command (all of RIGHTS in proto/drain/drain.h), how it is refused (the user lacks it; the server was started with
rename-command), when (before the start; with claims in flight) and consume. Or a key of the ledger, which holds another type; or all writes:
maxmemory, a replica, a disk that cannot be written. While it is refused, status names it and Redis is left in peace; when it is given, all goes
on by itself, and then every record is compared.
"""
import collections
import contextlib
import itertools
import json
import os
import re
import signal
import time

import redis

from drain_fixture import STAYS, DrainPlatoon
from platoon_fixture import BUILD, ROOT, RedisServer, base_text, elapsed, freeze, section, wait_until

LUA = ROOT / "proto/drain"
RIGHTS = {row["command"]: row["need"] for row in json.loads((BUILD / "lists.json").read_text())["rights"] if row["kind"] == "DRAIN"}
# Only what a person does with dead letters needs these, and only the look at them.
LETTERS = ["dead_list", "dead_show", "dead_retry", "dead_drop", "letters"]
NAMED = {"ZSCORE"}  # in lib.lua: named_letters
DATABASE = 1  # so that SELECT is needed
RECORDS = 40
# Calls a second of one drain while it is refused one: the rights' own (some 45 each two seconds), looks at the set, a claim's scripts that are
# tried; at most 102 were seen. And connections: ours that asks for the numbers (0.5), and the workers' where each attempt is refused (7.5).
CALLS, CONNECTIONS, RECONNECTIONS = 130, 1, 10

KEYS = ["seq", "stats", "claims", "waiting", "dead", "owner"]
WRITES = ["oom", "readonly", "misconf"]
# What status says beside the command, by manner; of a full Redis nothing need be said: draining goes on, for it makes room.
REMEDIES = {"acl": "ACL SETUSER", "rename": "rename-command", "type": "WRONGTYPE", "readonly": "READONLY", "misconf": "MISCONF"}
SHARED = ("acl", "type")  # manners that need no server of their own

Case = collections.namedtuple("Case", "command manner moment consume")


def commands_of(paths):
    return {command for path in paths for command in re.findall(r"(?:call\(|\{)'([A-Z]+)'", path.read_text())}


WORKS = commands_of(p for p in LUA.glob("*.lua") if p.stem not in LETTERS) - NAMED | {"EVALSHA", "SELECT"}


def known_commands():
    """What the server does not have cannot be refused to anybody."""
    server = RedisServer()
    try:
        known = {str(name).upper() for name in server.client().command()}
    finally:
        server.close()
    return [command for command in RIGHTS if command.split()[0] in known]


def all_cases():
    what = [*itertools.product(known_commands(), ["acl", "rename"]), *itertools.product(KEYS, ["type"]), *(("write", manner) for manner in WRITES)]
    return [Case(*w, moment, consume) for w in what for moment in ("before", "mid") for consume in ("take", "keep")]


class Refused:
    """One drain of the platoon, and what refuses it."""

    def __init__(self, number, case, shared):
        self.number, self.case = number, case
        self.name, self.set, self.user = f"d{number}", f"pending:{number}", f"u{number}"
        self.prefix = f"platoon:{{{self.name}}}:"
        self.server = shared if case.manner in SHARED else RedisServer("--appendonly", "no")
        self.options = self.server.options
        self.client = self.server.client(db=DATABASE)
        if case.manner == "acl":
            self.acl("reset", "on", ">x", "~*", "&*", "+@all")
        self.frozen = None

    def __str__(self):
        return f"{self.name}: {' '.join(self.case)}"

    def acl(self, *words):
        self.client.execute_command("ACL", "SETUSER", self.user, *words)

    # ---- the refusal ----

    def is_named(self, text):
        """The command, or the key, as people are told of it; of writes in general nothing. In capitals, for "set" and "rename-command" are
        words of any text; the server's own words have quotes."""
        if self.case.manner == "type":
            return self.prefix + self.case.command in text
        word = self.case.command.split()[0]
        return self.case.manner in WRITES or re.search(rf"\b{word}\b", text) or f"'{word.lower()}'" in text

    def tell(self, *commands):
        """In one transaction."""
        pipe = self.client.pipeline(transaction=True)
        for command in commands:
            pipe.execute_command(*command)
        pipe.execute()

    def refuse(self):
        getattr(self, "refuse_" + self.case.manner)()

    def give(self):
        getattr(self, "give_" + self.case.manner)()

    def refuse_acl(self):
        self.acl("-" + self.case.command.lower().replace(" ", "|"))
        if self.case.command == "SELECT":  # on connecting only
            self.client.execute_command("CLIENT", "KILL", "USER", self.user)

    def give_acl(self):
        self.acl("+@all")

    def refuse_rename(self):
        self.restart("--rename-command", self.case.command.split()[0], "")

    def give_rename(self):
        self.restart()

    def refuse_type(self):
        key = self.prefix + self.case.command
        self.kept = self.client.exists(key)
        self.tell(*[("RENAME", key, key + ":kept")] * self.kept, ("RPUSH", key, "of somebody else's"))

    def give_type(self):
        key = self.prefix + self.case.command
        self.tell(("DEL", key), *[("RENAME", key + ":kept", key)] * self.kept)

    def refuse_oom(self):
        self.client.config_set("maxmemory", 1)

    def give_oom(self):
        self.client.config_set("maxmemory", 0)

    def refuse_readonly(self):
        self.client.execute_command("REPLICAOF", "127.0.0.1", "1")

    def give_readonly(self):
        self.client.execute_command("REPLICAOF", "NO", "ONE")

    def refuse_misconf(self):
        """A snapshot has failed."""
        (self.server.dir / "dump.rdb").mkdir()
        self.client.config_set("save", "3600 100000")
        self.client.bgsave()
        wait_until(lambda: self.client.info("persistence")["rdb_last_bgsave_status"] == "err", 10, "a snapshot to fail")

    def give_misconf(self):
        self.client.config_set("save", "")

    def restart(self, *more):
        """With all it has; not from an append-only file, which would be refused the command too."""
        with contextlib.suppress(redis.ConnectionError):
            self.server.client().execute_command("SHUTDOWN", "SAVE")
        self.server.process.wait()
        self.server.options = (*self.options, *more)
        self.server.start()

    def is_needed(self):
        return RIGHTS.get(self.case.command, "NEEDED") == "NEEDED"

    def is_refused_connections(self):
        """PING is refused too, with MISCONF, on purpose: so that who asks whether the server is well hears it."""
        return self.case.command == "SELECT" or self.case.manner in ("readonly", "misconf")

    def is_noticed(self):
        """Whether the drain meets it: by the rights that are tried on each connection, or because its work needs it."""
        met = self.case.moment == "before" or self.case.manner != "acl" or self.case.command in WORKS
        return self.is_needed() and met and self.case.manner in REMEDIES

    def is_either(self):
        """A full Redis; and what is met only where a connection is made, which a busy machine may do at any time."""
        return self.case.manner == "oom" or (self.is_needed() and self.case.manner in REMEDIES and not self.is_noticed())

    # ---- the data ----

    def sections(self, directory):
        password = directory / f"{self.name}.password"
        password.write_text(f"{self.user}\nx\n")
        password.chmod(0o600)
        login = {"password_file": password} if self.case.manner == "acl" else {}
        return (section(f"redis {self.name}", {"url": f"{self.server.url}?db={DATABASE}", **login})
                + section(f"store {self.name}", {"path": f"{self.name}.db"})
                + section(f"drain {self.name}", {"redis": self.name, "set": self.set, "store": self.name, "consume": self.case.consume, "batch": 7,
                                                 "claims_max": 4, "get_hash.workers": 1, "missing_retry": "50ms"}))

    def member(self, i):
        return f"{self.name}:{i}"

    def add(self):
        """Records; and two members that are dead letters whatever is refused: one without a hash, one that is a list."""
        pipe = self.client.pipeline(transaction=True)
        for i in range(RECORDS):
            pipe.hset(self.member(i), mapping={"n": str(i), "text": "x" * i})
        pipe.rpush(self.member("list"), "a", "b")
        pipe.sadd(self.set, *[self.member(i) for i in [*range(RECORDS), "list", "none"]])
        pipe.execute()

    def rewrite(self):
        """Some once more, with a newer version."""
        pipe = self.client.pipeline(transaction=True)
        for i in range(0, RECORDS, 5):
            pipe.hset(self.member(i), mapping={"n": str(i), "text": "new"})
            pipe.sadd(self.set, self.member(i))
        pipe.execute()

    def expected(self):
        return {self.member(i): {"n": str(i), "text": "x" * i if i % 5 else "new"} for i in range(RECORDS)}

    def hold_store(self, pid):
        """Nothing is stored until it is let go: claims are in flight then."""
        freeze(pid)
        self.frozen = pid

    def let_store_go(self):
        if self.frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.frozen, signal.SIGCONT)
        self.frozen = None

    def in_flight(self):
        return self.client.zcard(self.prefix + "claims") > 0

    # ---- the end ----

    def is_dry(self):
        pipe = self.client.pipeline(transaction=self.case.manner != "oom")  # a full Redis takes none
        pipe.scard(self.set)
        pipe.zcard(self.prefix + "claims")
        pipe.zcard(self.prefix + "waiting")
        try:
            return not any(pipe.execute())
        except redis.ConnectionError:
            return False

    def letters(self, platoon):
        return {letter["member"]: letter["reason"] for letter in platoon.json("drain", "dead", self.name, "list")}

    def check_letters(self, platoon):
        letters = self.letters(platoon)
        assert set(letters) == {self.member("none"), self.member("list")}, f"{self}: {letters}"
        assert "no hash" in letters[self.member("none")] and "holds a list" in letters[self.member("list")], f"{self}: {letters}"

    def check(self, platoon):
        assert platoon.data(f"{self.name}.db") == self.expected(), f"{self}: the store"
        self.check_letters(platoon)
        stats = {k: int(v) for k, v in self.client.hgetall(self.prefix + "stats").items() if k != b"ledger"}
        assert stats[b"claimed"] == 0 and stats[b"stored"] >= RECORDS, f"{self}: {stats}"
        kept = {self.member(i) for i in [*range(RECORDS), "list"]} if self.case.consume == "keep" else set()
        left = {key.decode() for key in self.client.keys(f"{self.name}:*")}
        assert left == kept, f"{self}: {left ^ kept}"
        owed = {key.decode().split(":")[2] for key in self.client.keys(self.prefix + "*")} - STAYS
        assert owed <= {"dead"}, f"{self}: {owed}"


class Sweep:
    """Some cases at once."""

    def __init__(self, cases):
        self.shared = RedisServer()
        self.platoon = DrainPlatoon()
        self.all = [Refused(i, case, self.shared) for i, case in enumerate(cases)]
        self.platoon.config_path.write_text(base_text({"hang_timeout": "60s"}, {"url": self.shared.url})
                                            + "".join(r.sections(self.platoon.dir) for r in self.all))

    def those(self, moment):
        return [r for r in self.all if r.case.moment == moment]

    def servers(self):
        return {id(r.server): r.server for r in self.all}.values()

    # ---- what status says ----

    def troubles(self):
        """Drain to what its workers are in trouble for."""
        found = collections.defaultdict(str)
        for name, node in self.platoon.workers().items():
            parts = re.split(r"[/.]", name)
            drain = next((p for p in parts if re.fullmatch(r"d\d+", p)), None)
            if drain and node.get("trouble"):
                found[drain] += f"{node['trouble']}\n"
        return found

    def unnamed(self):
        """Those whose command should stand there, and does not."""
        troubles = self.troubles()

        def is_told(r):
            return r.is_named(troubles[r.name]) and REMEDIES[r.case.manner] in troubles[r.name]
        return [r for r in self.all if r.is_noticed() and not is_told(r)]

    def wait(self, condition, what, told):
        try:
            wait_until(condition, 30, what)
        except BaseException as error:  # pytest's fail() is none of Exception
            raise AssertionError(f"{error}: {told()}") from error

    # ---- the steps ----

    def transfers(self):
        """Name to pid, when all are there."""
        found = {name: node["pid"] for name, node in self.platoon.workers().items() if node["type"] == "transfer" and node["state"] == "READY"}
        return found if len(found) == len(self.all) else None

    def begin(self):
        for r in self.those("before"):
            r.add()
            r.refuse()
        self.platoon.start(ready=False)
        workers = wait_until(self.transfers, 20, "the transfers")
        for r in self.those("mid"):
            r.hold_store(workers[f"transfer/{r.name}.1"])
        for r in self.those("mid"):
            r.add()
        for r in self.those("mid"):
            wait_until(r.in_flight, 30, f"claims in flight of {r}")
            r.refuse()
            r.let_store_go()

    def told(self):
        """Every command that somebody needs, and all others do their work."""
        self.wait(lambda: not self.unnamed(), "status to name what is refused", lambda: [(str(r), self.troubles()[r.name]) for r in self.unnamed()])
        for r in self.all:
            if not r.is_needed() or r.case.manner == "oom":
                wait_until(r.is_dry, 20, f"the drain that does without: {r}")
        self.wait(lambda: not self.misjudged(), "status to say which drains are not ready", lambda: [str(r) for r in self.misjudged()])
        assert self.platoon.status()["ready"] is not any(r.is_noticed() for r in self.all)

    def misjudged(self):
        """Those that are not ready and should be, or the other way round."""
        places = [re.split("[: ]", problem)[0] for problem in self.platoon.status()["problems"]]
        return [r for r in self.all if not r.is_either()
                and any(re.search(rf"\b{r.name}\b", place) for place in places) is not r.is_noticed()]

    def left_in_peace(self):
        before, begun = self.counts(), time.monotonic()
        wait_until(elapsed(2.0), 10)
        after, seconds = self.counts(), time.monotonic() - begun
        for server, (calls, connections) in after.items():
            here = [r for r in self.all if id(r.server) == server]
            drains, most = len(here), sum(RECONNECTIONS if r.is_refused_connections() else CONNECTIONS for r in here)
            assert calls - before[server][0] <= seconds * CALLS * drains, f"{(calls - before[server][0]) / seconds / drains:.0f} calls a second: {[str(r) for r in here]}"
            assert connections - before[server][1] <= seconds * most, f"{(connections - before[server][1]) / seconds:.1f} connections a second, more than {most}: {[str(r) for r in here]}"

    def counts(self):
        found = {}
        for server in self.servers():
            with contextlib.suppress(redis.ResponseError):  # where it is INFO that is renamed
                info = server.client().info("stats")
                found[id(server)] = info["total_commands_processed"], info["total_connections_received"]
        return found

    def end(self):
        for r in self.all:
            r.give()
            r.rewrite()
        for r in self.all:
            wait_until(lambda r=r: r.is_dry() and self.platoon.data(f"{r.name}.db") == r.expected(), 30, f"the end of {r}")
        for r in self.all:
            r.check(self.platoon)
        self.wait(lambda: not self.troubles(), "no trouble any more", lambda: [(str(r), self.troubles()[r.name]) for r in self.all if self.troubles()[r.name]])

    def letters_refused(self):
        """What a person does with dead letters is refused as well: by name, and they stay."""
        for r in self.all:
            if r.case.manner != "acl" or r.case.command == "SELECT":
                continue
            numbers = [str(letter["seq"]) for letter in self.platoon.json("drain", "dead", r.name, "list")]
            r.refuse()
            for words in (["list"], ["show", *numbers], ["retry", "all"]):
                done = self.platoon.ctl("drain", "dead", r.name, *words)
                assert done.returncode == 0 or r.is_named(done.stderr), f"{r}: {words}: {done.stderr}"
            r.give()
        for r in self.all:
            wait_until(r.is_dry, 30, f"the end of {r}, tried again")
            r.check_letters(self.platoon)

    def run(self):
        self.begin()
        self.told()
        self.left_in_peace()
        self.end()
        self.letters_refused()

    def close(self, failed):
        for r in self.all:
            r.let_store_go()
        try:
            self.platoon.close(failed)
        finally:
            for server in [*self.servers(), self.shared]:
                server.close()


def sweep(cases):
    s, problem = Sweep(cases), None
    try:
        s.run()
    except BaseException as error:  # pytest's fail() is none of Exception
        problem = error
    try:
        s.close(problem is not None)
    except BaseException as error:
        problem = problem or error
    if problem:
        raise problem
