"""etc/examples/plan as its configuration has people try it."""
import json
import re
import shutil
import subprocess
import urllib.request

from platoon_fixture import free_port, ROOT, wait_until
from test_snapshot_runs import settle

PLAN = b"""task\twho\tstart\tfinish
foundation\tmaria\t2026-11-30\t2026-12-04
walls\tsven\t2026-12-03\t2026-12-09
roof\tmaria\t2026-12-08\t2026-12-10
windows\tsven\t2026-12-10\t2026-12-11
"""


# What a browser gives the page's script: elements by their id, of which a test sees what is put into them.
BROWSER = """
    const elements = {}, real = globalThis.fetch
    globalThis.fetch = (address, options) => real(new URL(address, ORIGIN), options)
    globalThis.document = {
        addEventListener() {},
        createElement: () => ({ replaceChildren(...cells) { this.cells = cells.map(cell => cell.textContent) } }),
        getElementById: id => elements[id] ??= {
            value: "",
            addEventListener(name, fn) { this.fn = fn },
            replaceChildren(...rows) { this.rows = rows.map(row => row.cells) },
        },
    }
    async function until(what) {
        for (const end = Date.now() + 60000; !what(); ) {
            if (Date.now() > end)
                throw new Error("nothing came: " + what)
            await new Promise(done => setTimeout(done, 20))
        }
    }
"""
# The table; then other holidays are typed in, and then such as are none.
VISITOR = """
    await until(() => elements.plan.rows && elements.holidays.value)
    const said = { plan: elements.plan.rows, holidays: elements.holidays.value }
    for (const [name, text] of [["whatif", "2026-12-01\\tbridge\\n"], ["wrong", "2026-12-01\\n"]]) {
        elements.holidays.value = text
        await elements.ask.fn({ preventDefault() {} })
        said[name] = [elements.whatif.rows, elements.said.textContent]
    }
    console.log(JSON.stringify(said))
    process.exit(0)
"""


def table(text):
    return [line.split("\t") for line in text.decode().splitlines()]


def fetched(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read()


def shown(origin):
    """What a visitor sees of the page's own script, with the client that it imports."""
    with urllib.request.urlopen(f"{origin}/pages/plan/", timeout=60) as page:
        [script] = re.findall(r'<script type="module">(.*)</script>', page.read().decode(), re.S)
    with urllib.request.urlopen(f"{origin}/data/client.js", timeout=60) as client:
        module = client.read().decode().replace("import.meta.url", json.dumps(client.url))
    script = script.replace('import { subscribe } from "/data/client.js"', "")
    browser = BROWSER.replace("ORIGIN", json.dumps(origin))
    done = subprocess.run(["node", "--input-type=module"], input=f"{browser}\n{module}\n{script}\n{VISITOR}", capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_plan(store):
    folder = store.platoon.dir
    shutil.copytree(ROOT / "etc/examples/plan", folder, dirs_exist_ok=True)
    port = free_port()
    store.platoon.config_path.write_text((folder / "platoon.conf").read_text().replace("127.0.0.1:9180", f"127.0.0.1:{port}"))
    store.platoon.start()
    settle(store)
    assert store.get("plan") == PLAN
    (folder / "work.tsv").write_text((folder / "work.tsv").read_text() + "paint\tmaria\t3\n")
    assert store.ctl("snapshot", "run", "work-file").returncode == 0
    settle(store)
    assert store.get("plan") == PLAN + b"paint\tmaria\t2026-12-11\t2026-12-15\n"
    wait_until(lambda: fetched(f"http://127.0.0.1:{port}/data/plan/plan") == store.get("plan"), 60, "the newest over HTTP")
    seen = shown(f"http://127.0.0.1:{port}")
    assert seen["plan"] == table(store.get("plan")) and seen["holidays"] == (folder / "holidays.tsv").read_text()
    rows, said = seen["whatif"]
    assert rows[1] == ["foundation", "maria", "2026-11-30", "2026-12-07"] and len(rows) == 6 and said == "", "a day later"
    assert seen["wrong"] == [[], "holidays: exit 1: line 1: 1 fields, it must have 2"]
    asked = store.ctl("snapshot", "whatif", "plan", "--with", "holidays-file=-", data=b"2026-12-01\tbridge\n")
    assert asked.returncode == 0 and table(asked.stdout) == rows, "the tool says what the page says"
    assert len(store.json("log", "plan")) == 2 and "paint" in store.git("log", "-p", "-1", "main", "--", "plan.tsv")
    (folder / "staff.tsv").write_text("maria\t2026-11-30\nsven\n")
    assert store.ctl("snapshot", "run", "staff-file").returncode == 0
    said = settle(store, 1)
    assert "staff is failed: exit 1: line 2: 1 fields, it must have 2" in said and "plan is held: waits for staff, which failed" in said
    (folder / "staff.tsv").write_text("maria\t2026-11-30\n")
    assert store.ctl("snapshot", "run", "staff-file").returncode == 0
    assert "plan is failed: exit 1: walls: sven is not in staff" in settle(store, 1)
