"""A disk that fails for a moment: each write, and each fsync, of a put fails in turn; nothing half done is there, reading goes on, and the next put is accepted."""
import pathlib
import sys

import pytest

from platoon_fixture import ASAN

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "fault"))
from plan import Plan, environment  # noqa: E402


# Not under the sanitizers: their runtime must come before whatever is preloaded.
if not ASAN:
    @pytest.mark.parametrize("kind", ["write", "sync"])
    def test_each_call_that_fails(store, kind):
        plans = store.platoon.dir / "plans"
        plans.mkdir()
        plan = Plan(plans, "snapshot")
        inner = store.platoon.environment()
        store.platoon.environment = lambda: {**inner, **environment(plans)}
        store.start({"work": {"path": "in/work.tsv"}})
        kept, seq, failures = None, 0, 0
        for n in range(1, 200):
            data = b"version %d\n" % n
            plan.fail(kind, n)
            done = store.ctl("snapshot", "put", "work", data=data)
            came_to_it = plan.failed(kind) > 0
            plan.fail(kind, 0)
            if done.returncode == 0:
                kept, seq = data, seq + 1
            else:
                failures += 1
                assert came_to_it and done.returncode == 1 and b"work: not accepted" in done.stderr, (n, done)
            assert store.json("list")[0].get("seq", 0) == seq, (n, done)
            if kept is not None:
                assert store.get("work") == kept, (n, done)
            if not came_to_it:
                break
        else:
            raise AssertionError("a put has no end of such calls")
        assert failures > 0
        assert store.put("work", b"at last\n")["seq"] == seq + 1
        assert [v["seq"] for v in store.json("log", "work", "--limit", "1000")] == list(range(seq + 1, 0, -1))
        good, said = store.is_sound()
        assert good, said
