"""What a cache node tells of itself and its commands it tells as redis-server does: INFO, COMMAND, CLIENT, CONFIG GET, HELP (`both`: conftest.py)."""
import itertools

import pytest

from differential_fixture import array

CONTAINERS = [b"client", b"command", b"config", b"memory"]


def info(connection, *words):
    """Its sections, each with its lines."""
    connection.send(array([b"INFO", *words]))
    sections = {}
    for line in connection.reply().value.decode().splitlines():
        if line.startswith("# "):
            sections[line] = []
        elif line:
            sections[list(sections)[-1]].append(line)
    return sections


@pytest.mark.parametrize("words", [[], [b"default"], [b"all"], [b"everything"], [b"server", b"memory"], [b"STATS"], [b"persistence", b"nosuch"], [b"latencystats"]], ids=str)
def test_info_has_all_names_in_their_order(both, words):
    """A node has some more: its own, and those of an append-only file, which its log is. What was called is in nobody's order."""
    pair = both()
    pair.command("SET", "k", "v")
    reference, subject = (info(side, *words) for side in pair.sides)
    assert list(reference) == list(subject)
    for section, lines in reference.items():
        names = [line.partition(":")[0] for line in lines]
        if section not in ("# Commandstats", "# Latencystats"):
            assert [name for line in subject[section] if (name := line.partition(":")[0]) in names] == names, section


def test_info_counts_what_was_done(both):
    pair = both()
    pair.command("MSET", "k", "v", "n", "1")

    def errors(side):
        """How often each was told so far, and all of them."""
        told = info(side, b"errorstats", b"stats")
        counts = {line.partition(":")[0]: int(line.partition("=")[2]) for line in told["# Errorstats"]}
        total = next(int(line.partition(":")[2]) for line in told["# Stats"] if line.startswith("total_error_replies:"))
        assert [*counts] == sorted(counts)
        return {**counts, "total": total}
    before = [errors(side) for side in pair.sides]
    for line in ("INCR k", "INCR k", "NOSUCH", "GET", "EXEC", "MULTI", "GET", "EXEC", "HELLO 9", "AUTH nobody x"):
        pair.command(*line.split())
    after = [errors(side) for side in pair.sides]
    grown = [{name: now - then.get(name, 0) for name, now in told.items() if now != then.get(name, 0)} for then, told in zip(before, after)]
    assert grown[0] == grown[1] and grown[1]["errorstat_NOPROTO"] == 1 == grown[1]["errorstat_EXECABORT"]


def test_every_command_is_described_alike(both):
    """COMMAND INFO, but for subcommands that only one of them has; those that both have are the same."""
    pair = both()
    for side in pair.sides:
        side.send(array([b"COMMAND", b"LIST"]))
    shared = set.intersection(*({item.value for item in side.reply().value} for side in pair.sides))
    assert len(shared) > 55
    for name in sorted(shared):
        pair.send(array([b"COMMAND", b"INFO", name]))
        one, other = (side.reply().value[0].value for side in pair.sides)
        assert [item.raw for item in one[:9]] == [item.raw for item in other[:9]], name
        subs = [{sub.value[0].value: sub.raw for sub in told[9].value} for told in (one, other)]
        for sub in subs[0].keys() & subs[1].keys():
            assert subs[0][sub] == subs[1][sub], sub
        pair.command("COMMAND", "INFO", name + b"|nosuch", exact=True)


def test_a_line_of_client_list(both):
    """Its words are Redis' in their order, and what is said of the connection is the same; behind them what 7.2 has."""
    pair = both()
    for lines in ([], ["CLIENT SETNAME me"], ["HELLO 3"], ["MULTI"]):
        for line in lines:
            pair.command(*line.split())
        if lines == ["MULTI"]:
            continue
        for words in (["INFO"], ["LIST"], ["LIST", "TYPE", "normal"]):
            pair.send(array([b"CLIENT", *(word.encode() for word in words)]))
            texts = [side.reply().value.decode().removeprefix("txt:") for side in pair.sides]
            told = [[dict(word.split("=", 1) for word in line.split(" ")) for line in text.splitlines()] for text in texts]
            mine = [max(lines, key=lambda line: int(line["id"])) for lines in told]
            assert [*mine[0]] == [*mine[1]][:len(mine[0])]
            same = ("name", "flags", "db", "sub", "psub", "ssub", "multi", "cmd", "user", "redir", "resp", "obl", "events")
            assert [mine[0][name] for name in same] == [mine[1][name] for name in same], mine


