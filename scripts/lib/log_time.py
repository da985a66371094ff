"""log_time: the times of access logs, in whichever way they are written, as the text of a visit and its half hour.

Used by access_log and log_format. Each reader takes the bytes of a time and gives (ISO 8601 in UTC, number of the half hour), or raises Malformed.
"""
import datetime
import functools
import re

MONTHS = {m: b"%02d" % i for i, m in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
SESSION_SECONDS = 1800
NUMBER_MAX = 40  # digits of an epoch that say anything
LOCAL_TIME = re.compile(rb"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d)(?:[.,]\d+)? ([+-])(\d\d)(\d\d)")
NUMBER = re.compile(rb"-?\d{1,20}(?:\.\d*)?(?:[eE][+-]?\d{1,3})?")
# Of strftime, as Apache's %{…}t takes it: what strptime does not know in what it knows, and how the rest looks in a log.
STRFTIME_LONG = {"T": "%H:%M:%S", "F": "%Y-%m-%d", "D": "%m/%d/%y", "R": "%H:%M", "e": "%d", "h": "%b", "c": "%a %b %d %H:%M:%S %Y", "x": "%m/%d/%y", "X": "%H:%M:%S",
                 "r": "%I:%M:%S %p", "k": "%H", "l": "%I"}
STRFTIME_SHAPES = {"Y": rb"\d{4}", "z": rb"(?:Z|[+-]\d\d:?\d\d)", "p": rb"[AaPp][Mm]", "f": rb"\d{1,6}", "j": rb"\d{1,3}", "%": rb"%",
                   **dict.fromkeys("dmyHIMS", rb" ?\d{1,2}"), **dict.fromkeys("aAbBZ", rb"[A-Za-z]+")}
FRACTIONS = ("msec_frac", "usec_frac")


class Malformed(Exception):
    pass


def utc(when):
    """The text of a time, and its half hour."""
    try:
        when = when.astimezone(datetime.timezone.utc)
        return when.strftime("%Y-%m-%dT%H:%M:%SZ").encode(), int(when.timestamp()) // SESSION_SECONDS
    except (ValueError, OverflowError):  # the first hours of the year 1, told in a zone east of UTC
        raise Malformed("no such time") from None


def local_time(text):
    found = LOCAL_TIME.fullmatch(text)
    if not found:
        raise Malformed("the time is not DD/Mon/YYYY:HH:MM:SS +ZONE")
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = found.groups()
    if month not in MONTHS:
        raise Malformed("unknown month")
    offset = datetime.timedelta(hours=int(zone_hours), minutes=int(zone_minutes))
    try:
        # A leap second becomes the last ordinary one of its minute: datetime knows none.
        return utc(datetime.datetime(int(year), int(MONTHS[month]), int(day), int(hour), int(minute), 59 if second == b"60" else int(second),
                                     tzinfo=datetime.timezone(offset if sign == b"+" else -offset)))
    except (ValueError, OverflowError):
        raise Malformed("no such time") from None


def calendar_time(text):
    try:
        plain = re.sub(r"^(\d{4})/(\d\d)/", r"\1-\2-", text.decode())  # Caddy's "wall" writes slashes
        when = datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", plain).replace("Z", "+00:00"))
    except (ValueError, UnicodeDecodeError):
        return local_time(text.strip(b"[]"))
    return utc(when if when.tzinfo else when.replace(tzinfo=datetime.timezone.utc))


def epoch_time(text):
    try:
        seconds = float(text[:NUMBER_MAX])
        for _ in range(3):  # milli-, micro- or nanoseconds: as seconds they would be after the year 5000
            seconds = seconds / 1000 if seconds > 1e11 else seconds
        when = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    except (ValueError, OverflowError, OSError):
        return calendar_time(text)
    return utc(when)


def iso_time(text):
    """A time by a name that says nothing of how it is written. A number is an epoch, except eight digits, a date: fromisoformat alone would take milliseconds for one, too."""
    return epoch_time(text) if NUMBER.fullmatch(text) and len(text) != 8 else calendar_time(text)


def bracketed_time(text):
    """Between brackets mostly the one way, but nginx' users put $time_iso8601 and $msec there, too."""
    return local_time(text) if LOCAL_TIME.fullmatch(text) else iso_time(text)


def strftime_of(directive):
    """The strftime format of one of Apache's %{…}t in what strptime knows; what else may stand there (sec, msec_frac …) as it is."""
    inner = re.sub(r"^(?:begin|end):", "", directive[2:-2])
    return re.sub(r"%(.)", lambda m: STRFTIME_LONG.get(m[1], m[0]), inner)


@functools.lru_cache
def directive_time(directive):
    """The reader of one of Apache's %{…}t, or None of a fraction only."""
    inner = strftime_of(directive)
    if inner in ("sec", "msec", "usec", "%s"):
        return epoch_time
    if inner in FRACTIONS:
        return None
    try:
        datetime.datetime.strptime("", inner)
    except ValueError:
        pass
    except re.error:
        raise ValueError(f"{directive}: it says one thing twice") from None

    def read(text):
        try:
            when = datetime.datetime.strptime(text.decode(), inner)
        except ValueError:
            raise Malformed("the time is not of the format's " + directive) from None
        return utc(when if when.tzinfo else when.replace(tzinfo=datetime.timezone.utc))
    return read


def joined_time(names):
    """Of a time that a format writes in several of Apache's %{…}t: which they are, and the one directive that reads them with blanks between; else ((), "")."""
    parts = [name for name in names if name.startswith("%{") and name.endswith("}t") and directive_time(name) not in (None, epoch_time)]
    parts = [name for name in parts if name.startswith("%{end:") == parts[0].startswith("%{end:")]
    joined = "%{" + " ".join(strftime_of(name) for name in parts) + "}t"
    try:
        return (parts, joined) if len(parts) > 1 and directive_time(joined) else ((), "")
    except ValueError:  # each is a whole time
        return (), ""


TIMES = {"@local": local_time, "@bracketed": bracketed_time, "@iso": iso_time, "@epoch": epoch_time}
