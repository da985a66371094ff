"""scripts/track in the tests: a line of a log in, the fields it becomes out."""
import shlex
import subprocess
import sys

from platoon_fixture import ROOT

TRACK = ROOT / "scripts/track"
sys.path.insert(0, str(TRACK.parent / "lib"))
from access_log import FIELDS, Malformed, Reader, flatten  # noqa: E402,F401

GOOD = '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://www.example.com/" "Mozilla/4.08"'


def run(text, *words):
    return subprocess.run([TRACK, "--print", "--start-id", "1", "-", *words], input=text if isinstance(text, bytes) else text.encode(),
                          capture_output=True, timeout=30)


def fields(line, *words):
    """The fields one line becomes, from the printed command."""
    done = run(line + "\n" if isinstance(line, str) else line + b"\n", *words)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 2, (lines, done.stderr)
    words = shlex.split(lines[0])
    assert words[:2] == ["HSET", "visit:1"] and lines[1] == "SADD tracking:pending visit:1"
    return dict(zip(words[2::2], words[3::2]))


def read(line, form="auto"):
    """The same without a process: what the reader of that format makes of a line, as text; a byte that is not ASCII is one character."""
    values, further = Reader(form).read(line.encode("latin-1") if isinstance(line, str) else line)
    return {name.decode(): value.decode("latin-1") for name, value in (*zip(FIELDS, values), *further)}
