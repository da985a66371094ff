"""What the gate does when something of what it stands on goes: epmd, the cache, itself, its peers; and whom it does not let in."""
import os
import signal
import socket
import struct
import subprocess

from erlang_fixture import CACHE_NODE, GATE, Raw, atom, binary, gate_text
from platoon_fixture import SCALE, freeze, section, wait_until


def counted(platoon, name):
    return platoon.workers()[GATE]["counters"].get(name, 0)


def port_of(epmd):
    return wait_until(lambda: epmd.names().get("manager"), 20, "the gate to be registered")


def test_another_cookie_is_refused_and_named(gate, client):
    platoon = gate()
    wrong = client("stranger", meet=False, cookie="carpenter")
    assert wrong("net_adm:ping(G)") == "pang"
    wait_until(lambda: "stranger@localhost" in platoon.log() and "has another cookie" in platoon.log(), 10, "the log to name it")
    wait_until(lambda: counted(platoon, "erlang_refused_total") >= 1, 10, "it to be counted")
    assert counted(platoon, "erlang_nodes") == 0
    client()


def test_without_epmd_it_says_so_and_goes_on_trying(platoon, epmd, client):
    platoon.config_path.write_text(gate_text(platoon.dir))
    platoon.start_troubled()
    assert "epmd" in platoon.problems() and "epmd -daemon" in platoon.problems()
    epmd.start()
    wait_until(lambda: platoon.status()["ready"], 30, "the trouble to be over")
    node = client()
    node.set("k", "1")
    assert node.get("k") == "{ok,1}"
    epmd.stop()
    wait_until(lambda: "epmd" in platoon.problems(), 30, "the loss of epmd to be said")
    assert node.get("k") == "{ok,1}"  # who is connected stays so
    epmd.start()
    wait_until(lambda: "manager" in epmd.names(), 30, "the gate to be registered again")


def test_a_name_that_is_taken(gate, epmd, client):
    platoon = gate()
    platoon.ctl("stop", GATE)
    wait_until(lambda: "manager" not in epmd.names(), 10, "the name to be free")
    other = client("manager", meet=False)
    platoon.ctl("start", "--timeout", "2s", GATE)
    wait_until(lambda: "another node of this name" in platoon.problems(), 20, "the trouble")
    other.close()
    wait_until(lambda: platoon.status()["ready"], 30, "the trouble to be over")


def test_a_killed_gate_comes_back_and_so_do_its_clients(gate, client):
    platoon, node = gate(), client()
    node.set("k", "{a, term}")
    assert node.get("k") == "{ok,{a,term}}"
    before = platoon.workers()[GATE]
    os.kill(before["pid"], signal.SIGKILL)
    platoon.replaced(before)
    wait_until(lambda: node("net_adm:ping(G)") == "pong", 30, "the client to be connected again")
    assert node.get("k") == "{ok,{a,term}}"
    # The pid is that of the process that died: nobody may take the new one for it.
    node("{manager, G} ! {get_nodes, self()}")
    assert node("receive [{G, Q}] -> Q =/= P after 10000 -> nothing end") == "true"


def test_a_killed_cache_node(gate, client):
    platoon, node = gate(), client()
    node.set("k", "1")
    assert node.get("k") == "{ok,1}"
    before = platoon.workers()[CACHE_NODE]
    freeze(before["pid"])
    node("[P ! {g, true, k, self(), x} || _ <- lists:seq(1, 10)], ok")
    os.kill(before["pid"], signal.SIGKILL)
    platoon.replaced(before)
    wait_until(lambda: node.get("k", ms=500) == "{ok,1}", 30, "an answer")
    wait_until(lambda: counted(platoon, "erlang_unanswered_total") > 0, 10, "what was under way to be counted")
    assert "died, and it may have been done or not" in platoon.log()


