"""scripts/track: what becomes of a log line, and what does not."""
import ctypes
import gzip
import os
import resource
import shlex
import signal
import subprocess
import time
import tty

import pytest

from platoon_fixture import ROOT, wait_until
from track_fixture import GOOD, TRACK, Malformed, Reader, fields, flatten, run


def test_fields():
    found = fields(GOOD)
    session = found.pop("session")
    assert len(session) == 16 and int(session, 16) >= 0
    assert found == {"host": "127.0.0.1", "user": "frank", "time": "2000-10-10T20:55:36Z", "method": "GET", "path": "/apache_pb.gif",
                     "protocol": "HTTP/1.0", "status": "200", "bytes": "2326", "referrer": "http://www.example.com/", "agent": "Mozilla/4.08",
                     "app": "web", "event": "1"}


@pytest.mark.parametrize("change, field, value", [
    (("127.0.0.1", "2001:db8::1"), "host", "2001:db8::1"),
    (("2326", "-"), "bytes", "0"),
    (("GET /apache_pb.gif HTTP/1.0", "-"), "method", "-"),
    (("GET /apache_pb.gif HTTP/1.0", ""), "path", "-"),
    (("GET /apache_pb.gif HTTP/1.0", "GET /a b c HTTP/1.1"), "path", "/a b c"),
    (("Mozilla/4.08", r"a \"quoted\" agent"), "agent", 'a "quoted" agent'),
    (("Mozilla/4.08", r"a \x22quoted\x22 agent"), "agent", 'a "quoted" agent'),
    (("Mozilla/4.08", r"back\\slash"), "agent", "back\\slash"),
    (("Mozilla/4.08", r"back\x5Cslash"), "agent", "back\\slash"),
    (("Mozilla/4.08", ""), "agent", ""),
    (("-0700", "+0530"), "time", "2000-10-10T08:25:36Z"),
    (("frank", "frank the second"), "user", "frank the second"),
    (("10/Oct/2000:13:55:36 -0700", "31/Dec/2016:23:59:60 +0000"), "time", "2016-12-31T23:59:59Z"),
])
def test_variants(change, field, value):
    assert fields(GOOD.replace(*change))[field] == value


@pytest.mark.parametrize("line", [
    "", "garbage", GOOD[:-1], GOOD[:-20], GOOD.replace('" 200', '" 20'), GOOD.replace("Oct", "Okt"), GOOD.replace("10/Oct", "32/Oct"),
    GOOD.replace("2326", "23x6"), GOOD.replace("13:55", "25:55"),
    GOOD.replace("Mozilla", 'Moz"illa'), GOOD.replace("Mozilla", "Moz\\zilla"), GOOD.replace("[", ""), GOOD.replace(" - frank", " frank"),
])
def test_malformed_lines_are_counted_not_guessed(line):
    done = run(f"{GOOD}\n{line}\n{GOOD}\n")
    assert done.returncode == 0
    assert done.stdout.count(b"HSET") == 2
    assert b"3 lines, 2 visits, 1 malformed" in done.stderr
    assert b"line 2: " in done.stderr


def test_only_the_first_malformed_lines_are_told():
    done = run("x\n" * 100)
    assert done.returncode == 1
    assert done.stderr.count(b"track: line ") == 5 and b"95 further" in done.stderr and b"100 lines, 0 visits, 100 malformed" in done.stderr


# ---- what the world writes (vector#14710, prometheus-nginxlog-exporter#239, logparser#227) ----

@pytest.mark.parametrize("request_line, path", [
    ("GET /only-two", "GET /only-two"), ("PROBE_192.0.2.9_443", "PROBE_192.0.2.9_443"), (r"\x16\x03\x01\x02", r"\x16\x03\x01\x02"), ("-A OPTIONS", "-A OPTIONS"),
])
def test_a_request_that_is_no_http_is_a_visit_with_its_text(request_line, path):
    found = fields(GOOD.replace("GET /apache_pb.gif HTTP/1.0", request_line))
    assert (found["method"], found["path"], found["protocol"]) == ("-", path, "-")


def test_further_fields_are_kept():
    found = fields(GOOD + ' "198.51.100.1, 10.0.0.1" 0.003 "a \\"b\\""')
    assert (found["extra1"], found["extra2"], found["extra3"], found["agent"]) == ("198.51.100.1, 10.0.0.1", "0.003", 'a "b"', "Mozilla/4.08")


