"""access_log: what a line of an access log says, in whichever format the world writes it.

Used by scripts/track. Reader(…).read(line) gives the fields of a visit as (values of FIELDS in that order, further fields as pairs), or raises Malformed.

Formats, found by themselves line by line (--format auto): combined (Apache, nginx) or common with any fields behind it, which are extra1, extra2 …; the same with a server in front
(vhost_combined), which is the field vhost; with tabs for blanks; with a time of ISO 8601 or an epoch between the brackets. Where a proxy's list of addresses is the host ("1.2.3.4, 5.6.7.8",
X-Forwarded-For) its first is the client, hence host, without a port, and the list is kept as forwarded_for. A server without a port is one only before an address, and no address itself:
of "10.0.0.1 1.2.3.4 - -" nobody knows whether the first is a server or the second a proxy, so it is malformed unless --format says so. JSON, a line an object: nginx with escape=json or without (also
with numbers that are none: -, 000), Caddy, Traefik. Their remote_addr and ClientAddr are hosts without the port. Of several names for one thing (LESSER: client_ip, remote_ip, remote_addr;
request_uri, uri …) the best is heard, in whatever order they come, and the others are kept by their own names. Where nothing else says who, the first of X-Forwarded-For is the host.
Or the format string itself: nginx's log_format ("$remote_addr …") or Apache's LogFormat ("%h …"); beyond FIELDS keeps its name ($upstream_response_time, %D, %{X-Forwarded-For}i), except that app, session and event are ours: log_app, log_session, log_event.
A value of such a string ends where what stands behind it in the string begins ("|", a tab, a quote …) and may hold blanks, unless a blank is what stands behind it; two names with nothing
between them are taken where it can be seen where one ends ($host$request_uri, %U%q), else refused. Each place of a line is looked at once: a line costs its length, whatever stands in it.

A request that is no HTTP (scanners, TLS on a plain port, HTTP/0.9) is a visit too: its text is the path, method and protocol are "-". Escapes (\\" \\\\ \\n \\xHH …) are undone, so a value
may be any bytes. What is not of the format is malformed, never guessed at.
"""
import collections
import functools
import hashlib
import json
import re

from log_format import NAMED, compile_format, meaning_of, unwrap
from log_time import TIMES, Malformed, bracketed_time, directive_time, joined_time

FIELDS = (b"host", b"user", b"time", b"method", b"path", b"protocol", b"status", b"bytes", b"referrer", b"agent", b"session")
SESSIONS_MAX = 50000  # remembered; beyond, all are forgotten and come again
REMEMBERED_MAX = 4096  # bytes of a host and an agent; longer ones are worked out each time: 50,000 of a megabyte would not fit
TIME_MAX = 80  # bytes of a time that is remembered

TEXT = rb'([^"\\]*(?:\\.[^"\\]*)*)'
ADDRESS = rb'(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f.:]*(?:%[^\s,]+)?)'
# The parts of a line, in which _ is what separates values, a blank or a tab, and ~ what no bare value holds.
HOSTS = rb'((?>[^~,"]+(?:, *[^~,"]+)*))'  # a proxy's list is one value
# Blanks and all, for the ident in front is "-". Nobody is called "- x": there one more value stands in front than we know of. Apache writes an empty name as "".
USER = rb'(?:(-|(?!-_)(?>[^_"\[\\]*(?:(?:\\.|\[(?!\d)| (?!\[\d))[^_"\[\\]*)*))|"")_'
IDENT = rb'(?!-_)[^~,"]+_'
ONE_WORD = rb'(?:((?:[^~"\\]|\\.)*)|"")_'
# A server's name with its port, or without one before an address: no ident looks like that, and a name that is an address itself could be a proxy's client.
SERVER = rb'((?:[^~:,"\[\]]+|\[[^\]~]+\]):\d{1,5}|(?!' + ADDRESS + rb'_)[^~:,"\[\]]+(?=_' + ADDRESS + rb'[_,]))_'
WHOSE = rb'(?!-_)' + HOSTS + rb'_(?:-_|' + IDENT + rb'(?=[^~"]*_\[\d))' + USER
FRONTS = {"three": rb'()' + HOSTS + rb'_-_' + USER, "ident": rb'()(?!(?!' + ADDRESS + rb'_)[^~]+_' + ADDRESS + rb'_)' + HOSTS + rb'_' + IDENT + ONE_WORD,
          "server": SERVER + WHOSE, "any server": rb'([^~,"]+)_' + WHOSE}
