"""Who listens hears what is delivered, by whomever: consumers, and people with `queue listen`; at most once, and nobody waits for who is slow."""
import json
import os
import pathlib
import signal
import subprocess

from platoon_fixture import freeze, section, wait_until

# Appends each event that it is told, but for hello, to a file.
LISTENER = r'''
import json, os, sys
out = open(os.environ["SEEN"], "a", buffering=1)
for line in sys.stdin:
    event = json.loads(line)
    if event["event"] == "published":
        out.write(json.dumps(event) + "\n")
'''


def publish(shop, topic, body):
    return shop.redis.execute_command("FCALL", "platoon_deliver", 1, "shop:", topic, "f", body)


def hears(shop, topic="probe"):
    """Waits until who listens to `topic` does."""
    def heard():
        publish(shop, topic, "0")
        return any(row["topic"] == topic for row in shop.seen("published"))
    wait_until(heard, 60, f"{topic} to be heard")
    forget(shop)


def forget(shop):
    """What is still under way is heard before the mark."""
    mark = f"mark-{os.urandom(4).hex()}"
    publish(shop, "probe", json.dumps(mark))
    wait_until(lambda: any(row.get("body") == mark for row in shop.seen("published")), 60, "all that is under way")
    shop.seen_path.write_text("")


def start(shop, listens="probe page:*", **keys):
    (shop.platoon.dir / "consumer.py").write_text(LISTENER)
    shop.start({"pages": {"pattern": "^page:"}}, {"ear": {"listens": listens, **keys}})
    hears(shop)
    return shop


def test_each_message_once_whoever_delivers_it(shop):
    start(shop, listens="probe page:* page:a* *:a1")
    shop.deliver({"n": 1}, "--topic", "page:a1")
    shop.deliver({"n": 2}, "--topic", "user:b")
    publish(shop, "page:b", "not json")
    shop.redis.lpush("shop:platoon:inbox", json.dumps({"topic": "page:in"}))
    shop.redis.publish("shop:page:original", b"\xff\x00")
    wait_until(lambda: len(shop.seen("published")) >= 4, 60, "all that match")
    publish(shop, "probe", "1")
    wait_until(lambda: any(row["topic"] == "probe" for row in shop.seen("published")), 60, "the last")
    heard = {row["topic"]: {key: row[key] for key in row if key in ("body", "text", "base64")} for row in shop.seen("published")}
    assert heard == {"page:a1": {"body": {"n": 1}}, "page:b": {"text": "not json"}, "page:in": {"body": {"topic": "page:in"}},
                     "page:original": {"base64": "/wA="}, "probe": {"body": 1}}
    assert len(shop.seen("published")) == 5, "three globs match page:a1"


def test_a_namespace_is_no_pattern(platoon, redis_server):
    from queue_fixture import Shop
    shop = Shop(platoon, redis_server())
    (platoon.dir / "consumer.py").write_text(LISTENER)
    shop.start({"pages": {}}, {"ear": {"listens": "a*"}}, backbone={"namespace": "s[h]*p"})

    def heard():
        shop.redis.publish("s[h]*p:a1", "1")
        return shop.seen("published")
    wait_until(heard, 60, "the first")
    shop.redis.publish("shp:a2", "2")
    shop.redis.publish("s[h]XXp:a3", "3")
    shop.redis.publish("s[h]*p:a4", "4")
    wait_until(lambda: shop.seen("published")[-1]["topic"] == "a4", 60, "the last")
    assert {row["topic"] for row in shop.seen("published")} == {"a1", "a4"}


def test_several_backbones(platoon, redis_server):
    from queue_fixture import Shop
    shop = Shop(platoon, redis_server())
    (platoon.dir / "consumer.py").write_text(LISTENER)
    text = shop.text({}, {"ear": {"listens": "shop/a* mall/b*"}}) + section("backbone mall", {"namespace": "mall"})
    platoon.config_path.write_text(text)
    platoon.start()

    def heard():
        for channel in ("shop:a1", "mall:b1"):
            shop.redis.publish(channel, "1")
        return {row["topic"] for row in shop.seen("published")} == {"a1", "b1"}
    wait_until(heard, 60, "both")
    assert platoon.ctl("queue", "listen", "a*").returncode == 2, "which one?"
    platoon.config_path.write_text(text.replace("shop/a*", "a*"))
    done = platoon.ctl("reload")
    assert done.returncode != 0 and "there are several backbones: say which one, as in NAME/a*" in done.stderr


def test_goes_on_after_deaths_of_backbone_redis_and_listener(shop):
    start(shop)
    for name in ("queue/shop/backbone.1", "ear.1"):
        os.kill(shop.platoon.workers()[name]["pid"], signal.SIGKILL)
        hears(shop)
    shop.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    hears(shop)
    shop.server.stop()
    shop.server.start()
    wait_until(lambda: shop.platoon.ctl("queue", "status").returncode == 0, 60, "Redis to be back")
    hears(shop)


def test_who_does_not_read_loses_messages_and_holds_nobody_up(shop):
    shop.own = {"hang_timeout": "10m"}  # it stays as it is, however long this takes
    start(shop)
    worker = shop.platoon.workers()["ear.1"]
    body = json.dumps("x" * 100000)
    freeze(worker["pid"])
    try:
        for _ in range(100):
            publish(shop, "page:large", body)
        assert shop.deliver("y", "--topic", "page:small")["queues"] == ["pages"]
        wait_until(lambda: shop.platoon.workers()["queue/shop/backbone.1"]["counters"].get("queue_unheard_total", 0) > 0, 60, "messages to be dropped")
    finally:
        os.kill(worker["pid"], signal.SIGCONT)
    hears(shop)
    assert shop.platoon.workers()["ear.1"]["pid"] == worker["pid"]


