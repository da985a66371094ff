"""log_format: the format strings of nginx and Apache as expressions, and what their names and those of JSON logs mean.

Used by access_log. unwrap(text) takes what people paste: a log_format, LogFormat or CustomLog directive with the lines around it, its strings alone, or the string itself; of several formats
none is guessed. Apache's %{…}t may be parts of one time. compile_format(text) gives (regular expression, names in the order of its groups), or raises ValueError with why it cannot be read.
"""
import re

from log_time import FRACTIONS, STRFTIME_SHAPES, TIMES, directive_time, epoch_time, strftime_of

NAMED = ("auto", "combined", "common", "vhost_combined", "json")

# Names of nginx' variables and of Apache's directives, of Caddy's and Traefik's keys, to ours. What starts with "@" is taken apart.
MEANING = {
    "remote_addr": "host", "remote_user": "user", "time_local": "@local", "time_iso8601": "@iso", "msec": "@epoch", "request": "@request", "request_method": "method",
    "request_uri": "path", "uri": "path", "server_protocol": "protocol", "status": "status", "body_bytes_sent": "bytes", "bytes_sent": "bytes", "http_referer": "referrer",
    "http_user_agent": "agent", "host": "vhost", "server_name": "vhost", "vhost": "vhost", "http_host": "vhost", "timestamp": "@iso", "time": "@iso", "ts": "@epoch",
    "%h": "host", "%a": "host", "%u": "user", "%t": "@bracketed", "%r": "@request", "%s": "status", "%>s": "status", "%b": "bytes", "%B": "bytes", "%O": "bytes", "%m": "method",
    "%U": "path", "%H": "protocol", "%v": "vhost", "%V": "vhost", "%{Referer}i": "referrer", "%{User-Agent}i": "agent", "%{User-agent}i": "agent", "%l": None,
    "ClientHost": "host", "ClientUsername": "user", "ClientAddr": "host", "StartUTC": "@iso", "StartLocal": "@iso", "RequestMethod": "method", "RequestPath": "path", "RequestProtocol": "protocol", "RequestHost": "vhost",
    "DownstreamStatus": "status", "DownstreamContentSize": "bytes", "request_User-Agent": "agent", "request_Referer": "referrer",
    "remote_ip": "host", "client_ip": "host", "user_id": "user", "size": "bytes", "method": "method", "proto": "protocol", "user_agent": "agent", "referer": "referrer",
    "@timestamp": "@iso", "user": "user", "path": "path", "protocol": "protocol", "bytes": "bytes", "referrer": "referrer", "agent": "agent",
}
HEADERS = {name.lower(): meaning for name, meaning in MEANING.items() if name.endswith("}i")}


