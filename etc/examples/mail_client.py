#!/usr/bin/env python3
"""A client in Python, which needs Redis alone (7 or newer): delivers what stands on its command line, then takes one message after the other.

    mail_client.py SOCKET_OF_REDIS [BODY...]
"""
import sys

import redis

NAMESPACE = "shop:"
LEASE_MS = 30_000


def call(function, *words):
    return shop.fcall(f"platoon_{function}", 1, NAMESPACE, *words)


shop = redis.Redis(unix_socket_path=sys.argv[1], decode_responses=True)
for body in sys.argv[2:]:
    call("deliver", "7:mail", "7", body)
while messages := call("pull", "mail_client.py", 10, LEASE_MS, "mail"):
    for queue, receipt, attempt, facet, at_ms, body in messages:
        print(facet, body)
        call("ack", queue, receipt)