def test_a_program_that_does_not_read_loses_messages_and_lives(shop):
    """Its worker does read: it is the worker that drops then."""
    start(shop)
    worker = shop.platoon.workers()["ear.1"]["pid"]
    program = int(pathlib.Path(f"/proc/{worker}/task/{worker}/children").read_text().split()[0])
    body = json.dumps("x" * 100000)
    freeze(program)
    try:
        for _ in range(100):
            publish(shop, "page:large", body)
        wait_until(lambda: shop.platoon.workers()["ear.1"]["counters"].get("queue_unheard_total", 0) > 0, 60, "messages to be dropped")
    finally:
        os.kill(program, signal.SIGCONT)
    hears(shop)
    assert shop.platoon.workers()["ear.1"]["pid"] == worker


def test_without_the_right_it_is_trouble_and_deliveries_go_on(shop):
    shop.redis.execute_command("ACL", "SETUSER", "q", "on", ">secret", "~*", "&*", "+@all", "-psubscribe")
    password = shop.platoon.dir / "password"
    password.write_text("q\nsecret\n")
    password.chmod(0o600)
    shop.text_redis = {"password_file": str(password)}
    (shop.platoon.dir / "consumer.py").write_text(LISTENER)
    shop.platoon.config_path.write_text(shop.text({"pages": {}}, {"ear": {"listens": "probe"}}))
    shop.platoon.start(ready=False)
    wait_until(lambda: "PSUBSCRIBE" in shop.platoon.problems(), 60, "the trouble")
    assert shop.deliver("x", "--topic", "pages")["queues"] == ["pages"]
    shop.redis.execute_command("ACL", "SETUSER", "q", "+psubscribe")
    shop.redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "USER", "q")
    hears(shop)
    wait_until(lambda: "PSUBSCRIBE" not in shop.platoon.problems(), 60, "no trouble any more")


def test_of_several_backbone_workers_one_is_heard(shop):
    """Every worker hears all that Redis publishes; when the one that is listened to is gone, another is."""
    (shop.platoon.dir / "consumer.py").write_text(LISTENER)
    shop.start({"pages": {"pattern": "^page:"}}, {"ear": {"listens": "probe page:*"}}, backbone={"workers": 2})
    for name in ("queue/shop/backbone.1", "queue/shop/backbone.2"):
        hears(shop)
        for n in range(20):
            publish(shop, "page:a", str(n))
        heard = lambda: [row["body"] for row in shop.seen("published") if row["topic"] == "page:a"]
        wait_until(lambda: len(heard()) >= 20, 60, "all of them")
        publish(shop, "page:last", "0")
        wait_until(lambda: any(row["topic"] == "page:last" for row in shop.seen("published")), 60, "the last")
        assert heard() == list(range(20)), "each once"
        shop.seen_path.write_text("")
        if name.endswith(".1"):
            assert shop.platoon.ctl("--timeout", "60s", "stop", name).returncode == 0
    assert shop.platoon.ctl("--timeout", "60s", "start", "queue/shop/backbone.1").returncode == 0
    wait_until(lambda: shop.platoon.workers()["queue/shop/backbone.1"]["state"] == "READY", 60, "the first one")
    assert shop.platoon.ctl("--timeout", "60s", "stop", "queue/shop/backbone.2").returncode == 0
    hears(shop)


# ---- people ----

def listen(shop, *words):
    return subprocess.Popen([shop.platoon.build / "platoonctl", "-s", shop.platoon.dir / "run/control.sock", *words], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_people_listen(shop):
    shop.start({"pages": {}})
    for options, line in (([], 'page:1\t{"n":1}\n'), (["--json"], '{"topic":"page:1","body":"{\\"n\\":1}"}\n')):
        ear = listen(shop, *options, "queue", "listen", "page:*", "-n", "2")

        def heard(ear=ear):
            publish(shop, "page:1", '{"n":1}')
            return ear.poll() is not None
        wait_until(heard, 60, "two messages")
        out, err = ear.communicate()
        assert (out, err, ear.returncode) == (2 * line, "", 0)


def test_people_hear_nothing_for_a_while(shop):
    """Longer than one question takes: it asks again, and is the same session."""
    shop.start({"pages": {}})
    ear = listen(shop, "--timeout", "1s", "queue", "listen", "page:*", "-n", "1")
    before = shop.platoon.workers()["queue/shop/backbone.1"]["counters"].get("requests_total", 0)
    wait_until(lambda: shop.platoon.workers()["queue/shop/backbone.1"]["counters"].get("requests_total", 0) >= before + 3, 60, "three questions")
    publish(shop, "page:1", "x")
    out, err = ear.communicate(timeout=60)
    assert (out, err, ear.returncode) == ("page:1\tx\n", "", 0)


def test_people_are_refused_what_is_no_glob(shop):
    shop.start({"pages": {}})
    assert shop.platoon.ctl("queue", "listen").returncode == 2
    done = shop.platoon.ctl("queue", "listen", "x" * 513)
    assert done.returncode == 1 and "a glob has 1 to 512 letters" in done.stderr
