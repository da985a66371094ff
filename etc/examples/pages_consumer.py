#!/usr/bin/env python3
"""A consumer in Python: is handed one page at a time, and says what has become of it. See platoon.conf(5), takes, and PROTOCOL.md, Actors in any language.

    program indexer { command = "/usr/bin/python3 pages_consumer.py"  port = json  takes = pages }

A page without a url is a dead letter; one that cannot be had now comes again, after a pause that grows.
"""
import json
import sys


def index(page):
    print(f"indexed {page['url']}", file=sys.stderr)  # its log: platoonctl logs


def say(**action):
    print(json.dumps(action), flush=True)


for line in sys.stdin:
    event = json.loads(line)
    if event["event"] != "task":
        continue
    try:
        index(event["body"])
    except OSError as error:
        say(do="again", id=event["id"], error=str(error))
    except (KeyError, TypeError):
        say(do="bury", id=event["id"], error="it has no url")
    else:
        say(do="done", id=event["id"])