def test_while_no_node_is_up_nothing_is_told(gate, client):
    """What is asked for waits for a node, and is dropped after the cache's timeout; a get must not be answered ko meanwhile."""
    platoon, node = gate(cache_timeout="1s"), client()
    node.set("k", "1")
    assert node.get("k") == "{ok,1}"
    platoon.ctl("stop", CACHE_NODE)
    assert node.get("k", ms=3000) == "nothing"
    wait_until(lambda: "no node of its cache" in platoon.problems(), 20, "the trouble")
    assert node.get("k", ms=300) == "nothing"
    platoon.ctl("start", CACHE_NODE)
    wait_until(lambda: platoon.status()["ready"], 30, "the trouble to be over")
    assert node.get("k") == "{ok,1}"


def test_what_waits_for_a_node_is_done_when_it_comes(gate, client):
    platoon, node = gate(cache_timeout="60s"), client()
    platoon.ctl("stop", CACHE_NODE)
    node("[P ! {s, k, I} || I <- lists:seq(1, 100)], P ! {g, true, k, self(), x}, ok")
    platoon.ctl("start", CACHE_NODE)
    assert node("receive M -> M after 60000 -> nothing end", 70) == "{ok,100}"


def test_garbage_and_silence_at_the_port(gate, epmd, client):
    platoon = gate()
    port = port_of(epmd)
    for garbage in (b"GET / HTTP/1.0\r\n\r\n", b"\0\0", b"\0\7N123456", b"\xff" * 100, b"\0\5n\0\5abc", struct.pack(">HcQIH", 300, b"N", 0, 0, 65535)):
        with socket.create_connection(("127.0.0.1", port), 10) as s:
            s.sendall(garbage)
            s.shutdown(socket.SHUT_WR)
            s.settimeout(20 * SCALE)
            try:
                while s.recv(4096):
                    pass
            except ConnectionResetError:
                pass
    silent = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(40)]
    client()  # after the deadlines of those before it
    for s in silent:
        s.close()
    wait_until(lambda: "spoke no Erlang distribution" in platoon.log(), 10, "the log to say so")
    assert platoon.workers()[GATE]["restarts"] == 0


def test_frames_that_no_node_sends(gate, epmd, client):
    platoon, node, port = gate(), client(), port_of(epmd)
    for name, frame in enumerate((b"\0\0\0\1x", b"\0\0\0\2p\x83", struct.pack(">I", 1 << 31), b"\0\0\0\5p\x83h\3a", b"\0\0\0\x0ep\x83h\3a\2w\0w\1x\x83l\xff", b"\0\0\0\3p\x83P")):
        raw = Raw(port, f"raw{name}@localhost").shake()
        raw.socket.sendall(frame)
        try:
            raw.hear()
            raise AssertionError(f"{frame} was taken")
        except (EOFError, ConnectionResetError):
            pass
        raw.close()
    node.set("k", "1")
    assert node.get("k") == "{ok,1}"
    assert platoon.workers()[GATE]["restarts"] == 0


def test_control_messages_by_hand(gate, epmd):
    """Those that an Erlang node does not send to this one, too."""
    gate()
    raw = Raw(port_of(epmd)).shake()
    ours = b"Xw\x11manager@localhost" + struct.pack(">III", 1, 0, 5)
    reference = b"Z\0\3" + atom("raw@localhost") + struct.pack(">IIII", 77, 1, 2, 3)
    raw.frame(b"h\4a\x13" + raw.pid() + atom("manager") + reference)  # MONITOR_P
    assert raw.hear() == b"p\x83h\5a\x15" + atom("manager") + raw.pid() + reference + atom("noproc")
    raw.frame(b"h\4a\x14" + raw.pid() + atom("manager") + reference)  # DEMONITOR_P
    raw.frame(b"h\3a\1" + raw.pid() + ours)  # LINK
    assert raw.hear() == b"p\x83h\4a\3" + ours + raw.pid() + atom("noproc")
    raw.frame(b"h\4a\x23a\7" + raw.pid() + ours)  # UNLINK_ID
    assert raw.hear() == b"p\x83h\4a\x24a\7" + ours + raw.pid()
    raw.frame(b"h\4a\x0cw\0" + ours + atom("token"), b"h\3" + atom("s") + atom("k") + binary(b"v"))  # SEND_TT
    raw.frame(b"h\5a\x10" + raw.pid() + b"w\0" + atom("manager") + atom("token"),  # REG_SEND_TT
              b"h\5" + atom("g") + atom("true") + atom("k") + raw.pid(9) + atom("x"))
    assert raw.hear() == b"p\x83h\3a\2w\0" + raw.pid(9) + b"\x83h\2" + atom("ok") + binary(b"v")
    raw.frame(b"h\3a\x63" + raw.pid() + ours)  # none that is known
    raw.socket.sendall(b"\0\0\0\0")  # a tick
    raw.frame(b"h\3a\x16" + raw.pid() + ours, b"h\2" + atom("get_nodes") + raw.pid())  # SEND_SENDER
    assert b"manager@localhost" in raw.hear()
    raw.close()