@pytest.mark.parametrize("words", ["", "x", "ID", "ID 0", "ID -1", "ID x", "ID 999999", "ID 999999 SKIPME yes", "ID 999999 SKIPME no", "ID 999999 SKIPME maybe", "ID 1 FOO",
                                   "TYPE master", "TYPE slave", "TYPE replica", "TYPE pubsub", "TYPE foo", "TYPE normal ID 999999", "USER default ID 999999", "USER nobody",
                                   "ADDR 1.2.3.4:5", "LADDR 1.2.3.4:5", "FOO x", "MAXAGE 10", "1.2.3.4:5"])
def test_client_kill_that_ends_nobody(both, words):
    both().command("CLIENT", "KILL", *words.split(), exact=True)


@pytest.mark.parametrize("words", ["ID {id}", "ID {id} TYPE normal", "ID {id} USER default", "ID {id} SKIPME no", "ADDR {addr} ID {id}", "LADDR {laddr} ID {id}"])
def test_client_kill_that_ends_another(both, words):
    mine, other = both(), both()
    other.send(array([b"CLIENT", b"INFO"]))
    told = [dict(word.split("=", 1) for word in side.reply().value.decode().split()) for side in other.sides]
    for side, line in zip(mine.sides, told):
        side.send(array([word.encode() for word in f"CLIENT KILL {words.format(**line)}".split()]))
        assert side.reply().raw == b":1\r\n"
    assert [side.rest() for side in other.sides] == [b"", b""]
    mine.command("PING")



@pytest.mark.parametrize("words", [*(["CONFIG", "GET", *w.split()] for w in (
    "databases", "DATABASES", "DataBases databases", "[d]atabases", "DATA[A-B]ases", "???abases", "data[a-bases", "\\databases", "databases DATABASES *tabases",
    "datab*ses DATABASES", "[!x]atabases", "[^x]atabases", "nothing", "*nothing")),
    *(["COMMAND", "LIST", "FILTERBY", "PATTERN", w] for w in ("get", "GET", "ge[t", "[!s]et", "[^s]et", "ge\\t", "\\", "", "getr?nge", "client|setn*", "x" * 100 + "*"))],
    ids=" ".join)
def test_patterns_of_names(both, words):
    both().command(*words, exact=True)


# ---- HELP, and what COMMAND says ----

@pytest.mark.parametrize("version", [2, 3])
def test_help(both, version):
    pair = both()
    pair.command("HELLO", version)
    for name in CONTAINERS:
        assert len(pair.command(name, "HELP", exact=True).value) > 8
        for words in (["HELP", "x"], ["help"], ["nosuch"], ["nosuch", "x"]):
            pair.command(name, *words, exact=True)


def shared_commands(pair):
    """Names that both servers know, subcommands too."""
    names = []
    for side in pair.sides:
        side.send(array([b"COMMAND"]))
        every = side.reply().value
        names.append({entry.value[0].value for entry in every} | {sub.value[0].value for entry in every for sub in entry.value[9].value})
    return sorted(names[0] & names[1]), sorted(names[1] - names[0])


@pytest.mark.parametrize("version", [2, 3])
def test_what_is_documented(both, version):
    """Word for word, but that a container here has fewer subcommands; what only a node has is documented, too."""
    pair = both()
    pair.command("HELLO", version)
    shared, own = shared_commands(pair)
    assert len(shared) > 75 and all(name.startswith(b"platoon.") or name == b"client|setinfo" for name in own)
    for name in shared:
        if name not in CONTAINERS:
            assert len(pair.command("COMMAND", "DOCS", name, exact=True).value) == 2
            continue
        pair.send(array([b"COMMAND", b"DOCS", name]))
        theirs, mine = ([item.raw for item in side.reply().value[1].value[:8]] for side in pair.sides)
        assert theirs == mine
    pair.command("COMMAND", "DOCS", "get", "nosuch", "SET", "client|kill", "client|nosuch", exact=True)
    node = pair.sides[1]
    node.send(array([b"COMMAND", b"DOCS"]) + array([b"COMMAND", b"COUNT"]) + array([b"COMMAND", b"DOCS", *own]))
    every, count, ours = node.reply().value, int(node.reply().value), node.reply().value
    assert len(every) == 2 * count and len(ours) == 2 * len(own)
    for docs in every[1::2] + ours[1::2]:
        fields = {name.value: value.value for name, value in zip(docs.value[::2], docs.value[1::2])}
        assert fields[b"summary"] and fields[b"group"] and fields[b"complexity"]