TAIL = rb'\[([^\]]+)\]_"' + TEXT + rb'"_(\d{3}|-)_(\d+|-)'
AGENT = rb'_"' + TEXT + rb'"_"' + TEXT + rb'"'
ENDS = {"combined": AGENT, "common": rb'(?:(?!)()())?', "either": rb'(?:' + AGENT + rb')?'}
BARE = {b" ": rb'[^\s"]\S*', b"\t": rb'(?:[^\t"][^\t]*|)'}
EXTRA = {blank: re.compile(blank + rb'(?:"' + TEXT + rb'"|(' + bare + rb'))') for blank, bare in BARE.items()}


@functools.lru_cache
def line_pattern(front, end, blank=b" "):
    """One of FRONTS, one of ENDS and further values. Groups: vhost, hosts, user, time, request, status, bytes, referrer, agent, more."""
    more = rb'((?:' + blank + rb'(?:"[^"\\]*(?:\\.[^"\\]*)*"|' + BARE[blank] + rb'))*) *'
    return re.compile((FRONTS[front] + TAIL + ENDS[end]).replace(b"_", blank).replace(b"~", rb"\s" if blank == b" " else blank) + more, re.S)


# What the lines of a format may be, by their fronts and ends. No line is of two of them, so that it does not matter which is tried first.
KINDS = {"auto": (("three", "either"), ("ident", "either"), ("server", "either")), "combined": (("three", "combined"), ("ident", "combined")),
         "common": (("three", "common"), ("ident", "common")), "vhost_combined": (("any server", "combined"),)}
TWO_ADDRESSES = re.compile(ADDRESS + rb"(?:, *[^\s,]+)*\s" + ADDRESS + rb"\s")
REQUEST = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^ ](?:.*[^ ])?) (HTTP/\d(?:\.\d)?)", re.S)
HOST_PORT = re.compile(rb"(?:\[([^\]]+)\](?::\d+)?|([^:]+):\d+)")
JSON_ESCAPE = re.compile(rb'\\(?:x([0-9A-Fa-f]{2})|.)', re.S)
JSON_BARE = re.compile(r'"(?>[^"\\]*(?:\\.[^"\\]*)*)"?|(:(?>\s*))(?:-?(?=\s*[,}])|(0\d+)(?=\s*[,}]))|,(?=\s*\})', re.S)
ESCAPE = re.compile(rb'\\(x[0-9A-Fa-f]{2}|.)', re.S)
PLAIN_ESCAPES = {b'"': b'"', b"\\": b"\\", b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"b": b"\b", b"f": b"\f"}

# Names that are heard only where a better one says nothing: which client a proxy spoke for, what was asked for before it was rewritten, the body without its headers. The worst is the last.
LESSER = {name: rank for rank, name in enumerate(("remote_ip", "remote_addr", "ClientAddr", "uri", "%U", "path", "bytes_sent", "%O", "%s", "vhost", "http_host", "server_name", "%V"), 1)}
PORTED = ("remote_addr", "ClientAddr")  # in JSON: Caddy's and Traefik's have the port in them, which would make a visitor of each connection
NOBODY = (b"-", b"", b"unknown", b"unix:", b"@")  # as nginx and Caddy call who comes by a unix socket
FORWARDED = (b"http_x_forwarded_for", b"proxy_add_x_forwarded_for", b"x-forwarded-for", b"x_forwarded_for", b"http_x_real_ip", b"x-real-ip", b"request_x-forwarded-for")
OURS = (b"app", b"session", b"event")  # a log's own would replace what makes each record one