def test_who_reads_late_is_held_back_and_others_are_served(gate, epmd, client):
    platoon, node = gate(cache_memory="256MB"), client()
    node("P ! {s, large, binary:copy(<<255>>, 3000000)}, ok")
    assert node("P ! {g, true, large, self(), x}, receive {ok, B} -> byte_size(B) after 60000 -> nothing end", 90) == "3000000"
    slow = Raw(port_of(epmd)).shake()
    for _ in range(40):
        slow.send(b"h\5" + atom("g") + atom("true") + atom("large") + slow.pid() + atom("x"))
    node.set("k", "1")
    assert node.get("k") == "{ok,1}"
    # It is read no further than it reads itself; so it is not dropped for asking, and memory stays bounded.
    wait_until(lambda: counted(platoon, "erlang_messages_total") > 4, 10, "some to be asked for")
    assert platoon.workers()[GATE]["rss_bytes"] < 300e6
    answers = [slow.hear() for _ in range(40)]
    assert all(len(a) > 3000000 for a in answers)
    slow.close()
    assert platoon.workers()[GATE]["restarts"] == 0
    assert counted(platoon, "erlang_dropped_total") == 0


def test_who_does_not_read_at_all_is_dropped(gate, epmd, client):
    """Of commands for Redis all that it has said are under way, and their answers are more than may wait."""
    platoon, node = gate(redis={"timeout": "60s"}), client()
    platoon.redis().set("large", b"x" * 3000000)
    slow = Raw(port_of(epmd)).shake()
    for _ in range(30):
        slow.send(b"h\3" + atom("send") + b"l\0\0\0\2" + atom("get") + atom("large") + b"j" + slow.pid())
    wait_until(lambda: counted(platoon, "erlang_dropped_total") == 1, 60, "it to be dropped")
    assert "node-slow node=raw@localhost" in platoon.log()
    assert node("{manager, G} ! {send, [ping], self()}, receive {ok, Pong} -> Pong after 10000 -> nothing end") == "<<80,79,78,71>>"
    slow.close()


def test_a_node_that_connects_anew_takes_the_place_of_its_old_connection(gate, epmd):
    platoon = gate()
    port = port_of(epmd)
    old = Raw(port).shake()
    new = Raw(port).shake()
    try:
        old.hear()
        raise AssertionError("the old connection lives on")
    except (EOFError, ConnectionResetError):
        pass
    new.send(b"h\2" + atom("get_nodes") + new.pid())
    assert b"manager@localhost" in new.hear()
    wait_until(lambda: counted(platoon, "erlang_nodes") == 1, 10, "one node")
    new.close()


def test_a_cookie_that_others_can_read(platoon, epmd):
    epmd.start()
    platoon.config_path.write_text(gate_text(platoon.dir))
    (platoon.dir / "cookie").chmod(0o640)
    done = subprocess.run([str(platoon.build / "platoon"), "-c", str(platoon.config_path)], capture_output=True, text=True, timeout=30, env=platoon.environment())
    assert done.returncode == 78
    assert "cookie_file" in done.stderr and "chmod 600" in done.stderr


def test_two_gates_of_one_cache(platoon, epmd, client):
    epmd.start()
    other = section("erlang other", {"node": "other@localhost", "cookie_file": platoon.dir / "cookie", "cache": "sessions"})
    platoon.config_path.write_text(gate_text(platoon.dir) + other)
    platoon.start()
    one, two = client("one"), client("two", gate="other@localhost")
    one.set("k", "{by, one}")
    assert one.get("k") == "{ok,{by,one}}"
    assert two.get("k") == "{ok,{by,one}}"
