"""What a program is told of a task's body: JSON as it was written, else text, else base64; each in one line."""
import base64
import json

import msgpack

from platoon_fixture import section, wait_until

# A program that keeps each task's line, or frame, as it came.
LINES = r'''
import json, os, sys
out = open(os.environ["SEEN"], "ab", buffering=0)
for line in sys.stdin.buffer:
    event = json.loads(line)
    if event["event"] == "task":
        out.write(line)
        print(json.dumps({"do": "done", "id": event["id"]}), flush=True)
'''
FRAMES = r'''
import msgpack, os, struct, sys
out = open(os.environ["SEEN"], "ab", buffering=0)
while head := sys.stdin.buffer.read(4):
    frame = sys.stdin.buffer.read(struct.unpack(">I", head)[0])
    event = msgpack.unpackb(frame)
    if event["event"] == "task":
        out.write(head + frame)
        answer = msgpack.packb({"do": "done", "id": event["id"]})
        sys.stdout.buffer.write(struct.pack(">I", len(answer)) + answer)
        sys.stdout.buffer.flush()
'''


def told(shop, program, bodies, port="json"):
    """What the program has kept when all of these are done."""
    (shop.platoon.dir / "consumer.py").write_text(program)
    shop.platoon.config_path.write_text(shop.text({"pages": {}}, {}) + section("program indexer", {
        "command": f"/usr/bin/python3 -B {shop.platoon.dir}/consumer.py", "port": port, "takes": "pages", "window": 16, "environment": f"SEEN={shop.seen_path}"}))
    shop.platoon.start()
    with shop.redis.pipeline(transaction=False) as many:
        for body in bodies:
            many.execute_command("FCALL", "platoon_deliver", 1, "shop:", "pages", "f", body)
        many.execute()
    wait_until(lambda: shop.status("pages")["acked"] == len(bodies), 60, "all to be done")
    return shop.seen_path.read_bytes()


def test_json_comes_as_it_was_written(shop):
    bodies = ['{"big":123456789012345678901234567890,"whole":1.0,"money":1.10,"zero":-0.0,"exponent":1E400,"long":0.1000000000000000055511151231257827}',
              "[1e2, 2.50 ,3]", '"text"', "17", "0.10", "null", "true", '{"a":1,"a":2}', '{"name":"Ünï","pair":"\\ud83d\\ude00","nul":"\\u0000"}', "[" * 64 + "1.50" + "]" * 64]
    lines = told(shop, LINES, bodies).decode().splitlines()
    assert [line[line.index(',"body":') + len(',"body":'):-1] for line in lines] == bodies
    heads = [json.loads(line) for line in lines]
    assert all((e["event"], e["queue"], e["attempt"], e["facet"]) == ("task", "pages", 1, "f") and e["at_ms"] > 0 and e["id"].startswith("pages/") for e in heads)


def test_what_is_written_on_several_lines_is_one(shop):
    [line] = told(shop, LINES, ['{\n  "price": 1.10,\r\n  "text": "a\\nb"\r}\n']).decode().splitlines()
    assert line.endswith(',"body":{   "price": 1.10,    "text": "a\\nb" } }') and json.loads(line)["body"] == {"price": 1.1, "text": "a\nb"}


def test_what_is_nested_deeper_is_json_too(shop):
    deep = "[" * 500 + "7" + "]" * 500
    [line] = told(shop, LINES, [deep]).decode().splitlines()
    assert line.endswith(f',"body":{deep}}}')


def test_what_is_no_json_is_text_or_base64(shop):
    bodies = ["plain", '{"half": ', '"\\ud800"', "01", 'say "no"\n\x01\\', "", b"\xff\x00 bytes"]
    events = [json.loads(line) for line in told(shop, LINES, bodies).splitlines()]
    assert [e["text"] for e in events[:-1]] == bodies[:-1] and not any("body" in e for e in events)
    assert base64.b64decode(events[-1]["base64"]) == bodies[-1]


def test_frames(shop):
    """Of msgpack: a number is one; what no number of it can hold is as the text that it was."""
    kept = told(shop, FRAMES, ['{"n":1.5,"m":-7}', "plain", b"\xff", "12345678901234567890123"], port="msgpack")
    events = []
    while kept:
        size = int.from_bytes(kept[:4], "big")
        events.append(msgpack.unpackb(kept[4:4 + size]))
        kept = kept[4 + size:]
    assert events[0]["body"] == {"n": 1.5, "m": -7} and events[1]["text"] == "plain" and base64.b64decode(events[2]["base64"]) == b"\xff"
    assert events[3]["text"] == "12345678901234567890123"


def test_a_program_answers_all_that_is_there_in_one_write(shop):
    """Lines are cut where they end, not where a read does: 300 answers in one write, and half of the last one later."""
    program = LINES.replace("for line in", "said = []\nfor line in").replace(
        'print(json.dumps({"do": "done", "id": event["id"]}), flush=True)',
        'said.append(json.dumps({"do": "done", "id": event["id"]}) + "\\n")\n        if len(said) == 300:\n            all = "".join(said).encode()\n'
        '            os.write(1, all[:-9])\n            os.write(1, all[-9:])')
    (shop.platoon.dir / "consumer.py").write_text(program)
    shop.start({"pages": {}})
    with shop.redis.pipeline(transaction=False) as many:
        for n in range(300):
            many.execute_command("FCALL", "platoon_deliver", 1, "shop:", "pages", str(n % 7), str(n))
        many.execute()
    shop.platoon.config_path.write_text(shop.text({"pages": {}}, {"indexer": {"takes": "pages", "window": 512}}))
    assert shop.platoon.ctl("reload").returncode == 0
    wait_until(lambda: shop.status("pages")["acked"] == 300, 60, "all to be done")
    assert shop.status("pages")["retried"] == 0 and len(shop.seen_path.read_bytes().splitlines()) == 300
