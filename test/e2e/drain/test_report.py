"""platoonctl report: counts by field and over time, compared with what was stored; beside the writes."""
import collections
import csv
import datetime
import io
import threading

import pytest

from platoon_fixture import wait_until


def visits(count):
    now = datetime.datetime.now(datetime.timezone.utc)
    out = {}
    for i in range(count):
        when = now - datetime.timedelta(minutes=i % 120)
        out[f"v:{i}"] = {"path": f"/p{i % 7}", "status": "404" if i % 10 == 0 else "200", "time": when.strftime("%Y-%m-%dT%H:%M:%SZ"), "n": str(i)}
    out["v:odd"] = {"status": "500", "time": now.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return out


@pytest.fixture
def loaded(platoon):
    platoon.start()
    platoon.expected = visits(1000)
    platoon.add(platoon.expected)
    platoon.drained()
    return platoon


def test_total(loaded):
    assert loaded.json("report", "visits")["total"] == 1001
    done = loaded.ctl("report", "visits")
    assert done.returncode == 0 and ("1001" in done.stdout or "1,001" in done.stdout)


def test_by_field(loaded):
    answer = loaded.json("report", "visits", "--by", "path")
    counted = collections.Counter(fields.get("path") for fields in loaded.expected.values())
    assert {value: count for value, count in map(pair, answer["values"])} == dict(counted)
    counts = [pair(v)[1] for v in answer["values"]]
    assert counts == sorted(counts, reverse=True)
    assert answer["total"] == 1001


def pair(value):
    return (value["value"], value["count"]) if isinstance(value, dict) else tuple(value)


def test_top(loaded):
    answer = loaded.json("report", "visits", "--by", "path", "--top", "3")
    assert len(answer["values"]) == 3 and answer["total"] == 1001


def test_over_time(loaded):
    answer = loaded.json("report", "visits", "--every", "10m", "--time", "time")
    times = [(t["time_ms"], t["count"]) if isinstance(t, dict) else tuple(t) for t in answer["times"]]
    slots = collections.Counter()
    for fields in loaded.expected.values():
        stamp = datetime.datetime.strptime(fields["time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()
        slots[int(stamp // 600 * 600 * 1000)] += 1
    found = {t: c for t, c in times if c}
    assert found == dict(slots)
    assert [t for t, _ in times] == sorted(t for t, _ in times)


def test_since(loaded):
    answer = loaded.json("report", "visits", "--since", "30m", "--time", "time", "--by", "status")
    edge = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=30)
    recent = [f for f in loaded.expected.values() if datetime.datetime.strptime(f["time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc) >= edge]
    # A minute's worth of visits may cross the edge between the two looks at the clock.
    assert abs(answer["total"] - len(recent)) <= 9
    assert loaded.json("report", "visits", "--since", "1h")["total"] == 1001, "without --time the time of storing counts"


def test_table_with_bars(loaded):
    done = loaded.ctl("report", "visits", "--by", "status", "--every", "10m")
    assert done.returncode == 0
    for word in ("200", "404", "500"):
        assert word in done.stdout
    assert "\x1b" not in done.stdout


def test_csv(loaded):
    done = loaded.ctl("report", "visits", "--by", "status", "--csv")
    assert done.returncode == 0, done.stderr
    rows = list(csv.reader(io.StringIO(done.stdout)))
    counted = {row[-2]: int(row[-1]) for row in rows[1:] if row[-1].isdigit()}
    assert counted == {"200": 900, "404": 100, "500": 1}


def test_an_answer_that_is_too_large_says_so(platoon):
    platoon.start()
    platoon.add({f"v:{i}": {"f": f"{i}" * 6_000_000} for i in range(4)})
    platoon.drained()
    done = platoon.ctl("report", "visits", "--by", "f")
    assert done.returncode != 0 and "more than 16777152: ask for less" in done.stderr
    assert platoon.json("report", "visits", "--by", "f", "--top", "2")["total"] == 4


@pytest.mark.parametrize("words", [["--since", "yesterday"], ["--top", "none"], ["--every", "-1m"], ["--bogus"]])
def test_wrong_arguments(loaded, words):
    done = loaded.ctl("report", "visits", *words)
    assert done.returncode == 2 and done.stderr.strip()


def test_odd_field_names_and_values(platoon):
    """Names that would be syntax elsewhere: SQL, JSON paths."""
    platoon.start()
    names = ["a'b", 'a"b', "a.b", "$[0]", "x;DROP TABLE records", "ä", ""]
    platoon.add({f"v:{i}": {name: f"value {name}" for name in names} for i in range(3)})
    platoon.drained()
    for name in names[:-1]:
        answer = platoon.json("report", "visits", "--by", name)
        assert [pair(v) for v in answer["values"]] == [(f"value {name}", 3)], name
    assert len(platoon.rows()) == 3


@pytest.mark.parametrize("worker, words", [("transfer/report", ("report", "visits")), ("redis/visits/watcher.1", ("drain", "dead", "visits", "list"))])
def test_a_request_counts_once(platoon, worker, words):
    """What the skeleton counts when it is answered, the type counted too when it was asked."""
    platoon.start()
    platoon.add({"v:1": {"n": "1"}})
    wait_until(platoon.rows, 10, "the row")

    def counted():
        return platoon.workers()[worker]["counters"].get("requests_total", 0)
    for _ in range(5):
        platoon.json(*words)
    wait_until(lambda: counted() >= 5, 10, "five requests in a beat")
    assert platoon.ctl("send", worker, '{"log_level":"info"}').returncode == 0
    wait_until(lambda: counted() >= 6, 10, "the sixth, which is the skeleton's, in a later beat")
    assert counted() == 6


def test_reads_run_beside_the_writes(platoon):
    """Reports all the time while 10,000 records are stored: each answers, and the drain comes to its end."""
    platoon.start()
    answers, stop = [], threading.Event()

    def reader():
        while not stop.is_set():
            answers.append(platoon.json("report", "visits", "--by", "n", "--top", "2")["total"])
    thread = threading.Thread(target=reader)
    thread.start()
    try:
        for part in range(10):
            platoon.add({f"v:{part}:{i}": {"n": str(i)} for i in range(1000)})
        platoon.drained(timeout=60)
    finally:
        stop.set()
        thread.join()
    assert len(answers) > 2 and answers == sorted(answers)
    assert platoon.json("report", "visits")["total"] == 10000
    assert all(w["restarts"] == 0 for w in platoon.workers().values())