def test_common_and_vhost_combined():
    common = fields(GOOD[:GOOD.index(' "http://')])
    assert (common["bytes"], common["referrer"], common["agent"]) == ("2326", "-", "-")
    more = fields(GOOD[:GOOD.index(' "http://')] + ' 0.004 "a b"')
    assert (more["bytes"], more["agent"], more["extra1"], more["extra2"]) == ("2326", "-", "0.004", "a b")
    for name in ("shop.example:443", "[2001:db8::1]:80", "localhost:8080"):
        found = fields(f"{name} {GOOD}")
        assert (found["vhost"], found["host"], found["user"]) == (name, "127.0.0.1", "frank")


@pytest.mark.parametrize("host", ["fe80::1%eth0", "2001:db8::1", "::ffff:192.0.2.1", "1.2.3.4:5678"])
def test_hosts_with_a_colon_are_hosts(host):
    found = fields(GOOD.replace("127.0.0.1", host))
    assert found["host"] == host and "vhost" not in found


def test_formats_may_be_mixed():
    common = GOOD.partition(' "http://')[0]
    done = run("\n".join([GOOD, "shop.example:443 " + GOOD, common, GOOD, NGINX_JSON, GOOD]))
    assert b"6 lines, 6 visits, 0 malformed" in done.stderr, done.stderr


NGINX_JSON = ('{"time_iso8601":"2026-11-26T06:00:01+01:00","remote_addr":"192.0.2.7","remote_user":"","request":"GET /a?b=\\u00fc HTTP/2.0","status":"200",'
              '"body_bytes_sent":"17","http_referer":"-","http_user_agent":"curl/8 \\"x\\"","request_time":"0.004"}')
CADDY = ('{"level":"info","ts":1646861401.5241024,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"127.0.0.1","remote_port":"41342","client_ip":"127.0.0.1",'
         '"proto":"HTTP/2.0","method":"GET","host":"localhost","uri":"/x","headers":{"User-Agent":["curl/7.82.0"],"Referer":["http://y/"]}},"bytes_read":0,"user_id":"","duration":0.000929675,'
         '"size":10900,"status":200,"resp_headers":{"Server":["Caddy"]}}')
TRAEFIK = ('{"ClientHost":"192.0.2.8","ClientUsername":"-","DownstreamContentSize":5,"DownstreamStatus":404,"Duration":76021,"RequestHost":"shop.example","RequestMethod":"GET",'
           '"RequestPath":"/t","RequestProtocol":"HTTP/1.1","StartUTC":"2026-11-26T05:00:01.123456789Z","request_User-Agent":"Go","level":"info","msg":"","time":"2026-11-26T06:00:01+01:00"}')


@pytest.mark.parametrize("line, wanted", [
    (NGINX_JSON, {"host": "192.0.2.7", "user": "-", "time": "2026-11-26T05:00:01Z", "method": "GET", "protocol": "HTTP/2.0", "status": "200", "bytes": "17", "agent": 'curl/8 "x"',
                  "request_time": "0.004"}),
    (CADDY, {"host": "127.0.0.1", "time": "2022-03-09T21:30:01Z", "method": "GET", "path": "/x", "protocol": "HTTP/2.0", "status": "200", "bytes": "10900", "agent": "curl/7.82.0",
             "referrer": "http://y/", "vhost": "localhost", "duration": "0.000929675"}),
    (TRAEFIK, {"host": "192.0.2.8", "time": "2026-11-26T05:00:01Z", "method": "GET", "path": "/t", "status": "404", "bytes": "5", "agent": "Go", "vhost": "shop.example", "Duration": "76021"}),
])
def test_json_lines(line, wanted):
    found = fields(line)
    assert {name: found.get(name) for name in wanted} == wanted


@pytest.mark.parametrize("form, line, wanted", [
    ('$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" rt=$request_time "$http_x_forwarded_for"',
     GOOD + ' rt=0.25 "198.51.100.1"', {"host": "127.0.0.1", "user": "frank", "path": "/apache_pb.gif", "agent": "Mozilla/4.08", "request_time": "0.25", "http_x_forwarded_for": "198.51.100.1"}),
    (r'%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\" %D', "shop.example:443 " + GOOD + " 1200",
     {"vhost": "shop.example", "p": "443", "host": "127.0.0.1", "status": "200", "bytes": "2326", "D": "1200"}),
    ("$msec $remote_addr $request_method $uri $status", "1646861401.524 192.0.2.1 GET /x 200", {"time": "2022-03-09T21:30:01Z", "method": "GET", "path": "/x", "agent": "-"}),
])
def test_format_strings_of_nginx_and_apache(form, line, wanted):
    done = run(line + "\n", "--format", form)
    assert done.returncode == 0, done.stderr
    words = shlex.split(done.stdout.decode().splitlines()[0])
    found = dict(zip(words[2::2], words[3::2]))
    assert {name: found.get(name) for name in wanted} == wanted


