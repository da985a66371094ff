"""script_drain.py SOCKET SET DATABASE LUA|-: the drain as a script: redis-py in pipelines of 500, executemany into SQLite.

Part of scripts/bench/drain. With LUA (the folder proto/drain) it keeps the same in-flight ledger as platoon, by the same scripts: claim, take, ack.
With "-" it keeps none, as people really write it: what it holds is lost when it dies. Prints the number of records and the seconds it took.
"""
import json
import pathlib
import sqlite3
import sys
import time

import msgpack
import redis

BATCH = 500
PREFIX = "platoon:{bench}:"


def script(client, folder, name):
    lines = ((folder / "lib.lua").read_text() + (folder / f"{name}.lua").read_text()).splitlines()
    kept = [line for line in lines if line.strip() and not line.strip().startswith("--")]
    return client.register_script("\n".join(kept))


def rows_of(hashes, seqs, now):
    for fields, seq in zip(hashes, seqs):
        text = {k.decode(): v.decode("utf-8", "replace") for k, v in fields.items()}
        key = f"{text['app']}/{text['session']}/{text['event']}"
        yield "visits", key, json.dumps(text), seq, now


def store(db, hashes, seqs):
    now = int(time.time() * 1000)
    with db:
        db.executemany("INSERT INTO records VALUES(?,?,?,?,?) ON CONFLICT(bucket,key) DO UPDATE SET data=excluded.data, seq=excluded.seq, "
                       "updated_at=excluded.updated_at WHERE excluded.seq>=records.seq", rows_of(hashes, seqs, now))


def with_ledger(client, key_set, db, folder):
    claim, take, ack = (script(client, folder, name) for name in ("claim", "take", "ack"))
    keys, total = [PREFIX, key_set], 0
    while True:
        answer = claim(keys=keys, args=[BATCH, 30000, "aa:1:script:1", "aa:1:script:1", "take", 5, 0, 0])
        if len(answer) == 1:
            return total
        take(keys=keys, args=[answer[1], "aa:1:script:1", 30000])
        members = msgpack.unpackb(answer[4], raw=True)
        pipe = client.pipeline(transaction=False)
        for seq, _, _ in members:
            pipe.hgetall(f"{PREFIX}aside:{seq}")
        store(db, pipe.execute(), [m[0] for m in members])
        ack(keys=keys, args=[answer[1], len(members)])
        total += len(members)


def without(client, key_set, db):
    total = 0
    while True:
        members = client.spop(key_set, BATCH)
        if not members:
            return total
        pipe = client.pipeline(transaction=False)
        for member in members:
            pipe.hgetall(member)
        store(db, pipe.execute(), range(total, total + len(members)))
        client.unlink(*members)
        total += len(members)


def main(socket, key_set, path, lua):
    client = redis.Redis(unix_socket_path=socket)
    db = sqlite3.connect(path)
    db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE records(bucket TEXT, key TEXT, data TEXT, seq INTEGER, "
                     "updated_at INTEGER, PRIMARY KEY(bucket,key))")
    start = time.monotonic()
    total = without(client, key_set, db) if lua == "-" else with_ledger(client, key_set, db, pathlib.Path(lua))
    print(total, f"{time.monotonic() - start:.6f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
