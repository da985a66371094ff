"""The Erlang gate as its clients see it: a real Erlang node, a real epmd, a real cache and a real Redis."""
import redis

from erlang_fixture import GATE, NODE, gate_text
from platoon_fixture import wait_until

# As the client writes them; each must come back as it was.
VALUES = ["<<>>", "<<0,255,10>>", "\"walrus\"", "[]", "[1000,36]", "ok", "undefined", "1", "-5", "12345678901234567890123", "1.5",
          "{a,<<1>>,[b,\"c\"]}", "[a,b|c]", "#{k => [v], 1 => <<2>>}", "<<1:3>>", "self()", "make_ref()", "fun lists:map/2",
          "lists:duplicate(70000, $x)", "lists:duplicate(70000, ok)", "binary:copy(<<255>>, 70000)"]


def rest(platoon):
    """A client of Redis' protocol."""
    return redis.Redis(unix_socket_path=f"{platoon.dir}/c.sock")


def counted(platoon, name):
    return platoon.workers()[GATE]["counters"].get(name, 0)


def test_each_value_comes_back_as_it_was(gate, client):
    platoon, node = gate(), client()
    for number, value in enumerate(VALUES):
        node(f"V{number} = {value}, P ! {{s, <<\"key\">>, V{number}}}, ok")
        for strong in ("true", "false"):
            got = node(f"P ! {{g, {strong}, <<\"key\">>, self(), 7}}, receive {{ok, V{number}}} -> same; Other{number}{strong} -> Other{number}{strong} after 10000 -> nothing end")
            assert got == "same", value
    assert node.get("nobody") == "ko"
    assert node.get("nobody", strong="false") == "ko"
    assert rest(platoon).get("key") == b"\xff" * 70000


def test_what_clients_of_redis_see_and_set(gate, client):
    platoon, node = gate(), client()
    cache = rest(platoon)
    cache.set("from:redis", b"\0bytes")
    assert node.get("\"from:redis\"") == "{ok,<<0,98,121,116,101,115>>}"
    node.set("\"string\"", "\"text\"")
    node.set("term", "{a, 1}")
    assert node.get("<<\"string\">>") == "{ok,[116,101,120,116]}"  # a name is its text
    assert cache.get("string") == b"text"
    assert node(f"binary_to_term({list(cache.get('term'))!r})".replace("[", "<<").replace("]", ">>")) == "{a,1}"
    cache.append("string", "s")
    assert node.get("\"string\"") == "{ok,<<116,101,120,116,115>>}"  # what Redis' protocol has written is bytes
    node.set("{user, 7, \"x\"}", "1")
    assert node.get("{user, 7, \"x\"}") == "{ok,1}"
    assert cache.dbsize() == 4


def test_any_name_and_the_pid_take_all_messages(gate, client):
    gate()
    node = client()
    for number, to in enumerate(("P", "{manager, G}", "{brain, G}", "{RedisMaster, G}".replace("RedisMaster", "'RedisMaster'"))):
        node(f"{to} ! {{s, k, {number}}}, ok")
        assert node.asked("{g, true, k, self(), x}", to=to) == f"{{ok,{number}}}"
        assert node.asked("{get_nodes, self()}", to=to).startswith(f"[{{{NODE},<")


def test_what_is_not_understood_is_ignored_and_counted(gate, client):
    platoon, node = gate(), client()
    for message in ("hello", "{s, k}", "{g, perhaps, k, self(), x}", "{g, true, k, nobody, x}", "{x, y, z}", "[]", "{}", "list_to_tuple(lists:seq(1, 300))", "self()"):
        node(f"P ! {message}, ok")
    assert node.get("k") == "ko"
    wait_until(lambda: counted(platoon, "erlang_ignored_total") == 9, 10, "nine messages to be counted")
    assert platoon.status()["ready"]


def test_who_sets_and_gets_sees_its_own_in_order(gate, client):
    """Two nodes, two keys, none waits for an answer before it goes on; every get must see the set before it."""
    gate()
    nodes = [client("one"), client("two")]
    for node in nodes:
        node.say("[begin P ! {s, node(), I}, P ! {g, I rem 2 =:= 0, node(), self(), x} end || I <- lists:seq(1, 3000)], "
                 "[receive {ok, N} -> N after 30000 -> nothing end || _ <- lists:seq(1, 3000)] =:= lists:seq(1, 3000)")
    assert [node.hear(60) for node in nodes] == ["true", "true"]