def unescape(text):
    def one(found):
        code = found[1]
        if len(code) == 3:
            return bytes.fromhex(code[1:].decode())
        if code not in PLAIN_ESCAPES:
            raise Malformed("unknown escape \\" + ascii(code.decode("latin-1"))[1:-1])  # it goes to a terminal
        return PLAIN_ESCAPES[code]
    return ESCAPE.sub(one, text) if b"\\" in text else text


def unescape_json(text):
    try:
        return encode_text(json.loads(b'"%b"' % text, strict=False))
    except ValueError:
        raise Malformed("an escape that JSON does not know") from None


def split_request(text, undo=unescape):
    """Method, path, protocol; undo takes the escapes out of each."""
    parts = text.split(b" ")
    if len(parts) == 3 and parts[0].isalpha() and parts[2] in (b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0") and parts[1] and b"\\" not in text:
        return parts
    if text in (b"-", b""):
        return b"-", b"-", b"-"
    found = REQUEST.fullmatch(text)
    if not found:
        return b"-", undo(text), b"-"
    return found.groups() if b"\\" not in text else tuple(undo(part) for part in found.groups())


def without_port(text):
    found = HOST_PORT.fullmatch(text)
    return found[1] or found[2] if found else text


def first_host(hosts):
    """Of a proxy's list (X-Forwarded-For) the first that says who: that is the client, those behind it are proxies."""
    each = [without_port(host) for host in hosts.replace(b" ", b"").split(b",")]
    return next((host for host in each if host not in NOBODY), each[0])


# ---- JSON ----

OPENED = {"": ("request", "headers", "resp_headers"), "request": ("headers",)}  # the objects in an object that are opened, by the name of the outer one


def flatten(value, found, outer=""):
    """The scalars of a JSON object, by name; Caddy's request and the headers in it are opened."""
    for name, inner in value.items():
        if isinstance(inner, dict):
            if name in OPENED.get(outer, ()):
                flatten(inner, found, name)
        elif outer == "headers" and isinstance(inner, list) and inner and isinstance(inner[0], str):
            key = {"user-agent": "http_user_agent", "referer": "http_referer"}.get(name.lower())
            if key:
                found.setdefault(key, inner[0])
        elif isinstance(inner, (str, int, float)) and not isinstance(inner, bool) and outer != "resp_headers":
            found.setdefault(name, inner if isinstance(inner, str) else json.dumps(inner))


def json_text(line):
    """A line as json.loads takes it: bytes that are no UTF-8, and nginx' \\xHH without escape=json, become what encode_text makes bytes again."""
    def one(found):
        code = found[1] and int(found[1], 16)
        return found[0] if code is None else b"\\u%04x" % (code if code < 0x80 else 0xdc00 + code)
    return (JSON_ESCAPE.sub(one, line) if b"\\x" in line else line).decode("utf-8", "surrogateescape")


def parse_json(text):
    """An object as it is, or as nginx writes one whose numbers stand without quotes and are none (-, nothing, 000), with a comma too many at the end."""
    def mend(found):
        before, digits = found.groups()
        return found[0] if found[0][0] == '"' else "" if before is None else f'{before}"{digits}"' if digits else before + "null"
    try:
        return json.loads(text)
    except ValueError:
        return json.loads(JSON_BARE.sub(mend, text))


def encode_text(text):
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate that the log wrote as \\uD800
        return text.encode("utf-8", "surrogatepass")


def further_name(name):
    """What a value beyond FIELDS is called: as in the log, but never by a name of ours."""
    plain = re.sub(r"^%[<>]?(?:\{(.+)\})?(\w)$", lambda m: m[1] or m[2], name)
    plain = encode_text(plain)
    return b"log_" + plain if plain in FIELDS or plain in OURS or plain == b"vhost" else plain


# What a name is for. meaning: one of MEANING's, "" for a further value, None if it is of no interest; rank: in LESSER, from 1, and 0 is the best; time: its reader, if it is one;
# own: what it is called as a further value; ported: one of PORTED.
Role = collections.namedtuple("Role", "meaning rank time own ported")


@functools.lru_cache(1024)
def role_of(name):
    meaning = meaning_of(name)
    reader = TIMES.get(meaning) or (directive_time(name) if name.startswith("%{") and name.endswith("}t") else None)
    return Role(meaning, LESSER.get(name, 0), reader, further_name(name), name in PORTED)


REQUEST_ROLES = [Role(part, 0, None, b"request_" + part.encode(), False) for part in ("method", "path", "protocol")]


class Reader:
    """Reads lines of one format, a name of NAMED or a format string. ValueError: it is none."""

    def __init__(self, form="auto"):
        self.sessions, self.times = {}, collections.defaultdict(dict)
        self.stamps = self.times[bracketed_time]
        self.kinds = [(blank, kind) for blank in (b" ", b"\t") for kind in KINDS.get(form, KINDS["auto"])]
        self.extra, self.last = EXTRA[b" "], line_pattern(*self.kinds[0][1])
        self.form, self.pattern, self.keys, self.undo = form, None, {}, None
        if form not in NAMED:
            self.take_apart(form)
        self.read = self.named if self.pattern else {"json": self.json, "auto": self.auto}.get(self.form, self.plain)

    def take_apart(self, form):
        """A format string, or the directive that it stands in."""
        try:
            text, escape = unwrap(form)
            if re.match(r'\s*\{\s*"', text) and "$" in text:
                # An object that nginx writes (escape=json): its keys mean what its variables mean; what is put together of several keeps its key.
                pairs = re.findall(r'"([^"]+)"\s*:\s*(?:"\$\{?(\w+)\}?"|\$(?:(\w+)|\{(\w+)\})\s*[,}])', text)
                self.form, self.keys = "json", {key: "".join(variable) for key, *variable in pairs}
                return
            self.pattern, self.names = compile_format(text)
        except ValueError as error:
            raise ValueError(f"--format {form}: {error}") from None
        self.form, self.undo = text, {"none": None, "json": unescape_json}.get(escape, unescape)
        self.parts, self.joined = joined_time(self.names)

    def expected(self):
        return {"auto": "the combined format of Apache and nginx or common (with fields behind as you like), vhost_combined, or JSON lines"}.get(
            self.form, f"the format {self.form}")

    def auto(self, line):
        return self.json(line) if line[:1] == b"{" else self.plain(line) if line[:1] > b" " else self.indented(line)

    def indented(self, line):
        return self.json(line) if line.lstrip()[:1] == b"{" else self.plain(line)

    def named(self, line):
        found = self.pattern.fullmatch(line)
        if not found:
            raise Malformed(f"not of the format {self.form}")
        pairs = zip(self.names, found.groups(b""))
        if self.parts:
            pairs = list(pairs)
            pairs = [(self.joined, b" ".join(text for name, text in pairs if name in self.parts)), *(pair for pair in pairs if pair[0] not in self.parts)]
        return self.by_names(pairs)

    # ---- combined and its kin: what most lines are, so this is the short way ----

    def plain(self, line):
        found = self.last.fullmatch(line) or self.other(line)
        vhost, host, user, time, request, status, size, referrer, agent, more = found.groups()
        when = self.stamps.get(time) or self.time_of(bracketed_time, time)
        method, path, protocol = split_request(request)
        if b"\\" in line:
            user, referrer, agent = (part and unescape(part) for part in (user, referrer, agent))
        if referrer is None:
            referrer = agent = b"-"
        further = [(b"vhost", vhost)] if vhost else []
        if b"," in host:
            further.append((b"forwarded_for", host))
            host = first_host(host)
        if more:
            further += [(b"extra%d" % n, unescape(quoted) if not bare else bare) for n, (quoted, bare) in enumerate(self.extra.findall(more), 1)]
        return (host, user or b"-", when[0], method, path, protocol, status, b"0" if size == b"-" else size, referrer, agent,
                self.sessions.get((host, agent, when[1])) or self.session(host, agent, when[1])), further

    def other(self, line):
        """By whichever of the format's patterns; from now on that is the first to be tried."""
        for blank, kind in self.kinds:
            if blank not in line:
                continue
            pattern = line_pattern(*kind, blank)
            found = pattern.fullmatch(line)
            if found:
                self.extra, self.last = EXTRA[blank], pattern
                return found
        if self.form == "auto" and TWO_ADDRESSES.match(line):
            raise Malformed("two addresses stand in front, so it can be read in two ways: --format vhost_combined says that the first is the server's, any other --format what it is")
        raise Malformed(f"not {self.expected()}")

    # ---- by names ----

    def json(self, line):
        found = {}
        try:
            value = parse_json(json_text(line))
            if not isinstance(value, dict):
                raise ValueError
            flatten(value, found)
        except (ValueError, RecursionError):
            raise Malformed("not a JSON object") from None
        return self.by_names((self.keys.get(name, name), encode_text(text)) for name, text in found.items())

    def time_of(self, reader, text):
        """Many lines are of the same second."""
        known = self.times[reader]
        when = known.get(text)
        if when is None:
            when = reader(text)
            if len(known) > SESSIONS_MAX:
                known.clear()
            if len(text) <= TIME_MAX:
                known[text] = when
        return when

    def settle(self, known, further, role, text):
        """A value into known, unless another that says something is there: then it is a further one by its own name."""
        if role.meaning not in known or (known[role.meaning] == b"-" and role.meaning != "bytes"):
            known[role.meaning] = without_port(text) if role.ported and b":" in text and self.pattern is None else text
        elif text not in (b"-", known[role.meaning]):
            further.append((role.own, text))

    def by_names(self, pairs):
        known, further, lesser, when, wrong = {}, [], [], None, None
        for name, text in pairs:
            role = role_of(name)
            meaning = role.meaning
            if b"\\" in text and self.undo:
                text = self.undo(text)
            if role.time:
                try:
                    when = when or self.time_of(role.time, text)
                except Malformed as error:  # another one may be readable
                    wrong = error
            elif meaning == "":
                further.append((role.own, text))
            elif meaning == "@request":
                for part, value in zip(REQUEST_ROLES, split_request(text, bytes)):
                    self.settle(known, further, part, value)
            elif role.rank:
                lesser.append((role.rank, role, text or b"-"))
            elif meaning in known:
                self.settle(known, further, role, text or b"-")
            elif meaning:
                known[meaning] = text or b"-"
        for _, role, text in sorted(lesser) if len(lesser) > 1 else lesser:
            self.settle(known, further, role, text)
        if when is None:
            raise wrong or Malformed("it has no time")
        if known.get("status", b"-") == b"-" and "path" not in known:
            raise Malformed("it has neither a request nor a status")
        return self.visit(known, when, further)

    def visit(self, known, when, further):
        host, agent, size = known.get("host", b"-"), known.get("agent", b"-"), known.get("bytes", b"-")
        if host in NOBODY:
            host = first_host(next((text for name, text in further if text not in NOBODY and name.lower() in FORWARDED), host))
        elif b"," in host:
            further.append((b"forwarded_for", host))
            host = first_host(host)
        if "vhost" in known:
            further.append((b"vhost", known["vhost"]))
        return (host, known.get("user", b"-"), when[0], known.get("method", b"-"), known.get("path", b"-"), known.get("protocol", b"-"), known.get("status", b"-"),
                b"0" if size == b"-" else size, known.get("referrer", b"-"), agent, self.session(host, agent, when[1])), further

    def session(self, host, agent, window):
        """16 hex digits of SHA-1 over host, agent and the half hour (UTC): one visitor, one sitting."""
        key = (host, agent, window)
        found = self.sessions.get(key)
        if found is None:
            if len(self.sessions) > SESSIONS_MAX:
                self.sessions.clear()
            found = hashlib.sha1(host + b"\0" + agent + b"\0%d" % window).hexdigest()[:16].encode()
            if len(host) + len(agent) <= REMEMBERED_MAX:
                self.sessions[key] = found
        return found
