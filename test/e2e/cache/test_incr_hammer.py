"""The hammer itself: it passes over a redis-server that is killed, paused and restarted, and finds what a wrong one would answer."""
import pytest

from incr_hammer import Ack, Hammer, judge


def acks(*numbers, client="a", key="k"):
    return [Ack(client, key, number, at, at + 0.5) for at, number in enumerate(numbers)]


def test_numbers_that_are_right():
    assert judge(acks(1, 2, 4), {"k": 4}, {"k": 4}) == []
    assert judge(acks(1, 2, 4), {"k": 9}, {"k": 6}) == []
    side_by_side = [Ack("a", "k", 2, 0.0, 2.0), Ack("b", "k", 1, 1.0, 3.0)]
    assert judge(side_by_side, {"k": 2}, {"k": 2}) == []


@pytest.mark.parametrize("said, sent, final, wrong", [
    (acks(1, 2, 2), 3, 3, "twice"),
    (acks(1, 2, 3), 3, 2, "more than"),
    (acks(0, 1), 2, 2, "none that INCR gives"),
    (acks(1, 3, 2), 3, 3, "was known"),
    (acks(1, 2), 2, 3, "that were sent"),
    ([Ack("a", "k", 2, 0.0, 1.0), Ack("b", "k", 1, 1.5, 2.0)], 2, 2, "was known"),
    (acks(1, 2, 3), 5, None, "more than"),
])
def test_numbers_that_are_wrong(said, sent, final, wrong):
    assert any(wrong in text for text in judge(said, {"k": sent}, {"k": final or 0}))


def test_clients_of_a_server_that_breaks(redis_server):
    """Redis' own AOF has what was acknowledged, after a kill, too."""
    server = redis_server()
    with Hammer({"one": server.client, "two": server.client}, ["a", "b", "c"]) as hammer:
        hammer.more(50)
        for _ in range(3):
            server.stop()
            hammer.refused()
            server.start()
            hammer.more()
        server.pause()
        server.resume()
        hammer.more()
        for client in server.client().client_list():
            server.client().client_kill_filter(_id=client["id"])
        hammer.more()
        finals = hammer.check(server.client())
    assert min(finals.values()) > 100


def test_a_server_that_forgets_is_found(redis_server):
    server = redis_server("--appendonly", "no")
    with Hammer({"one": server.client}, ["a"]) as hammer:
        hammer.more(50)
        server.stop()
        server.start()
        hammer.more()
        with pytest.raises(AssertionError, match="twice"):
            hammer.check(server.client())


def test_another_error_is_wrong(redis_server):
    server = redis_server()
    server.client().rpush("a", "x")
    hammer = Hammer({"one": server.client}, ["a"])
    with pytest.raises(AssertionError, match="WRONGTYPE"):
        with hammer:
            hammer.more()