TIMELESS = '1.2.3.4 [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200'


@pytest.mark.parametrize("form, line, wanted", [
    ("log_format main '$remote_addr [$time_local] ' '\"$request\" $status';", TIMELESS, {"host": "1.2.3.4", "path": "/a", "status": "200"}),
    (r'LogFormat "%h %t \"%r\" %>s" mine', TIMELESS, {"host": "1.2.3.4", "path": "/a", "status": "200"}),
    (r'%h\t%t\t\"%m %U%q\" 100%% %s', '1.2.3.4\t[10/Oct/2000:13:55:36 -0700]\t"GET /a?b" 100% 200', {"path": "/a?b", "status": "200"}),
    ("%h %{sec}t %m %U %>s", "1.2.3.4 1646861401 GET /x 200", {"time": "2022-03-09T21:30:01Z", "path": "/x"}),
    ("%h %{%F %T}t %m %U %>s", "1.2.3.4 2022-03-09 21:30:01 GET /x 200", {"time": "2022-03-09T21:30:01Z", "path": "/x"}),
    ('$http_x_forwarded_for [$time_local] "$request" $status', "5.6.7.8, " + TIMELESS, {"http_x_forwarded_for": "5.6.7.8, 1.2.3.4"}),
    ('{"when":"$time_iso8601","ip":"$remote_addr","request":"$request","status":$status}',
     '{"when":"2026-11-26T05:00:01+00:00","ip":"1.1.1.1","request":"GET / HTTP/1.1","status":200}', {"host": "1.1.1.1", "status": "200", "path": "/"}),
])
def test_format_strings_as_they_stand_in_configurations(form, line, wanted):
    done = run(line + "\n", "--format", form)
    assert done.returncode == 0, done.stderr
    words = shlex.split(done.stdout.decode().splitlines()[0])
    found = dict(zip(words[2::2], words[3::2]))
    assert {name: found.get(name) for name in wanted} == wanted


def test_a_name_of_the_log_never_replaces_what_makes_a_record_one():
    found = fields('{"time":"2026-11-26T05:00:01Z","status":200,"uri":"/","event":"e","app":"a","session":"s","user":"u"}')
    assert (found["event"], found["app"], found["log_event"], found["log_app"], found["log_session"], found["user"]) == ("1", "web", "e", "a", "s", "u")


def test_a_servers_name_without_a_port():
    found = fields("shop.example " + GOOD)
    assert (found["vhost"], found["host"], found["user"]) == ("shop.example", "127.0.0.1", "frank")


@pytest.mark.parametrize("stamp, wanted", [("1732600801524", "2024-11-26T06:00:01Z"), ('"2021/01/02 03:04:05"', "2021-01-02T03:04:05Z")])
def test_times_of_caddy(stamp, wanted):
    assert fields('{"ts":%s,"status":200,"request":{"method":"GET","uri":"/"}}' % stamp)["time"] == wanted


def test_a_format_without_a_time_is_refused():
    done = run(GOOD, "--format", "%h %m %U %>s")
    assert done.returncode == 2 and b"it names no time" in done.stderr


# ---- format strings: where a value ends, and what a line may cost ----

LOCAL = "10/Oct/2000:13:55:36 -0700"
UTC = "2000-10-10T20:55:36Z"