DIRECTIVE = re.compile(r"(?:^|[;{}])[ \t]*(log_format|LogFormat|CustomLog)[ \t]+", re.M | re.I)
QUOTED = r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\""""
WORDS = {"log_format": re.compile(r"\s*(?:" + QUOTED + r"|(#[^\n]*)|(;|\})|([^\s;]+))", re.S), "logformat": re.compile(r"[ \t]*(?:" + QUOTED + r"|()(\n)|(\S+))", re.S)}


def read_words(kind, text):
    """The words of a directive, up to its end: (text, whether in quotes)."""
    for found in WORDS[kind].finditer(text):
        single, double, comment, end, bare = found.groups()
        if end:
            return
        if not comment:
            yield (bare, False) if bare is not None else (single if single is not None else double, True)


def read_directive(kind, text):
    """The format string of a directive that starts behind its name, and how its values are escaped; None: it names a format that stands elsewhere."""
    words = list(read_words("log_format" if kind == "log_format" else "logformat", text))
    if kind == "log_format":
        escape = words[1][0].partition("escape=")[2] if len(words) > 1 and not words[1][1] else ""
        named = bool(words) and "$" not in words[0][0]
        return "".join(word for word, _ in words[named + bool(escape):]), escape
    form = "".join(word for word, _ in words[kind == "customlog":][:1])
    return (form, "") if "%" in form or kind == "logformat" else None


def read_quoted(text):
    """What stands in nothing but quotes, as a directive without its name and end would leave it; else the text. Several strings on one line could be the quotes of a log."""
    words = list(read_words("log_format", text)) if text[:1] in ("'", '"') else []
    quoted = [word for word, is_quoted in words if is_quoted]
    nickname = [word for word, is_quoted in words if not is_quoted]
    if len(quoted) == len(words) and (len(words) == 1 or text[-1:] == ";" or "\n" in text):
        return "".join(quoted)
    return quoted[0] if len(words) == 2 and words[0][1] and len(nickname) == 1 and re.fullmatch(r"\w+", nickname[0]) else text


def unwrap(text):
    """The string in what was pasted from a configuration, a directive or all around it, else the text as it is; what both servers write with a backslash in it is undone.
    With it, how nginx escapes the values: "", "json" or "none". ValueError: there are several."""
    text = re.sub(r"\\\r?\n", "", text)
    found = [read_directive(start[1].lower(), text[start.end():]) for start in DIRECTIVE.finditer(text)]
    found = [form for form in found if form]
    if len(found) > 1:
        raise ValueError(f"there are {len(found)} formats in it: give the one that the log is written in")
    form, escape = found[0] if found else (read_quoted(text.strip()) if text.strip()[:1] in ("'", '"') else text, "")
    return re.sub(r"""\\(["'\\tnr])""", lambda m: {"t": "\t", "n": "\n", "r": "\r"}.get(m[1], m[1]), form).rstrip("\r\n"), escape


def split_format(text):
    """Literals and names in turn: (parts, names). A path and its query that stand side by side are one name, as in a request."""
    if re.search(r"\$\{?[A-Za-z_]", text):
        text = re.sub(r"\$(?:uri|\{uri\})\$(?:is_args|\{is_args\})\$(?:(?:args|query_string)\b|\{(?:args|query_string)\})", "${request_uri}", text)
        parts = re.split(r"(\$\{\w+\}|\$\w+)", text)
        return parts, [re.sub(r"[${}]", "", p) for p in parts[1::2]]
    text = text.replace("%%", "\0").replace("%U%q", "%U")
    parts = [p.replace("\0", "%") for p in re.split(r"(%(?:[<>!,\d]*)(?:\{[^}]+\})?[A-Za-z])", text)]
    return parts, [re.sub(r"^%[!,\d]+", "%", p) for p in parts[1::2]]


def meaning_of(name):
    """MEANING, but that the names of headers are the same in any case."""
    return MEANING.get(name, HEADERS.get(name.lower(), ""))


# The expressions below are atomic: what has been taken for a value is not tried in another length, which is what makes a line cost its length and no power of it.

# A list of addresses or times ("a, b", "a : b") is one value, otherwise a blank ends it.
WORD = rb"((?>\S*(?:(?<=,) \S+| : \S+)*))"
# In front of ":": the colons of an IPv6 address are its own, with brackets or without.
HOST = rb"((?>\[[^\]\s]*\]|[0-9A-Fa-f.]*(?::[0-9A-Fa-f.]*)+(?=:\d+(?![\w:.]))|[^:\s]*))"
# What holds no slash, so that a path that follows at once can be told from it.
BEFORE_PATH = ("scheme", "hostname", "server_addr", "ssl_server_name", "%{Host}i")
SHAPES = {
    "%t": rb"\[([^\]]+)\]", "time_local": rb"(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})", "msec": rb"((?>\d+(?:\.\d+)?))",
    "time_iso8601": rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:?\d\d))", "is_args": rb"(\??)",
    **dict.fromkeys(("server_port", "remote_port", "%p", "%{local}p", "%{remote}p", "%{canonical}p"), rb"((?>\d*|-))"),
}


def until(mark):
    """The expression of a value that ends before the first mark."""
    first, rest = re.escape(mark.encode()[:1]), re.escape(mark.encode()[1:])
    plain = b"[^" + first + b"]*"
    return b"((?>" + plain + (b"(?:" + first + b"(?!" + rest + b")" + plain + b")*" if rest else b"") + b"))"


