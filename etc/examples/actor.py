#!/usr/bin/env python3
"""An actor in Python: counts what it is told, answers, and asks another one. See platoon.conf(5), port, and PROTOCOL.md, Actors in any language.

    program counter { command = "/usr/bin/python3 actor.py"  port = json  ready = actor  settings = "step=2" }

    $ platoonctl send counter.1 '{"add": 5}'        -> {"total": 10}
"""
import json
import sys

total = 0
step = 1


def say(**action):
    print(json.dumps(action), flush=True)


for line in sys.stdin:
    event = json.loads(line)
    kind = event["event"]
    if kind == "hello":
        step = int(event["settings"].get("step", 1))
        say(do="ready")
        say(do="doing", text="counts")
    elif kind == "message":
        total += step * event["body"].get("add", 0)
        say(do="send", to=event["from"], body={"total": total})
    elif kind == "request":
        total += step * event["body"].get("add", 0)
        say(do="reply", id=event["id"], body={"total": total})
    elif kind == "stop":
        break
    else:
        print(f"hears {line.strip()}", file=sys.stderr)