@pytest.mark.parametrize("form, line, wanted", [
    ("$time_local|$remote_addr|$request|$status|$http_user_agent|", f"{LOCAL}|1.2.3.4|GET /a b HTTP/1.1|200|Moz (X; Y)|", {"time": UTC, "path": "/a b", "agent": "Moz (X; Y)"}),
    ("$time_local | $remote_addr | $request | $status | $http_user_agent", f"{LOCAL} | 1.2.3.4 | GET / HTTP/1.1 | 200 | Moz (X) | Y", None),
    ("$time_local | $remote_addr | $request | $status | $http_user_agent", f"{LOCAL} | 1.2.3.4 | GET / HTTP/1.1 | 200 | Moz (X)", {"time": UTC, "path": "/", "agent": "Moz (X)"}),
    ("$remote_addr|$host|$uri|$status|$msec", "1.2.3.4|h|/a b|200|1646861401.524", {"path": "/a b", "time": "2022-03-09T21:30:01Z"}),
    ("$remote_addr|$uri|$status|$http_user_agent|$msec", "1.2.3.4|/a|b|200|Moz|1646861401.524", None),
    ("$remote_addr||$uri||$status||$msec", "1.2.3.4||/a|b||200||1646861401.524", {"path": "/a|b", "status": "200"}),
    (r"$time_local\t$remote_addr\t$uri\t$status\t$http_user_agent", f"{LOCAL}\t1.2.3.4\t/a b\t200\tMoz (X)", {"path": "/a b", "agent": "Moz (X)"}),
    ("$time_local\t$remote_addr\t$uri\t$status\t$http_user_agent", f"{LOCAL}\t1.2.3.4\t/a b\t200\tMoz (X)", {"path": "/a b", "agent": "Moz (X)"}),
    (r"time:$time_local\thost:$remote_addr\treq:$request\tstatus:$status\tua:$http_user_agent", f"time:{LOCAL}\thost:1.2.3.4\treq:GET /x HTTP/1.1\tstatus:200\tua:Moz (X) Y",
     {"time": UTC, "host": "1.2.3.4", "path": "/x", "agent": "Moz (X) Y"}),
    (r"%{%d/%b/%Y:%T %z}t\t%h\t%r\t%>s\t%{User-Agent}i", f"{LOCAL}\t1.2.3.4\tGET /x HTTP/1.1\t200\tMoz (X)", {"time": UTC, "path": "/x", "agent": "Moz (X)"}),
    ("$time_local $remote_addr $request $status $http_user_agent", f"{LOCAL} 1.2.3.4 GET /a b HTTP/1.1 200 Moz (X) Y", {"time": UTC, "path": "/a b", "agent": "Moz (X) Y"}),
    ("log_format a \"$remote_addr [$time_local] \\\"$request\\\" $status\";", TIMELESS, {"path": "/a", "status": "200"}),
    (r"log_format a '$remote_addr [$time_local] \'$request\' $status';", TIMELESS.replace('"', "'"), {"path": "/a", "status": "200"}),
    (r"$remote_addr\\$msec\\$status\n", "1.2.3.4\\1646861401.524\\200", {"host": "1.2.3.4", "status": "200"}),
    ("$msec $host$request_uri $status", "1646861401.5 shop.example/a/b?c=http://d/ 200", {"vhost": "shop.example", "path": "/a/b?c=http://d/"}),
    ("$msec $scheme://$host:$server_port$uri$is_args$args $status", "1646861401.5 https://shop.example:8443/a?b=c 200", {"vhost": "shop.example", "server_port": "8443", "path": "/a?b=c"}),
    ("%v:%p%U%q %t %s", "[2001:db8::1]:80/a?b [%s] 200" % LOCAL, {"vhost": "[2001:db8::1]", "p": "80", "path": "/a?b"}),
    ("$remote_addr:$remote_port|$uri|$msec|$status", "2001:db8::1:4444|/a:1|1646861401|200", {"host": "2001:db8::1", "remote_port": "4444", "path": "/a:1"}),
    ('$remote_addr;$remote_user;"$http_user_agent";$time_iso8601;$status', '1.2.3.4;a b;"x;\\"y\\"";2026-11-26T05:00:01+00:00;200', {"user": "a b", "agent": 'x;"y"', "status": "200"}),
    ('{"url":"$scheme://$host$request_uri","t":"$msec","status":$status}', '{"url":"https://h/a","t":"1646861401.5","status":200}', {"url": "https://h/a", "status": "200"}),
])
def test_a_value_ends_where_what_stands_behind_it_begins(form, line, wanted):
    if wanted is None:
        assert b"1 malformed" in run(line + "\n", "--format", form).stderr
    else:
        found = fields(line, "--format", form)
        assert {name: found.get(name) for name in wanted} == wanted


@pytest.mark.parametrize("form, told", [("$msec $upstream_addr$http_cookie", "nothing stands between $upstream_addr and $http_cookie"), ("%h %{%Q}t %U", "%Q in it cannot be read"),
                                        ("$msec $host\\n$uri", "takes several lines")])
def test_a_format_that_cannot_be_taken_apart_is_refused(form, told):
    done = run(GOOD, "--format", form)
    assert done.returncode == 2 and told in done.stderr.decode(), done.stderr


PLAIN = [lambda n: b"a " * n, lambda n: b'1.2.3.4 - - [x] "' + b'\\"' * n, lambda n: b"1:" * n + b" ", lambda n: b"::1 " * n, lambda n: GOOD.encode() + b' "a' * n,
         lambda n: b"h - " + b"a [" * n, lambda n: GOOD.encode().replace(b"GET /", b"GET" + b" / HTTP/1" * n),
         lambda n: b"a, " * n, lambda n: b"1.2.3.4," * n + b" - - [", lambda n: b"h:1 " + b"a, " * n + b"- - [1", lambda n: b"a\t" * n, lambda n: b"h - " + b"\\[ " * n,
         lambda n: b"h - " + b"- " * n, lambda n: GOOD.encode() + b"\t" * n + b'"', lambda n: GOOD.replace(" ", "\t").encode() + b"\ta" * n + b'"']


