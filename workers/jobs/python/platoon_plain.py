"""platoon_plain.py: values as JSON has them, and as the sanjer's reader takes them (jansson: no NUL, 64 bits)."""
import datetime
import decimal
import math


def _text(value):
    return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def plain(value):
    """The same as str, int, float, bool, None, list, dict. What has no such form raises TypeError."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        value = int(value)
        return value if -2 ** 63 <= value < 2 ** 63 else str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {_text(str(name)): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return _text(bytes(value).decode("utf-8", "replace"))
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "item"):  # a number of numpy's
        return plain(value.item())
    raise TypeError(f"a value of type {type(value).__name__} has no JSON")


def rows(data):
    """A DataFrame, or a list of dicts, as a list of dicts."""
    if hasattr(data, "to_dict") and hasattr(data, "columns"):
        data = data.to_dict("records")
    if not isinstance(data, (list, tuple)) or not all(isinstance(row, dict) for row in data):
        raise TypeError("a DataFrame or a list of dicts is wanted")
    return [plain(row) for row in data]
