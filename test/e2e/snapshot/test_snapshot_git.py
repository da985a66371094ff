"""Git's own programs beside the store: what they pack is read on; what is missing is named."""


def test_packed_beside_the_store(store):
    """Packing is no writing: no reference moves, and the store goes on."""
    store.start({"work": {}})
    for n in range(20):
        store.put("work", b"version %d\n" % n)
        if n % 5 == 4:
            store.git("repack", "-q", "-d", "-l", "--geometric=2")
            store.git("pack-refs", "--all")
    assert [store.get(f"work@{v['commit']}") for v in store.json("log", "work")] == [b"version %d\n" % n for n in range(19, -1, -1)]
    assert store.git("count-objects", "-v").count("packs: 0") == 0
    good, said = store.is_sound()
    assert good, said


def test_an_object_that_is_missing_is_named(store):
    store.start({"work": {}})
    first = store.put("work", b"one\n")
    store.put("work", b"two\n")
    (store.path / "objects" / first["blob"][:2] / first["blob"][2:]).unlink()
    done = store.ctl("snapshot", "get", f"work@{first['commit']}")
    assert done.returncode == 1 and first["blob"] in done.stderr.decode(), done
    assert store.get("work") == b"two\n" and store.put("work", b"three\n")["seq"] == 3