def keep_memory():
    """malloc gives the expression's own memory, many times the line's length, back to the system each time: its page faults took up to five times as long as the
    matching, from a length on that is another on each machine. From here on this process keeps it (mallopt(3): M_MMAP_MAX, M_TRIM_THRESHOLD)."""
    malloc = ctypes.CDLL(None)
    assert malloc.mallopt(-4, 0) == 1 and malloc.mallopt(-1, 1 << 30) == 1


@pytest.mark.parametrize("form, lines", [
    *[(form, PLAIN) for form in ("auto", "combined", "common", "vhost_combined")],
    ("json", [lambda n: b'{"request":' * n, lambda n: b'{"request":' * n + b"1" + b"}" * n, lambda n: b'{"a":"' + b"\\x41" * n, lambda n: b'{"a":[' + b"[]," * n,
              lambda n: b'{"status":200,"time":"' + b"1" * n + b'"}', lambda n: b'{"status":200,"time":1.' + b"1" * n + b"}",
              lambda n: b'{"a":' + b" " * n + b"x", lambda n: b'{"a":"' + b'\\"' * n, lambda n: b'{"a":-' + b", " * n + b"}", lambda n: b'{"a":-' + b' ,"b": ' * n, lambda n: b'{"a":' + b"0" * n]),
    ("$http_x_forwarded_for $msec $status $request", [lambda n: b"1, " * n + b" 1 200 -", lambda n: b"1," * n + b"1 1 200 -"]),
    ("$remote_addr|$host|$uri|$status|$msec", [lambda n: b"1|" + b"|" * n + b" x", lambda n: b"|" * n + b"200|x"]),
    ("$remote_addr||$host||$uri||$msec", [lambda n: b"||" * n, lambda n: b"|a" * n]),
    ("$remote_addr | $host | $uri | $msec", [lambda n: b" | " * n, lambda n: b" |" * n]),
    ("$remote_addr\t$time_local\t$remote_user\t$uri\t$msec", [lambda n: b"\t" * n]),
    ("h:$remote_addr\tu:$uri\tr:$http_referer\tt:$msec", [lambda n: b"h:" + b"\tu:" * n]),
    ("$remote_user $host $http_cookie $status $msec", [lambda n: b"a " * n]),
    ("$remote_user - $host - $http_cookie [$time_local] $status", [lambda n: b"a - " * n, lambda n: b"a - b [" * n]),
    ('%h %l %u %t "%r" %>s', [lambda n: b"a - " + b" [" * n, lambda n: b"a - " + b"\\a" * n, lambda n: b"a - " + b'"" ' * n]),
    ("%u %{%d %b %Y}t %{%F}t %{Cookie}i %U %q", [lambda n: b"1 " * n, lambda n: b"a " + b"01 Oct 2000 " * n]),
    ("$host:$server_port:$http_x:$http_y:$msec", [lambda n: b"a:" * n, lambda n: b"1:" * n]),
    ('"$http_user_agent" "$http_referer" "$request" $msec', [lambda n: b'"' + b'\\"' * n, lambda n: b'"" ' * n]),
    ("$scheme://$host$request_uri $request $msec", [lambda n: b"a://" * n, lambda n: b"a://b" + b"/ HTTP/1.1" * n, lambda n: b"a://b/ x" + b" HTTP/1" * n]),
    ("$host $upstream_addr $upstream_status [$time_local] $status", [lambda n: b"a, " * n, lambda n: b"a : a, " * n + b"["]),
])
def test_a_hostile_line_costs_no_more_than_its_length(form, lines):
    """Twice the length, some twice the time, where a square would be four times: by the processor's, from a length on that can be measured. The least of three ratios
    in a row, for one can be off."""
    keep_memory()
    def cost(line):
        def once():
            began = time.process_time()
            try:
                reader.read(line)
            except Malformed:
                pass
            return time.process_time() - began
        return min(once() for _ in range(5))

    reader = Reader(form)
    for hostile in lines:
        length = 16
        while (took := cost(hostile(length))) < 0.001 and length < 1 << 18:
            length *= 2
        costs = [took, *(cost(hostile(length << doubled)) for doubled in (1, 2, 3))]
        assert min(more / less for less, more in zip(costs, costs[1:])) < 3, (form, hostile(8), length, costs)


