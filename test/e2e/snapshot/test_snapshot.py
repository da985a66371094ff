"""Versions are put, listed, read again and compared; git sees the same."""
import json
import os
import pathlib
import re
import subprocess

from platoon_fixture import wait_until


def test_versions_are_commits(store):
    store.start({"work": {"path": "in/work.tsv"}, "staff": {}})
    first = store.put("work", b"a\t1\nb\t2\n")
    assert first["changed"] is True and first["seq"] == 1
    second = store.put("staff", b"walrus\n")
    third = store.put("work", b"a\t1\nb\t3\n")
    assert [second["seq"], third["seq"]] == [2, 3]
    assert store.get("work") == b"a\t1\nb\t3\n" and store.get("staff") == b"walrus\n"
    assert store.git("log", "--format=%H %s", "main").split("\n")[:3] == [f"{third['commit']} work", f"{second['commit']} staff", f"{first['commit']} work"]
    assert store.git("show", "main:in/work.tsv") == "a\t1\nb\t3\n"
    assert store.git("log", "-1", "--format=%(trailers:only)", "main").strip() == f"Seq: 3\nSource: put\nBy: uid {os.getuid()}"
    assert store.git("rev-parse", "main:in/work.tsv").strip() == third["blob"]
    good, said = store.is_sound()
    assert good, said


def test_list_and_log(store):
    store.start({"work": {"path": "in/work.tsv"}, "staff": {}})
    assert store.json("list") == [{"store": "plan", "resource": "work", "path": "in/work.tsv", "state": "empty", "error": None, "checked": None, "next": None},
                                  {"store": "plan", "resource": "staff", "path": "staff", "state": "empty", "error": None, "checked": None, "next": None}]
    put = [store.put("staff", b"%d\n" % n) for n in range(30)]
    row = store.json("list", "plan")[1]
    assert row | {"time": ""} == {"store": "plan", "resource": "staff", "path": "staff", "state": "ok", "error": None, "checked": None, "next": None, "source": "put", "seq": 30,
                                  "commit": put[-1]["commit"], "blob": put[-1]["blob"], "size": 3, "time": ""}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["time"])
    assert [v["seq"] for v in store.json("log", "staff")] == list(range(30, 10, -1))
    log = store.json("log", "staff", "--limit", "3", "--before", "11")
    assert [(v["seq"], v["commit"], v["size"], v["source"], v["by"]) for v in log] == [(n, put[n - 1]["commit"], 2, "put", f"uid {os.getuid()}") for n in (10, 9, 8)]
    assert store.json("log", "work") == []
    shown = store.ctl("snapshot", "list").stdout.decode()
    assert re.search(r"^plan +staff +ok +30 ", shown, re.M) and re.search(r"^plan +work +empty +- ", shown, re.M), shown


def test_what_is_the_same_is_no_version(store):
    store.start({"staff": {}})
    first = store.put("staff", b"walrus\n")
    assert store.put("staff", b"walrus\n") == {**first, "changed": False}
    assert store.git("rev-list", "--count", "main").strip() == "1"


def test_versions_by_commit_time_and_age(store):
    store.start({"work": {}, "staff": {}})
    old = store.put("work", b"old\n")
    other = store.put("staff", b"x\n")
    wait_until(lambda: int(store.git("log", "-1", "--format=%ct", "main")) + 1 < int(subprocess.run(["date", "+%s"], capture_output=True, check=True).stdout), 30,
               "a second to pass")
    then = int(store.git("log", "-1", "--format=%ct", "main"))
    new = store.put("work", b"new\n")
    assert store.get(f"work@{old['commit']}") == store.get(f"work@{old['commit'][:7].upper()}") == b"old\n"
    assert store.get(f"work@{other['commit'][:12]}") == b"old\n", "as it was when the other one was put"
    assert json.loads(store.ctl("--json", "snapshot", "get", f"work@{other['commit']}").stdout) | {"time": ""} == {
        "resource": "work", "seq": 1, "commit": old["commit"], "blob": old["blob"], "size": 4, "time": "", "text": "old\n"}
    iso = subprocess.run(["date", "-u", "-d", f"@{then}", "+%Y-%m-%dT%H:%M:%S"], capture_output=True, text=True, check=True).stdout.strip()
    assert store.get(f"work@{iso}") == store.get(f"work@{iso}Z") == b"old\n"
    assert store.get("work@0s") == store.get(f"work@{new['commit']}") == b"new\n"
    for version, code, text in (("1h", 1, "has no such version: its first one came later: its log says"), ("fffffff", 1, "there is no such commit"), ("yesterday", 2, "'yesterday' is no version"),
                                ("2026-02-30", 2, "is no version")):
        done = store.ctl("snapshot", "get", f"work@{version}")
        assert done.returncode == code and text in done.stderr.decode(), done