def ends_before(literal):
    """The expression of a value by what stands behind it."""
    if literal[0] == '"':
        return rb'((?>[^"\\]*(?:\\.[^"\\]*)*))'
    if literal[0] == "\t":
        return until("\t")
    if literal[0].isspace() and not re.fullmatch(r"""[^\w\s"'()<>\[\]{}-]+""", literal.strip()):
        return WORD
    return until(re.match(r"\W+|.*", literal, re.S)[0])  # of "|status=" the "|" alone: a further column is none of the value


def at_the_end(name, before):
    """The last value: all there is, but what parts the values before it is not within it either; else one of them held it, and nobody knows which."""
    before = before.lstrip("\"'])}>")
    if meaning_of(name) == "agent" and before == " ":
        return rb"(.*)"
    return WORD if not before or re.match(r"""[\w"'(\[{<]""", before) else ends_before(before)


def directive_shape(name):
    """The expression of one of Apache's %{…}t. ValueError: a part of it cannot be read."""
    inner = strftime_of(name)
    if inner in FRACTIONS or directive_time(name) is epoch_time:
        return rb"((?>\d*))"
    pieces = re.split(r"%(.)", inner)
    for letter in pieces[1::2]:
        if letter not in STRFTIME_SHAPES:
            raise ValueError(f"{name}: %{letter} in it cannot be read")
    return b"((?>" + b"".join(STRFTIME_SHAPES[p] if i % 2 else re.escape(p.encode()) for i, p in enumerate(pieces)) + b"))"


def group(parts, names, at):
    """The expression of the value names[at]. ValueError: nobody can see where it ends."""
    name, meaning, before, behind = names[at], meaning_of(names[at]), parts[2 * at], parts[2 * at + 2]
    if name in SHAPES:
        return SHAPES[name]
    if name.endswith("}t") and name.startswith("%{"):
        return directive_shape(name)
    if meaning == "status":
        return rb"(\d{3}|-)"
    if meaning == "@request" and (not behind or behind[0] == " ") and not before.endswith('"'):
        return rb"((?>[^ ]+ .*? HTTP/\d(?:\.\d)?|-))"
    if not behind and at + 1 == len(names):
        return at_the_end(name, before)
    if not behind:
        if meaning_of(names[at + 1]) == "path" and (meaning in ("host", "vhost", "method") or name in BEFORE_PATH):
            return rb"((?>[^/\s]*))"
        raise ValueError(f"nothing stands between {parts[2 * at + 1]} and {parts[2 * at + 3]}, so nobody can see where one ends: write one name for both")
    if meaning in ("host", "vhost") and behind[0] == ":":
        return HOST
    if meaning == "user" and behind[0].isspace() and (behind.strip() or names[at + 1:at + 2] == ["%t"]):  # it may hold blanks, and be empty
        end = re.escape((behind if behind.strip() else behind + "[").encode())
        return rb'(?:""(?=' + end + rb')|((?>(?:(?!' + end + rb')(?:[^"\\]|\\.))*)))'
    return ends_before(behind)


def compile_format(text):
    """A format string as (regular expression, names in the order of its groups)."""
    parts, names = split_format(text)
    if not names:
        raise ValueError(f"it names nothing: one of {', '.join(NAMED)}, or a string with $variables (nginx) or %directives (Apache)")
    if not any(meaning_of(n) in TIMES or (n.endswith("}t") and directive_time(n)) for n in names):
        raise ValueError("it names no time: a visit needs $time_local, $time_iso8601 or $msec (nginx), %t or %{sec}t (Apache)")
    if "\n" in text:
        raise ValueError("one visit takes several lines in it: only formats of one line each can be read")
    pattern = b"".join(group(parts, names, i // 2) if i % 2 else re.escape(part.encode()) for i, part in enumerate(parts))
    return re.compile(pattern, re.S), names
