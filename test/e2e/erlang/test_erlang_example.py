"""etc/examples/erlang.conf as README.md has people try it: what stands there behind each number, said by a real Erlang node."""
import re

from erlang_fixture import COOKIE
from platoon_fixture import ROOT


def session():
    """What is said in README.md, and what is answered (None: nothing is shown)."""
    text = (ROOT / "README.md").read_text().split("### For Erlang's processes\n")[1].split("\n##")[0]
    said = re.findall(r"^    \d+> (.*)\.\n((?!    \d+> |    \$ )    (.*)\n)?", text, re.M)
    return [(line, answer or None) for line, _, answer in said]


def test_the_example(platoon, epmd, client):
    text = (ROOT / "etc/examples/erlang.conf").read_text()
    assert text.count("127.0.0.1:6390") == 1
    platoon.config_path.write_text(text.replace("127.0.0.1:6390", f"unix:{platoon.dir}/c.sock"))
    cookie = platoon.dir / "cookie"
    cookie.write_text(COOKIE + "\n")
    cookie.chmod(0o600)
    epmd.start()
    platoon.start()
    node, lines = client("me"), session()
    assert [bool(answer) for _, answer in lines] == [False, False, True, True]
    node("Pid = P")  # the README's first line binds it again: to the same, or it fails
    for said, answer in lines:
        got = node(f"begin {said} end" + (f" =:= {answer}" if answer else ""))
        assert got == "true" if answer else not got.startswith("{error,"), (said, got)
