"""platoon_class.py: the platforms of a folder that are Python classes: found, loaded, described.

coin_is.py holds class CoinIs; its settings are the parameters of __init__; TIMEOUT, RETRIES, RERUN, SECRETS are class attributes.
Files that begin with base_, _ or a dot are none, nor are programs: executable, and beginning with #!. The package `platforms` is the
folder and, behind it, ours, so that the users' files come first. Runs in the interpreter; loads the users' modules and calls nothing in them.
"""
import datetime
import importlib
import importlib.util
import inspect
import os
import signal
import sys
import types

HERE = os.path.dirname(os.path.abspath(__file__))
LOAD_SECONDS = 10
DATES = ("date", "start_date", "end_date")
TYPES = {str: "str", int: "int", float: "float", bool: "bool", datetime.datetime: "datetime", datetime.date: "datetime",
         list: "list", tuple: "list", dict: "dict"}


def one_line(error):
    text = " ".join(str(error).split())
    return (type(error).__name__ + (": " + text if text else ""))[:400]


def class_name(name):
    return "".join(word.capitalize() for word in name.split("_"))


def prepare(folder, path):
    """Makes `platforms` of the users' folder and ours; `path` is searched before anything else."""
    for entry in reversed(path):
        sys.path.insert(0, entry)
    package = types.ModuleType("platforms")
    package.__path__ = [folder, os.path.join(HERE, "platforms")]
    sys.modules["platforms"] = package
    importlib.invalidate_caches()
    try:
        helpers = importlib.import_module("platforms.helpers")
        if isinstance(helpers.__path__, list):  # theirs has an __init__, which would hide ours
            helpers.__path__.append(os.path.join(HERE, "platforms", "helpers"))
    except Exception:
        pass  # whoever imports it hears of it then


def preload(name):
    try:
        importlib.import_module(name)
    except Exception as error:
        print(f"preload: {name}: {one_line(error)}", file=sys.stderr, flush=True)


def is_class_file(path):
    """Not a program: those are executable and say by what."""
    if not os.path.isfile(path):
        return False
    if not os.access(path, os.X_OK):
        return True
    with open(path, "rb") as file:
        return file.read(2) != b"#!"


def files(folder):
    """name -> path of each file that should hold a class."""
    found = {}
    for file in sorted(os.listdir(folder)):
        name, end = os.path.splitext(file)
        if end == ".py" and "." not in name and not name.startswith(("base_", "_")) and is_class_file(os.path.join(folder, file)):
            found[name] = os.path.join(folder, file)
    return found


class TooLong(BaseException):
    """Of a module that loads for too long; no `except Exception` of its own catches it."""


def _too_long(*_):
    raise TooLong(f"it has not loaded within {LOAD_SECONDS} s")


def load(name):
    """The class of a platform. Raises what its module raises."""
    before = signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(LOAD_SECONDS)
    try:
        module = importlib.import_module("platforms." + name)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    found = getattr(module, class_name(name), None)
    if not inspect.isclass(found):
        raise TypeError(f"there is no class {class_name(name)} in {name}.py")
    if not callable(getattr(found, "_run", None)):
        raise TypeError(f"class {class_name(name)} has no method _run")
    return found


def load_all(folder, skip=(), on_each=None):
    """({name: class}, {name: why not})."""
    loaded, broken = {}, {}
    for name in files(folder):
        if name in skip:
            continue
        if on_each is not None:
            on_each(name)
        try:
            loaded[name] = load(name)
        except (Exception, SystemExit, KeyboardInterrupt, TooLong) as error:
            broken[name] = one_line(error)
    return loaded, broken


def _type_of(parameter):
    """The word for a parameter's type; None when it says none that we have."""
    said = parameter.annotation
    if said is inspect.Parameter.empty:
        return None
    if isinstance(said, str):  # from __future__ import annotations
        said = {"str": str, "int": int, "float": float, "bool": bool, "datetime": datetime.datetime, "datetime.datetime": datetime.datetime,
                "date": datetime.datetime, "list": list, "dict": dict}.get(said.split("[")[0].lower(), said)
    origin = getattr(said, "__origin__", None)
    inner = [a for a in getattr(said, "__args__", ()) if a is not type(None)]
    if origin is not None and origin not in TYPES and len(inner) == 1:  # Optional[X]
        said, origin = inner[0], getattr(inner[0], "__origin__", None)
    if isinstance(said, types.UnionType):  # X | None
        inner = [a for a in said.__args__ if a is not type(None)]
        said = inner[0] if len(inner) == 1 else said
    return TYPES.get(origin or said)


def parameters(found):
    """Those of __init__ that are settings."""
    if found.__init__ is object.__init__:
        return []
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p for p in list(inspect.signature(found.__init__).parameters.values())[1:] if p.kind in kinds]


def spec(found):
    """What job_platform_read_spec (job_platform.h) reads."""
    from platoon_plain import plain
    settings = {}
    for p in parameters(found):
        has = p.default is not inspect.Parameter.empty
        settings[p.name] = one = {"required": not has}
        kind = _type_of(p)
        if kind is not None:
            one["type"] = kind
        if has and p.default is not None:
            one["default"] = plain(p.default)
    said = {"display_name": found.__name__, "settings": settings}
    for name in ("timeout", "retries", "rerun", "secrets"):
        value = getattr(found, name.upper(), None)
        if value is not None:
            said[name] = list(value) if name == "secrets" and not isinstance(value, str) else plain(value)
    return said


def arguments(parameters, settings):
    """A job's settings as its class takes them: datetimes are naive, in the section's time zone."""
    given = {}
    for p in parameters:
        if p.name not in settings and p.default is not inspect.Parameter.empty:
            continue
        if p.name not in settings:
            raise TypeError(f"{p.name} is missing: the platform has come to take it since the job was made")
        value = settings[p.name]
        if value is None and p.default is not inspect.Parameter.empty:
            continue  # nothing was given: its own default
        if isinstance(value, str) and (_type_of(p) == "datetime" or p.name in DATES):
            value = datetime.datetime.fromisoformat(value.replace("Z", "+00:00")).replace(tzinfo=None)
        given[p.name] = value
    return given
