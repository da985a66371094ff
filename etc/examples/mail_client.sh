#!/bin/sh
# mail_client.sh QUEUE: a client in shell: takes one message after the other, until none is left. Arguments behind QUEUE lead to platoon (-c FILE).
set -eu
queue=$1
shift
while receipt=$(platoonctl "$@" --json queue pull "$queue" | python3 -c '
import json, sys
for message in json.load(sys.stdin):
    print(message["receipt"])
    print(message["facet"], message["body"], file=sys.stderr)') && [ -n "$receipt" ]; do
    platoonctl "$@" queue ack "$queue" "$receipt"
done