def test_diff(store):
    store.start({"work": {"path": "in/work.tsv"}})
    a = store.put("work", b"".join(b"line %d\n" % n for n in range(20)))
    b = store.put("work", b"".join(b"line %d\n" % (n if n != 10 else 99) for n in range(20)))
    text = store.ctl("snapshot", "diff", "work", a["commit"]).stdout.decode()
    assert "\n-line 10\n+line 99\n" in text and "@@ -8,7 +8,7 @@" in text and "a/in/work.tsv" in text
    assert store.ctl("snapshot", "diff", "work", a["commit"], b["commit"]).stdout.decode() == text
    applied = store.platoon.dir / "applied"
    (applied / "in").mkdir(parents=True)
    (applied / "in/work.tsv").write_bytes(store.get(f"work@{a['commit']}"))
    subprocess.run(["git", "apply"], input=text.encode(), cwd=applied, check=True, timeout=60)
    assert (applied / "in/work.tsv").read_bytes() == store.get("work"), "unified: git apply takes it"
    assert store.ctl("snapshot", "diff", "work", b["commit"], b["commit"]).stdout == b""
    assert store.ctl("snapshot", "diff", "work", b["commit"], a["commit"]).stdout.decode().count("+line 10\n") == 1


def test_what_takes_too_long_to_compare_is_refused(store):
    """Few different lines, in any order: libgit2 would be at it for minutes, and nobody else is answered meanwhile."""
    store.start({"work": {}})
    lines = [b"%d\n" % (n * n % 7) for n in range(300000)]
    a = store.put("work", b"".join(lines))
    store.put("work", b"x\n" + b"".join(lines[::-1]) + b"y\n")
    done = store.ctl("snapshot", "diff", "work", a["commit"])
    assert done.returncode == 1 and b"work: the difference has more than 500000 lines, or may have: get both versions" in done.stderr, done
    lines[150000] = b"another\n"
    b = store.put("work", b"".join(lines))
    assert b"+another\n" in store.ctl("snapshot", "diff", "work", a["commit"], b["commit"]).stdout, "many lines, of which few are others"


def test_large_versions_travel_in_pieces(store):
    store.start({"large": {"size_max": "20MB"}})
    data = os.urandom(3 * 1024 * 1024 + 17)
    put = store.put("large", data)
    assert store.get("large") == data
    assert store.git("cat-file", "-s", put["blob"]).strip() == str(len(data))
    shown = json.loads(store.ctl("--json", "snapshot", "get", "large").stdout)
    assert "text" not in shown and len(shown["base64"]) == (len(data) + 2) // 3 * 4


def test_bytes_of_any_kind(store):
    store.start({"any": {"size_min": "0"}})
    for data in (b"\0\xff\x1b[31m\n", "größe\n".encode(), b"no end of a line", b"", b"x" * (256 * 1024), b"\xc3" * (256 * 1024 + 1)):
        store.put("any", data)
        assert store.get("any") == data
    file = store.platoon.dir / "file"
    file.write_bytes(b"of a file\n")
    assert store.ctl("snapshot", "put", "any", file).returncode == 0
    assert store.get("any") == b"of a file\n"


def test_two_who_change_the_same_find_out(store):
    store.start({"staff": {}})
    first = store.put("staff", b"1\n")
    assert store.put("staff", b"2\n", "--if", first["blob"])["seq"] == 2
    done = store.ctl("snapshot", "put", "staff", "--if", first["blob"], data=b"3\n")
    assert done.returncode == 1 and b"not that one" in done.stderr
    assert store.get("staff") == b"2\n"


def test_what_is_refused(store):
    store.start({"staff": {"size_min": "3", "size_max": "10"}})
    for words, data, code, text in ((["put", "staff"], b"ab", 1, "2 bytes are fewer than size_min (3)"), (["put", "staff"], b"x" * 11, 1, "11 bytes are more than size_max (10)"),
                                    (["put", "staff"], b"x" * ((20 << 20) + 1), 1, "standard input: is larger than a version may be (20 MB)"),
                                    (["put", "stuff"], b"abc", 5, "did you mean 'staff'?"), (["get", "stuff"], None, 5, "did you mean 'staff'?"),
                                    (["get", "staff"], None, 1, "has no such version: none has been accepted yet"), (["list", "plam"], None, 5, "no snapshot named 'plam'"),
                                    (["put", "staff", "/nonexistent"], None, 1, "/nonexistent: No such file"), (["put"], None, 2, "usage: "),
                                    (["log", "staff", "--limit", "0"], None, 2, "staff: limit must be 1 to 1000"), (["log", "staff", "--before", "x"], None, 2, "before the number"), (["put", "staff", "a", "b"], None, 2, "a word too much")):
        done = store.ctl("snapshot", *words, data=data)
        assert done.returncode == code and text in done.stderr.decode(), (words, done)
    assert store.json("list")[0]["state"] == "empty"


