"""What a storm does to the rights of the drain's user in Redis: takes one of all those it needs, and some time later gives all back."""
import json

from platoon_fixture import BUILD

NAME, PASSWORD = "drain", "storm"
ALL = ["on", f">{PASSWORD}", "~*", "&*", "+@all"]
# So that the server has the user from its start: after each restart it has all rights.
SERVER = ["--user", NAME, *ALL]
COMMANDS = [row["command"].lower().replace(" ", "|") for row in json.loads((BUILD / "lists.json").read_text())["rights"] if row["kind"] == "DRAIN"]


def login(directory):
    """The settings of the redis section."""
    path = directory / "password"
    path.write_text(f"{NAME}\n{PASSWORD}\n")
    path.chmod(0o600)
    return {"password_file": path}


def take_right(storm):
    storm.tell_redis("ACL", "SETUSER", NAME, f"-{storm.random.choice(COMMANDS)}")


def take_keys(storm):
    storm.tell_redis("ACL", "SETUSER", NAME, "resetkeys", storm.random.choice(["~platoon:*", "~v:*", "%R~*", "~tracking:*"]))


def give_rights(storm):
    storm.tell_redis("ACL", "SETUSER", NAME, "resetkeys", *ALL)


ACTIONS = [(take_right, 4), (take_keys, 1), (give_rights, 4)]