def test_commands_for_redis(gate, client):
    platoon, node = gate(), client()
    to = "{'RedisMaster', G}"
    assert node.asked("{self(), send, [set, \"walrus\", \"bubbles\"]}", to) == "{ok,<<79,75>>}"
    assert node.asked("{send, [\"GET\", walrus], self()}", to) == "{ok,<<98,117,98,98,108,101,115>>}"
    assert node.asked("{send, [get, nobody], self()}", to) == "{ok,undefined}"
    assert node.asked("{send, [incrby, <<\"n\">>, 5], self()}", to) == "{ok,5}"
    assert node.asked("{send, [incrbyfloat, [\"n\" | <<>>], 0.5], self()}", to) == "{ok,<<53,46,53>>}"
    assert node.asked("{send, [mget, n, nobody], self()}", to) == "{ok,[<<53,46,53>>,undefined]}"
    assert "{error,<<87,82,79,78,71" not in node.asked("{send, [lpush, l, [\"a\", <<\"b\">>, $c]], self()}", to)
    assert platoon.redis().lrange("l", 0, -1) == [b"abc"]
    node(f"{to} ! {{send, [set, alone, 1]}}, ok")
    wait_until(lambda: platoon.redis().get("alone") == b"1", 10, "the command without an answer")
    assert node("receive _ -> heard after 0 -> nothing end") == "nothing"


def said(node, answer):
    """The text of {error, Text}."""
    assert answer.startswith("{error,<<"), answer
    return bytes(int(n) for n in answer[len("{error,<<"):-len(">>}")].split(",")).decode()


def test_commands_that_fail(gate, client):
    platoon, node = gate(), client()
    for command, part in (("[incr]", "wrong number of arguments"), ("[subscribe, c]", "refused"), ("hello", "a command is a list"),
                          ("[]", "a command is a list"), ("[set, {a}]", "a command is a list"), ("[get | k]", "a command is a list")):
        assert part in said(node, node.asked(f"{{send, {command}, self()}}")), command
    platoon.ctl("stop", "redis/server")
    assert "redis" in said(node, node.asked("{send, [get, k], self()}")).lower()
    wait_until(lambda: "redis" in platoon.workers()[GATE]["trouble"], 20, "the trouble")
    platoon.ctl("start", "redis/server")
    wait_until(lambda: node.asked("{send, [ping], self()}") == "{ok,<<80,79,78,71>>}", 30, "Redis to be back")


def test_links_are_refused_as_by_a_node_without_the_process(gate, client):
    gate()
    node = client()
    assert node("link(P), receive {'EXIT', P, Why} -> Why after 10000 -> nothing end") == "noproc"
    node("link(P), unlink(P), ok")
    assert node("exit(P, kill), P ! {s, k, 1}, net_adm:ping(G)") == "pong"
    assert node.get("k") == "{ok,1}"


def test_a_gate_with_one_of_both(platoon, epmd, client):
    epmd.start()
    platoon.config_path.write_text(gate_text(platoon.dir, redis=False))
    platoon.start()
    node = client()
    assert "no Redis" in said(node, node.asked("{send, [ping], self()}"))
    node.set("k", "1")
    assert node.get("k") == "{ok,1}"
    platoon.config_path.write_text(gate_text(platoon.dir, cache=False))
    before = platoon.workers()[GATE]
    assert platoon.ctl("reload").returncode == 0
    platoon.replaced(before)
    wait_until(lambda: node.asked("{send, [ping], self()}", ms=1000) == "{ok,<<80,79,78,71>>}", 30, "the command's answer")
    wait_until(lambda: node.get("k", ms=500) == "nothing", 10, "nobody to answer")  # what was asked of Redis before may be answered late


def test_large_values_and_larger_ones(gate, client):
    platoon, node = gate(cache_memory="256MB"), client()
    for size in (1000000, 6000000):
        for made in ("binary:copy(<<255>>, {})", "lists:duplicate({}, $x)", "{{binary:copy(<<7>>, {})}}"):
            value = made.format(size)
            if size > 1000000 and "lists" in made:
                continue
            same = node(f"(fun() -> V = {value}, P ! {{s, large, V}}, P ! {{g, true, large, self(), x}}, receive {{ok, V}} -> same after 60000 -> nothing end end)()", 90)
            assert same == "same", value
    node.set("small", "1")
    node("P ! {s, small, binary:copy(<<255>>, 17000000)}, ok")
    assert node.get("small", ms=60000) == "{ok,1}"  # above object_max: refused, and the connection goes on
    wait_until(lambda: counted(platoon, "erlang_unanswered_total") == 1, 10, "the refusal to be counted")
    assert "object_max" in platoon.log()


def test_many_large_gets_at_once(gate, client):
    """More than its node's queue to us holds, were they all called for at once."""
    gate(cache_memory="256MB")
    node = client()
    node("P ! {s, large, binary:copy(<<255>>, 3000000)}, ok")
    assert node("[P ! {g, true, large, self(), x} || _ <- lists:seq(1, 40)], lists:usort([receive {ok, B} -> byte_size(B) after 60000 -> nothing end || _ <- lists:seq(1, 40)])", 120) == "[3000000]"


def test_an_orderly_stop_answers_what_was_asked(gate, client):
    platoon, node = gate(), client()
    node("P ! {s, k, 1}, ok")
    node.say("[P ! {g, true, k, self(), x} || _ <- lists:seq(1, 2000)], ok")
    assert node.hear() == "ok"
    done = platoon.ctl("stop", GATE)
    assert done.returncode == 0, done.stderr
    assert "did not finish" not in platoon.log()
    assert platoon.workers()[GATE]["state"] == "STOPPED"