def test_an_unknown_resource_is_5_whatever_is_asked(store):
    store.start({"staff": {}})
    store.put("staff", b"abc\n")
    for words in (["show", "stuff"], ["log", "stuff"], ["diff", "stuff", "1h"], ["get", "stuff"], ["put", "stuff"], ["run", "stuff"], ["whatif", "stuff", "--with", "staff=-"],
                  ["whatif", "staff", "--with", "stuff=-"], ["watch", "stuff"], ["list", "plam"], ["wait", "plam"], ["pack", "plam"]):
        done = store.ctl("snapshot", *words, data=b"abc\n")
        assert done.returncode == 5 and done.stdout == b"" and b"named '" in done.stderr, (words, done)
    assert store.ctl("snapshot", "put", "staff", "-", data=b"of stdin\n").returncode == 0 and store.get("staff") == b"of stdin\n"
    assert [set(v) for v in store.json("log", "staff")] == [{"seq", "commit", "blob", "size", "time", "source", "by"}] * 2
    assert set(store.put("staff", b"x\n")) == {"changed", "seq", "commit", "blob"}
    done = store.ctl("snapshot", "run", "staff")
    assert done.returncode == 1 and b"nobody makes it" in done.stderr


def test_a_store_that_is_away_keeps_nobody_from_another(store):
    store.platoon.config_path.write_text("platoon { runtime_dir = run  state_dir = state }\nsnapshot a { }\nsnapshot b { }\nresource x { snapshot = a }\nresource y { snapshot = b }\n")
    store.platoon.start()
    assert store.platoon.ctl("stop", "snapshot/a/store").returncode == 0
    assert store.put("y", b"1\n")["seq"] == 1 and store.get("y") == b"1\n"
    done = store.ctl("snapshot", "put", "x", data=b"1\n")
    assert done.returncode == 1 and b"snapshot a" in done.stderr.replace(b"/", b" "), done
    done = store.ctl("--json", "snapshot", "list")
    assert done.returncode == 1 and b"snapshot a" in done.stderr.replace(b"/", b" "), done
    assert [r["resource"] for r in json.loads(done.stdout)] == ["y"], "what the others have is shown"
    done = store.ctl("snapshot", "list", "a")
    assert done.returncode == 1 and done.stdout == b"", done


def test_several_snapshots(store):
    store.platoon.config_path.write_text("platoon { runtime_dir = run  state_dir = state }\nsnapshot a { }\nsnapshot b { path = elsewhere/b.git  branch = data }\n"
                                         "resource x { snapshot = a }\nresource y { snapshot = b }\n")
    store.platoon.start()
    store.put("x", b"1\n")
    store.put("y", b"2\n")
    assert [(r["store"], r["resource"], r["seq"]) for r in store.json("list")] == [("a", "x", 1), ("b", "y", 1)]
    assert [r["resource"] for r in store.json("list", "b")] == ["y"]
    assert store.git("show", "data:y", path=store.platoon.dir / "elsewhere/b.git") == "2\n"
    assert store.git("symbolic-ref", "HEAD", path=store.platoon.dir / "elsewhere/b.git").strip() == "refs/heads/data"


def test_git_clones_and_may_not_push(store, tmp_path):
    store.start({"staff": {}})
    store.put("staff", b"1\n")
    clone = tmp_path / "clone"
    subprocess.run(["git", "-c", "safe.directory=*", "clone", "-q", store.path, clone], check=True, capture_output=True)
    assert (clone / "staff").read_text() == "1\n"
    store.put("staff", b"2\n")
    store.git("pull", "-q", path=clone)
    assert (clone / "staff").read_text() == "2\n"
    (clone / "staff").write_text("3\n")
    store.git("-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qam", "mine", path=clone)
    done = subprocess.run(["git", "-C", clone, "push"], capture_output=True, text=True)
    assert done.returncode != 0 and "platoon alone writes here" in done.stderr
    assert store.put("staff", b"4\n")["seq"] == 3


def test_platoons_numbers_are_told(store):
    store.start({"staff": {}})
    for data in (b"1\n", b"1\n", b"2\n"):
        store.put("staff", data)
    counters = wait_until(lambda: (c := store.platoon.workers()["snapshot/plan/store"]["counters"]).get("snapshot_seq") == 2 and c, 30, "the gauge")
    assert counters["snapshot_commits_total"] == 2 and counters["snapshot_unchanged_total"] == 1, counters
    assert pathlib.Path(store.path / "config").read_text().count("auto = 0") == 1