@pytest.mark.parametrize("line", ["get a", "set a b", "set a b get", "set a b EX 10 GET", "set a get", "set a", "set", "getex a EX 10", "getdel a", "append a b", "mget a b c",
                                  "mset a b c", "mset a b c d", "del a b", "exists a", "watch a b", "memory usage a", "memory usage", "memory help", "memory nosuch a", "client id",
                                  "client", "ping a", "ping", "nosuch a b", "msetnx a 1 b 2", "expire a 1", "touch a b", "unlink a", "GETSET a b"])
@pytest.mark.parametrize("version", [2, 3])
def test_keys_of_a_command(both, version, line):
    pair = both()
    pair.command("HELLO", version)
    for name in ("GETKEYS", "GETKEYSANDFLAGS"):
        pair.command("COMMAND", name, *line.split(), exact=True)


# ---- how often, how long ----

def stats(connection):
    """Of each command what commandstats says, and those of which latencystats tells; both of numbers that can be."""
    told = info(connection, b"commandstats", b"latencystats")
    assert list(told) == ["# Commandstats", "# Latencystats"]
    calls = {}
    for line in told["# Commandstats"]:
        name, _, values = line.partition(":")
        calls[name.removeprefix("cmdstat_")] = dict(value.split("=") for value in values.split(","))
    for line in told["# Latencystats"]:
        marks = [value.split("=") for value in line.partition(":")[2].split(",")]
        assert [mark for mark, _ in marks] == ["p50", "p99", "p99.9"]
        assert 0 < float(marks[0][1]) <= float(marks[1][1]) <= float(marks[2][1])
    return calls, {line.partition(":")[0].removeprefix("latency_percentiles_usec_") for line in told["# Latencystats"]}


def test_calls_are_counted(both):
    """Called, failed, rejected: as Redis counts each; a time is all that may differ."""
    pair = both()
    pair.command("RESET")
    before = [stats(side)[0] for side in pair.sides]
    pair.command("MSET", "k", "v", "n", "1")
    for line in ("INCR k", "GET k", "GET", "NOSUCH", "CLIENT ID", "CLIENT nosuch", "EXEC", "MULTI", "INCR n", "INCR k", "PING", "GET", "EXEC", "MULTI", "INCR n", "INCR k",
                 "EXEC", "WATCH k", "DISCARD", "CLIENT KILL x", "MEMORY USAGE n", "PING a b", "SET n 1 FOO", "KEYS *", "EXPIRE n x"):
        pair.command(*line.split())
    for _ in range(200):
        pair.command("ECHO", "x")
    after = [stats(side) for side in pair.sides]

    def grown(was, now):
        counts = ("calls", "rejected_calls", "failed_calls")
        return {name: grew for name, values in now.items()
                if any(grew := [int(values[c]) - int(was.get(name, {c: 0})[c]) for c in counts]) and name != "info"}
    told = [grown(was, now) for was, (now, _) in zip(before, after)]
    assert told[0] == told[1]
    assert told[1]["echo"] == [200, 0, 0] and told[1]["incr"] == [3, 0, 2] and told[1]["get"] == [1, 2, 0] and told[1]["exec"] == [3, 0, 2]
    assert [list(values) for values in after[1][0].values()] == [["calls", "usec", "usec_per_call", "rejected_calls", "failed_calls"]] * len(after[1][0])
    assert {name for name, values in after[1][0].items() if int(values["calls"])} == after[1][1] | {"info"}
