"""Many jobs: lists page by page and by what they are, acts on all of a status, totals, and output that is followed."""
import json
import subprocess

from platoon_fixture import SCALE, wait_until


def ids(answer):
    return [row["job_id"] for row in answer["jobs"]]


def test_lists_page_by_page(etlas):
    etlas.add("other.sh", "#!/bin/sh\n")
    etlas.start(sanjers=1)
    gate = str(etlas.platoon.dir / "gate")
    made = [etlas.run({"until": gate})] + [etlas.run(platform="other" if i % 3 == 0 else "coinis") for i in range(1, 8)]
    wait_until(lambda: etlas.seen(job=made[0]), 60, "the first to run")
    listed = etlas.platoon.json("job", "list", "-n", "3")
    assert ids(listed) == made[:4:-1] and listed["total"] == 8 and listed["next"] == made[5]
    behind = etlas.platoon.json("job", "list", "--after", listed["next"])
    assert ids(behind) == made[4::-1] and behind["next"] is None
    assert ids(etlas.platoon.json("job", "list", "--platform", "other")) == [made[6], made[3]]
    assert ids(etlas.platoon.json("job", "list", "--status", "queued", "--platform", "other", "--queue", "q")) == [made[6], made[3]]
    assert ids(etlas.platoon.json("job", "list", "--status", "started")) == [made[0]]
    assert ids(etlas.platoon.json("job", "list", "--since", "1h")) == made[::-1]
    etlas.redis.zadd("platoon:{jobs:etlas}:jobs", {made[0]: 1})
    assert ids(etlas.platoon.json("job", "list", "--since", "1h")) == made[:0:-1]
    shown = etlas.platoon.ctl("job", "list", "-n", "3").stdout
    assert f"3 of 8; the next: --after {made[5]}" in shown
    for words, code in ((("--status", "done"), 2), (("-n", "0"), 2), (("--since", "x"), 2), (("--queue", "other"), 2), (("--after", "nobody"), 5)):
        assert etlas.platoon.ctl("job", "list", *words).returncode == code, words
    (etlas.platoon.dir / "gate").touch()
    for job in made:
        etlas.until(job, "finished")
    assert ids(etlas.platoon.json("job", "list", "--status", "finished", "-n", "4"))[0] == made[-1]
    etlas.redis.delete("platoon:{jobs:etlas}:jobs")  # what is ours is made again of what is RQ's
    wait_until(lambda: ids(etlas.platoon.json("job", "list")) == made[::-1], 60, "the list to be there again")
    etlas.redis.delete(f"rq:job:{made[3]}")
    assert made[3] not in ids(etlas.platoon.json("job", "list"))


def test_all_of_a_status(etlas):
    etlas.add("other.sh", "#!/bin/sh -e\n[ \"$1\" != --spec ] || { echo {}; exit; }\nexit 5\n")
    etlas.start()
    bad = [etlas.run({"exit": 3, "from": 1}) for _ in range(3)]
    others = [etlas.run(platform="other") for _ in range(2)]
    for job in bad + others:
        etlas.until(job, "failed")
    for words in (("--all",), ("--all", "--status", "failed", bad[0]), ("--status", "failed"), ()):
        assert etlas.platoon.ctl("job", "retry", *words).returncode == 2, words
    done = etlas.platoon.json("job", "retry", "--all", "--status", "failed", "--platform", "other")
    assert {row["job_id"] for row in done} == set(others) and {row["status"] for row in done} == {"queued"}
    for job in others:
        wait_until(lambda: etlas.show(job)["attempt"] == 2 and etlas.show(job)["status"] == "failed", 60, "the second attempt")
    shown = etlas.platoon.ctl("job", "retry", "--all", "--status", "failed").stdout
    assert len(shown.splitlines()) == 5
    rows = etlas.platoon.json("job", "stats", "--since", "2d")
    wait_until(lambda: sum(row["jobs"] for row in etlas.platoon.json("job", "stats")) == 12, 60, "all to be counted")
    rows = etlas.platoon.json("job", "stats")
    assert {(row["platform_id"], row["status"]) for row in rows} == {("coinis", "failed"), ("other", "failed")}
    assert "coinis" in etlas.platoon.ctl("job", "stats").stdout
    etlas.redis.set("rq:suspended", 1)
    waits = [etlas.run(), etlas.run(platform="other"), etlas.run()]
    assert etlas.platoon.ctl("job", "cancel", "--all", "--platform", "other").returncode == 2
    assert [row["job_id"] for row in etlas.platoon.json("job", "cancel", "--all", "--status", "queued", "--platform", "other")] == waits[1:2]
    assert {(row["job_id"], row["status"]) for row in etlas.platoon.json("job", "cancel", "--all", "--status", "queued")} == {
        (waits[0], "canceled"), (waits[2], "canceled")}
    rows = lambda: {(row["platform_id"], row["status"]): row["jobs"] for row in etlas.platoon.json("job", "stats")}
    wanted = {("coinis", "failed"): 6, ("other", "failed"): 6, ("coinis", "canceled"): 2, ("other", "canceled"): 1}
    wait_until(lambda: rows() == wanted, 60, lambda: f"all to be counted: {rows()}")


def test_tail_follows(etlas):
    etlas.add("slow.sh", "#!/bin/sh\necho one\nuntil [ -e ../step ]; do sleep 0.02; done\nprintf two\n")
    etlas.start(sanjers=1)
    job = etlas.run(platform="slow")
    tool = [str(etlas.platoon.build / "platoonctl"), "-s", str(etlas.platoon.dir / "run/control.sock")]
    follows = subprocess.Popen([*tool, "job", "tail", job, "-f"], stdout=subprocess.PIPE, text=True)
    assert follows.stdout.readline() == "one\n"
    (etlas.platoon.dir / "step").touch()
    out, _ = follows.communicate(timeout=60 * SCALE)
    assert (out, follows.returncode) == ("two\n", 0)
    assert etlas.platoon.ctl("job", "tail", job).stdout == "one\ntwo\n"
    assert json.loads(etlas.platoon.ctl("--json", "job", "tail", job).stdout) == "one\ntwo"
    assert etlas.platoon.ctl("job", "tail", "nobody", "-f").returncode == 5