# ---- what must not grow with the log ----

def bounded(text, megabytes):
    return subprocess.run([TRACK, "--print", "-"], input=text, capture_output=True, timeout=60,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20)))


def test_a_line_without_an_end_is_malformed():
    zeros = gzip.compress(b"\0" * (64 << 20), 1)
    done = bounded(zeros * 4 + gzip.compress(f"\n{GOOD}\n".encode()), 200)
    assert done.returncode == 0 and b"line 1: longer than 1048576 bytes" in done.stderr and b"2 lines, 1 visits, 1 malformed" in done.stderr, done.stderr[-500:]
    for length, counts in ((1 << 20, b"3 lines, 3 visits"), ((1 << 20) + 1, b"3 lines, 2 visits"), (3 << 20, b"3 lines, 2 visits")):
        agent = "a" * (length - len(GOOD) + len("Mozilla/4.08"))
        assert counts in run(f"{GOOD}\n{GOOD.replace('Mozilla/4.08', agent)}\n{GOOD}\n").stderr


def test_malformed_lines_are_not_kept():
    done = bounded(b"x\n" * 400000 + GOOD.encode(), 110)
    assert done.returncode == 0 and b"400001 lines, 1 visits, 400000 malformed" in done.stderr and b"and 399995 further" in done.stderr, done.stderr[-500:]


# ---- a source that ends too early: what was sent is named in the set ----

def numbered(count):
    """Lines that gzip cannot pack to nothing."""
    return b"".join(GOOD.replace("apache_pb.gif", os.urandom(20).hex()).encode() + b"\n" for _ in range(count))


def assert_all_named(client, least):
    keys = set(client.scan_iter("visit:*", count=1000))
    assert len(keys) >= least and client.smembers("tracking:pending") == keys
    return len(keys)


def damaged(packed):
    return packed[:len(packed) // 2] + b"\xff" * 2000 + packed[len(packed) // 2 + 2000:]


@pytest.mark.parametrize("damage", [damaged, lambda packed: packed[:-len(packed) // 4]])
def test_damaged_gzip(redis_server, tmp_path, damage):
    """As much as can be read is loaded and named in the set; the rest is an error."""
    server = redis_server()
    (tmp_path / "a.gz").write_bytes(damage(gzip.compress(numbered(5500))))
    done = subprocess.run([TRACK, "--redis", server.url, tmp_path / "a.gz"], capture_output=True, timeout=30)
    assert done.returncode == 1 and b"Traceback" not in done.stderr and b"a.gz" in done.stderr and b"damaged or cut off" in done.stderr, done.stderr
    loaded = assert_all_named(server.client(), 1000)
    assert b"the %d visits before that are loaded" % loaded in done.stderr, done.stderr


def test_a_file_that_cannot_be_read_further(redis_server):
    """A terminal whose other side has gone answers with EIO behind the last byte."""
    server = redis_server()
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    os.write(theirs, numbered(10))
    os.close(theirs)
    with os.fdopen(ours, "rb") as source:
        done = subprocess.run([TRACK, "--redis", server.url, "-"], stdin=source, capture_output=True, timeout=30)
    assert done.returncode == 1 and b"Traceback" not in done.stderr and b"cannot be read further" in done.stderr, done.stderr
    assert_all_named(server.client(), 10)


@pytest.mark.parametrize("order, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_leaves_no_hash_without_a_name(redis_server, order, status):
    server = redis_server()
    client = server.client()
    process = subprocess.Popen([TRACK, "--redis", server.url, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               preexec_fn=lambda: signal.signal(order, signal.SIG_DFL))  # nohup, and a shell's &, have the tests ignore them
    process.stdin.write(numbered(2500))
    process.stdin.flush()
    wait_until(lambda: client.dbsize() >= 2000, 20, "two chunks")
    process.send_signal(order)
    told = process.communicate(timeout=30)[1]
    assert process.returncode == status and b"Traceback" not in told, told
    loaded = assert_all_named(client, 2000)
    assert b"stopped by %s" % order.name.encode() in told and b"%d visits are loaded" % loaded in told, told


def test_a_format_that_names_nothing_is_refused():
    done = run(GOOD, "--format", "combind")
    assert done.returncode == 2 and b"--format combind: it names nothing: one of auto, combined" in done.stderr


def test_json_of_any_bytes():
    """nginx without escape=json writes \\xHH, and whatever a client sent stands in others' as it came."""
    line = NGINX_JSON.encode()
    agent = rb'curl/8 \"x\"'
    for written, wanted in ((rb"a \x22b\x22 \xC3\xA4 \xFF", b'a "b" \xc3\xa4 \xff'), (b"caf\xe9 \xc3\xa4", b"caf\xe9 \xc3\xa4"), (rb"back\\x41", rb"back\x41")):
        done = run(line.replace(agent, written) + b"\n")
        assert done.returncode == 0, done.stderr
        shown = b"".join(b"\\" + bytes([c]) if c in b'"\\' else bytes([c]) if 32 <= c < 127 else b"\\x%02x" % c for c in wanted)
        assert b'agent "' + shown + b'"' in done.stdout or b"agent " + shown in done.stdout, done.stdout


STAMP = '{"status":200,"uri":"/",%s}'
NOVEMBER = "2024-11-26T06:00:01Z"


@pytest.mark.parametrize("members, wanted", [
    ('"timestamp":1732600801', NOVEMBER), ('"timestamp":"1732600801"', NOVEMBER), ('"time":"1732600801.524"', NOVEMBER), ('"@timestamp":1732600801524', NOVEMBER),
    ('"ts":"1732600801"', NOVEMBER), ('"ts":"2024-11-26T06:00:01Z"', NOVEMBER), ('"time":1.732600801e9', NOVEMBER), ('"time":"1712010812345"', "2024-04-01T22:33:32Z"),
    ('"time":"20241126"', "2024-11-26T00:00:00Z"), ('"time":"26/Nov/2024:06:00:01 +0000"', NOVEMBER),
    ('"time":"never","timestamp":"2024-11-26T06:00:01Z"', NOVEMBER), ('"ts":1732600801,"time":"never"', NOVEMBER),
    ('"time":"never"', None), ('"ts":NaN', None), ('"time":1e300', None), ('"ts":"%s"' % ("9" * 5000), None), ('"time":"0001-01-01T00:00:00+14:00"', None),
])
def test_times_of_json(members, wanted):
    if wanted:
        assert fields(STAMP % members)["time"] == wanted
    else:
        assert b"2 lines, 1 visits, 1 malformed" in run(STAMP % members + "\n" + GOOD).stderr


@pytest.mark.parametrize("opening, closing", [('{"request":', "}"), ('{"headers":', "}"), ("[", "]")])
def test_known_names_nested_without_end_are_malformed(opening, closing):
    """In each depth, for json has a limit of its own and what comes after it has less room."""
    around = ('{"request":{"headers":{"User-Agent":[', "]}}}") if opening == "[" else ("", "")
    done = run("\n".join(around[0] + opening * depth + "1" + closing * depth + around[1] for depth in range(900, 1010)) + "\n" + GOOD)
    assert done.returncode == 0 and b"111 lines, 1 visits, 110 malformed" in done.stderr, done.stderr[-300:]


def test_known_names_are_opened_where_they_are_known():
    """Whatever depth json takes (its limit is another in each version of Python)."""
    value, found = {"deep": 1}, {}
    for _ in range(5000):
        value = {"request": value, "headers": value}
    flatten({"request": {"method": "GET", "request": value, "headers": {"User-Agent": ["a"]}}, "status": 200}, found)
    assert found == {"method": "GET", "http_user_agent": "a", "status": "200"}


def test_a_reason_orders_no_terminal_about():
    done = run(GOOD.replace("Mozilla", "\\\x9b") + "\n" + GOOD.replace("Mozilla", "\\\x1b") + "\n")
    assert b"\x1b" not in done.stderr and b"unknown escape" in done.stderr and not any(0x7f < c for c in done.stderr), done.stderr


def test_a_mark_in_front_and_no_user():
    done = run(b"\xef\xbb\xbf" + GOOD.encode() + b"\n")
    assert b"1 lines, 1 visits" in done.stderr and b"host 127.0.0.1" in done.stdout, done
    assert fields(GOOD.replace("frank", ""))["user"] == "-"


def test_json_nested_without_end_is_malformed():
    done = run(b'{"a":' + b"[" * 200000 + b"\n" + GOOD.encode())
    assert done.returncode == 0 and b"2 lines, 1 visits, 1 malformed" in done.stderr, done.stderr[-300:]


def test_gzip_whatever_its_name(tmp_path):
    for name in ("access.log.2.gz", "access.log.2"):
        (tmp_path / name).write_bytes(gzip.compress(GOOD.encode() + b"\n"))
        done = subprocess.run([TRACK, "--print", tmp_path / name], capture_output=True, timeout=30)
        assert done.returncode == 0 and b"1 lines, 1 visits" in done.stderr, done.stderr
    assert b"1 lines, 1 visits" in run(gzip.compress(GOOD.encode() + b"\n")).stderr


@pytest.mark.parametrize("text, shown", [("not a log at all\nneither is this\n", 'its first line is: "not a log at all"'), ("\x1b[2J\n", r"\x1b[2J"), ("", "it is empty")])
def test_a_file_without_a_visit_is_an_error_that_says_what_was_expected(text, shown):
    done = run(text)
    assert done.returncode == 1
    assert "no line is a visit: expected the combined format of Apache and nginx" in done.stderr.decode() and shown in done.stderr.decode()


def test_sessions():
    def session(line):
        return fields(line)["session"]
    assert session(GOOD) == session(GOOD.replace("/apache_pb.gif", "/other").replace("13:55:36", "13:59:59"))
    assert session(GOOD) != session(GOOD.replace("13:55:36", "14:01:00"))
    assert session(GOOD) != session(GOOD.replace("127.0.0.1", "127.0.0.2"))
    assert session(GOOD) != session(GOOD.replace("Mozilla", "Opera"))


def test_options():
    done = run(GOOD + "\n", "--set", "s", "--prefix", "p/", "--app", "my app")
    assert b"HSET p/1 " in done.stdout and b"SADD s p/1" in done.stdout and b'app "my app"' in done.stdout
    assert subprocess.run([TRACK], capture_output=True).returncode == 2


def test_into_redis_twice(redis_server):
    """The same file loaded twice gives new visits; raw bytes arrive as they are."""
    server = redis_server()
    text = GOOD.encode().replace(b"Mozilla", rb"\xff\xfe caf\xc3\xa9") + b"\n" + b"bad line\n" + GOOD.encode() + b"\n"
    for _ in range(2):
        done = subprocess.run([TRACK, "--redis", server.url, "-"], input=text, capture_output=True, timeout=30)
        assert done.returncode == 0 and done.stdout == b"3 lines, 2 visits, 1 malformed\n"
    r = server.client()
    members = r.smembers("tracking:pending")
    assert len(members) == 4 and all(m.startswith(b"visit:") for m in members)
    hashes = [r.hgetall(m) for m in members]
    assert len({h[b"event"] for h in hashes}) == 4
    assert sorted(h[b"agent"] for h in hashes) == sorted([b"\xff\xfe caf\xc3\xa9/4.08", b"Mozilla/4.08"] * 2)


def test_redis_refuses(redis_server):
    server = redis_server()
    server.client().set("tracking:pending", "in the way")
    done = subprocess.run([TRACK, "--redis", server.url, "-"], input=GOOD.encode() + b"\n", capture_output=True, timeout=30)
    assert done.returncode == 1 and b"WRONGTYPE" in done.stderr and b"SADD" in done.stderr and not done.stdout


def test_what_is_in_the_set_has_its_hash(redis_server, tmp_path):
    """HSET may be refused where SADD is not (memory, a rule): no member may be there without its hash."""
    server = redis_server()
    client = server.client()
    client.execute_command("ACL", "SETUSER", "loader", "on", "nopass", "~*", "&*", "+@all", "-hset")
    (tmp_path / "login").write_text("loader\nany\n")
    for count in (1, 5000):
        done = subprocess.run([TRACK, "--redis", server.url, "--password-file", tmp_path / "login", "-"], input=(GOOD + "\n").encode() * count, capture_output=True, timeout=30)
        assert done.returncode == 1 and b"Redis refused HSET" in done.stderr, done.stderr
        assert client.scard("tracking:pending") == 0


def test_redis_is_not_there(tmp_path):
    done = subprocess.run([TRACK, "--redis", f"unix://{tmp_path}/none.sock", "-"], input=b"", capture_output=True, timeout=30)
    assert done.returncode == 1 and b"none.sock" in done.stderr
    done = subprocess.run([TRACK, "--redis", "redis://:pw@127.0.0.1/", "-"], input=b"", capture_output=True, timeout=30)
    assert done.returncode == 1 and b"password" in done.stderr and b"pw@" not in done.stderr


def test_config_names_the_socket(platoon):
    """--config finds the embedded server of a configuration."""
    platoon.start()
    done = subprocess.run([TRACK, "--config", str(platoon.config_path), "-"], input=GOOD.encode() + b"\n", capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr
    platoon.drained()
    assert len(platoon.rows()) == 1


def test_sample_log_is_well_formed():
    text = subprocess.run([ROOT / "scripts/lib/sample-log", "500", "7"], capture_output=True, check=True, timeout=30).stdout
    assert text.count(b"\n") == 500
    done = run(text)
    assert b"500 lines, 500 visits, 0 malformed" in done.stderr
