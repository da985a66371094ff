"""scripts/track: what else servers and the people who set them up write, and what of it could be taken for something that it is not.

From httpd's mod_log_config (an empty user is "", %{…}t in parts), nginx' log_format, Caddy's remote_addr (caddyserver/caddy#4936), Traefik's ClientAddr, and X-Forwarded-For in front (serverfault 285205).
"""
import json

import pytest

from track_fixture import GOOD, Malformed, Reader, read, run

AT = "[03/Oct/2022:21:59:42 +0200]"
COMMON = '%s ' + AT + ' "GET /a HTTP/1.1" 200 15'
COMBINED = COMMON + ' "-" "Moz"'
DEFAULT = {"vhost": None, "host": "1.2.3.4", "user": "-", "time": "2022-10-03T19:59:42Z", "method": "GET", "path": "/a", "protocol": "HTTP/1.1", "status": "200", "bytes": "15"}


def assert_read(line, wanted, form="auto"):
    found = read(line, form)
    assert {name: found.get(name) for name in {**DEFAULT, **wanted}} == {**DEFAULT, **wanted}, line


@pytest.mark.parametrize("front, wanted", [
    ('1.2.3.4 - ""', {}), ("1.2.3.4 - ", {}), ("1.2.3.4 - john smith", {"user": "john smith"}), (r"1.2.3.4 - a\"b", {"user": 'a"b'}), (r"1.2.3.4 - DOM\\bob", {"user": r"DOM\bob"}),
    ("1.2.3.4 - [x]", {"user": "[x]"}), ("1.2.3.4 - a@b.c", {"user": "a@b.c"}), ('1.2.3.4 ident ""', {}), ("1.2.3.4 ident bob", {"user": "bob"}), ("1.2.3.4 shop.example -", {}),
    ("1.2.3.4 203.0.113.5 -", {}),  # lighttpd's second is the server
    ("fe80::1%eth0 - bob", {"host": "fe80::1%eth0", "user": "bob"}), ("::1 - john smith", {"host": "::1", "user": "john smith"}),
    ("1.2.3.4:5678 - john smith", {"host": "1.2.3.4:5678", "user": "john smith"}),
    ('shop.example:443 1.2.3.4 - ""', {"vhost": "shop.example:443"}), ("shop.example:443 client.example - -", {"vhost": "shop.example:443", "host": "client.example"}),
    ("shop.example 1.2.3.4 - john smith", {"vhost": "shop.example", "user": "john smith"}), ("[::1]:80 fe80::1%eth0 - -", {"vhost": "[::1]:80", "host": "fe80::1%eth0"}),
    ("10.0.0.1:80 1.2.3.4 ident bob", {"vhost": "10.0.0.1:80", "user": "bob"}),
])
def test_who_stands_in_front(front, wanted):
    for line in (COMMON, COMBINED, COMBINED + ' 0.1 "x"'):
        assert_read(line % front, wanted)


@pytest.mark.parametrize("front, host, vhost", [
    ("1.2.3.4, 5.6.7.8", "1.2.3.4", None), ("1.2.3.4,5.6.7.8", "1.2.3.4", None), ("2001:db8::1, 5.6.7.8, 10.0.0.1", "2001:db8::1", None), ("unknown, 5.6.7.8", "5.6.7.8", None),
    ("-, 5.6.7.8", "5.6.7.8", None), ("1.2.3.4:55, 5.6.7.8:66", "1.2.3.4", None), ("[2001:db8::1]:55, 5.6.7.8", "2001:db8::1", None), ("client.example, 5.6.7.8", "client.example", None),
    ("shop.example:443 1.2.3.4, 5.6.7.8", "1.2.3.4", "shop.example:443"), ("shop.example 1.2.3.4, 5.6.7.8", "1.2.3.4", "shop.example"),
])
def test_of_a_proxys_list_the_first_is_the_client(front, host, vhost):
    """And the list is kept: nothing that was written is lost."""
    written = front[len(vhost) + 1:] if vhost else front
    for line in (COMMON, COMBINED):
        for user in ("-", "bob", "john smith"):
            assert_read(line % f"{front} - {user}", {"host": host, "vhost": vhost, "user": user, "forwarded_for": written})


@pytest.mark.parametrize("front", [
    "1.2.3.4 5.6.7.8 - -",  # the server and the client, or the client and its proxy
    "1.2.3.4, 5.6.7.8 10.0.0.1 - -", "shop.example client.example - -", "shop.example 1.2.3.4 -", "client - - bob", '"1.2.3.4, 5.6.7.8" - -', "Oct 13 21:59:42 web nginx: 1.2.3.4 - -",
    "web_1 | 1.2.3.4 - -", "1.2.3.4, - -",
])
def test_what_stands_in_front_is_not_guessed_at(front):
    for line in (COMMON, COMBINED):
        with pytest.raises(Malformed):
            read(line % front)


def test_what_can_be_read_in_two_ways_says_so_and_can_be_said():
    assert b"line 1: two addresses stand in front" in run(COMBINED % "10.0.0.1 1.2.3.4 - -" + "\n" + GOOD).stderr
    assert_read(COMBINED % "10.0.0.1 1.2.3.4 - -", {"vhost": "10.0.0.1"}, "vhost_combined")
    assert_read(COMBINED % "shop client.example - bob", {"vhost": "shop", "host": "client.example", "user": "bob"}, "vhost_combined")


def test_a_line_is_read_the_same_whatever_came_before_it():
    lines = [COMMON % "1.2.3.4 - -", COMBINED % "1.2.3.4 - john smith", COMBINED % "h:80 1.2.3.4 - -", COMMON % "h 1.2.3.4 id bob", COMBINED % "1.2.3.4 ident bob",
             COMBINED % "1.2.3.4, 5.6.7.8 - -", (COMBINED % "1.2.3.4\t-\t-").replace(" [", "\t[").replace("] ", "]\t").replace('" ', '"\t').replace("200 15 ", "200\t15\t")]
    for before in lines:
        for line in lines:
            reader = Reader()
            reader.read(before.encode())
            assert reader.read(line.encode()) == Reader().read(line.encode()), (before, line)


@pytest.mark.parametrize("stamp, wanted", [
    ("03/Oct/2022:21:59:42.123 +0200", "2022-10-03T19:59:42Z"), ("2022-10-03T21:59:42+02:00", "2022-10-03T19:59:42Z"), ("2022-10-03T19:59:42.123Z", "2022-10-03T19:59:42Z"),
    ("1664827182", "2022-10-03T19:59:42Z"), ("1664827182.123", "2022-10-03T19:59:42Z"), ("1664827182123", "2022-10-03T19:59:42Z"),
])
def test_times_between_brackets(stamp, wanted):
    assert_read((COMBINED % "1.2.3.4 - -").replace(AT[1:-1], stamp), {"time": wanted})
    assert_read("1.2.3.4 [%s] \"GET /a HTTP/1.1\" 200 15" % stamp, {"time": wanted}, '%h %t "%r" %s %b')


@pytest.mark.parametrize("change, wanted", [
    ((" 200 15", " 304 -"), {"status": "304", "bytes": "0"}), ((" 200 15", " - -"), {"status": "-", "bytes": "0"}), (('"Moz"', '"Moz" '), {"agent": "Moz"}),
    (("HTTP/1.1", "HTTP/3"), {"protocol": "HTTP/3"}),
    (("GET /a HTTP/1.1", ""), {"method": "-", "path": "-", "protocol": "-"}), (("GET /a HTTP/1.1", r"\x16\x03"), {"method": "-", "path": "\x16\x03", "protocol": "-"}),
    (("GET /a HTTP/1.1", "GET /a"), {"method": "-", "path": "GET /a", "protocol": "-"}),
])
def test_values(change, wanted):
    assert_read((COMBINED % "1.2.3.4 - -").replace(*change), wanted)


def test_tabs_between_the_values():
    """A blank is part of a value then, and a value may be empty."""
    line = "\t".join(["1.2.3.4, 5.6.7.8", "-", "john smith", AT, '"GET /a b HTTP/1.1"', "200", "15", '"-"', '"Moz X"', "a b", "", '"c d"'])
    assert_read(line, {"user": "john smith", "path": "/a b", "agent": "Moz X", "extra1": "a b", "extra2": "", "extra3": "c d", "forwarded_for": "1.2.3.4, 5.6.7.8"})
    assert_read("shop.example:443\t" + line, {"vhost": "shop.example:443", "user": "john smith", "path": "/a b", "extra1": "a b", "extra3": "c d"})
    with pytest.raises(Malformed):
        read("\t".join(["shop", "x", "y", "z", AT, '"GET / HTTP/1.1"', "200", "1"]))


# ---- JSON ----

CADDY = {"ts": 1664827182.5, "request": {"proto": "HTTP/1.1", "method": "GET", "uri": "/a"}, "size": 15, "status": 200}
TRAEFIK = {"DownstreamContentSize": 15, "DownstreamStatus": 200, "RequestMethod": "GET", "RequestPath": "/a", "RequestProtocol": "HTTP/1.1", "StartUTC": "2022-10-03T19:59:42.123456789Z"}
NGINX = {"time_iso8601": "2022-10-03T21:59:42+02:00", "remote_addr": "1.2.3.4", "request": "GET /a HTTP/1.1", "status": "200", "body_bytes_sent": "15"}


@pytest.mark.parametrize("written, host", [
    ("10.0.0.1:4444", "10.0.0.1"), ("[::1]:4444", "::1"), ("[fe80::1%eth0]:4444", "fe80::1%eth0"), ("10.0.0.1", "10.0.0.1"), ("::1", "::1"), ("[::1]", "::1"),
    ("2001:db8::1:4444", "2001:db8::1:4444"), ("fe80::1%eth0", "fe80::1%eth0"), ("client.example:80", "client.example"), ("@", "@"), ("", "-"),
])
def test_a_port_makes_no_visitor_of_each_connection(written, host):
    assert_read(json.dumps({**CADDY, "request": {**CADDY["request"], "remote_addr": written}}), {"host": host})
    for line in ({**TRAEFIK, "ClientAddr": written}, {"ClientHost": "-", **TRAEFIK, "ClientAddr": written}, {**TRAEFIK, "ClientAddr": written, "ClientHost": ""}):
        assert_read(json.dumps(line), {"host": host})


@pytest.mark.parametrize("line, wanted", [
    ({**TRAEFIK, "ClientAddr": "10.0.0.1:4444", "ClientHost": "1.2.3.4"}, {"ClientAddr": "10.0.0.1:4444"}),
    ({**{k: v for k, v in TRAEFIK.items() if k != "StartUTC"}, "ClientHost": "1.2.3.4", "StartLocal": "2022-10-03T21:59:42+02:00"}, {}),
    ({**CADDY, "request": {**CADDY["request"], "remote_ip": "10.0.0.1", "remote_port": "4", "client_ip": "1.2.3.4"}}, {"remote_ip": "10.0.0.1"}),
    ({**CADDY, "request": {**CADDY["request"], "remote_ip": "1.2.3.4", "client_ip": "1.2.3.4"}}, {"remote_ip": None}),
    ({"uri": "/index.php", **NGINX}, {"uri": "/index.php"}), ({"uri": "/a", **NGINX}, {"uri": None}), ({"bytes_sent": 300, **NGINX}, {"bytes_sent": "300"}),
    ({"server_name": "_", "host": "shop", **NGINX}, {"vhost": "shop", "server_name": "_"}), ({"server_name": "_", **NGINX}, {"vhost": "_"}),
    ({**NGINX, "remote_addr": "1.2.3.4, 5.6.7.8"}, {"forwarded_for": "1.2.3.4, 5.6.7.8"}), ({**NGINX, "remote_addr": "", "http_x_forwarded_for": "1.2.3.4, 5.6.7.8"}, {}),
    ({**NGINX, "remote_addr": "unix:", "http_x_forwarded_for": "1.2.3.4"}, {}), ({**NGINX, "remote_addr": "unix:", "http_x_forwarded_for": "-"}, {"host": "unix:"}),
    ({"vhost": "b", "host": "a", **NGINX}, {"vhost": "a", "log_vhost": "b"}),
    ({"time": AT, **{k: v for k, v in NGINX.items() if k != "time_iso8601"}}, {}),
])
def test_of_several_names_for_one_thing_the_best_is_heard(line, wanted):
    """In whichever order, and what else was written is kept."""
    assert_read(json.dumps(line), wanted)
    assert_read(json.dumps(dict(reversed(line.items()))), wanted)


@pytest.mark.parametrize("text", [r"/a\b", r"/a\q", r"/\x41", '/"', "/\t"])
def test_json_has_one_layer_of_escapes(text):
    assert_read(json.dumps({**NGINX, "request": f"GET {text} HTTP/1.1"}), {"path": text})
    assert_read(json.dumps({**NGINX, "request": text}), {"method": "-", "path": text, "protocol": "-"})


@pytest.mark.parametrize("more, wanted", [
    (',"upstream_status":-', {}), (',"rt":', {}), (',"rt": , "x":"y"', {"x": "y"}), (',"code":000', {"code": "000"}), (',', {}), (',"x":"a\\":-,:,}","rt":-', {"x": 'a":-,:,}'}),
])
def test_json_of_an_nginx_whose_numbers_have_no_quotes(more, wanted):
    assert_read(json.dumps(NGINX)[:-1] + more + "}", wanted)
    assert_read("  " + json.dumps(NGINX)[:-1] + more + " }", wanted)


def test_json_that_is_none_is_malformed():
    for line in ('{"status":200,"time":"2022-10-03T19:59:42Z","a":b}', json.dumps(NGINX)[:-1], json.dumps(NGINX) + "}", '{"a":-,', "[1]"):
        with pytest.raises(Malformed):
            read(line)


# ---- formats as they are pasted ----

NGINX_MAIN = """log_format  main  '$remote_addr - $remote_user [$time_local] "$request" '
                  '$status $body_bytes_sent "$http_referer" '
                  '"$http_user_agent" "$http_x_forwarded_for"';"""
NGINX_LINE = COMBINED % "1.2.3.4 - -" + ' "5.6.7.8"'
SHORT = f'1.2.3.4 {AT} "GET /a HTTP/1.1" 200 15'
APACHE = r'LogFormat "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"" combined'
APACHE_LINE = COMBINED % "1.2.3.4 - -"


@pytest.mark.parametrize("form, line", [
    (NGINX_MAIN, NGINX_LINE), (NGINX_MAIN + "\n\naccess_log /var/log/nginx/access.log main;\n", NGINX_LINE), ("http {\n    # how it is\n    " + NGINX_MAIN + " # so\n    sendfile on;\n}\n", NGINX_LINE),
    ("#log_format old '$status $msec';\n" + NGINX_MAIN, NGINX_LINE), (NGINX_MAIN.replace("log_format  main  ", "").strip(), NGINX_LINE), (NGINX_MAIN.replace("main", '"main"'), NGINX_LINE),
    (NGINX_MAIN.replace("main  ", ""), NGINX_LINE), (NGINX_MAIN[:-1], NGINX_LINE), (NGINX_MAIN.replace("main", "main escape=default").replace("\n", "\r\n"), NGINX_LINE),
    ("log_format m $remote_addr|$time_iso8601|$request_method|$uri|$server_protocol|$status|$body_bytes_sent;", "1.2.3.4|2022-10-03T21:59:42+02:00|GET|/a|HTTP/1.1|200|15"),
    ("log_format m '$remote_addr;$time_iso8601;$request;$status;$bytes_sent';", "1.2.3.4;2022-10-03T21:59:42+02:00;GET /a HTTP/1.1;200;15"),
    ("'$remote_addr [$time_local] \"$request\" $status $bytes_sent'", SHORT),
    ("log_format j escape=json '{\"t\":\"$time_iso8601\",' '\"ip\":\"$remote_addr\",'\n '\"r\":\"$request\",\"s\":$status,\"b\":$bytes_sent}';",
     '{"t":"2022-10-03T21:59:42+02:00","ip":"1.2.3.4","r":"GET /a HTTP/1.1","s":200,"b":15}'),
    (APACHE, APACHE_LINE), (APACHE + "\n", APACHE_LINE), ("    " + APACHE.replace("LogFormat", "logformat"), APACHE_LINE), (APACHE.replace(" combined", ' "combined"'), APACHE_LINE),
    (APACHE.replace(" combined", ""), APACHE_LINE), (APACHE.replace("LogFormat ", ""), APACHE_LINE), (APACHE.replace("LogFormat ", "").replace(" combined", ""), APACHE_LINE),
    (APACHE + "\nCustomLog ${APACHE_LOG_DIR}/access.log combined\n", APACHE_LINE), (APACHE.replace("LogFormat", "CustomLog logs/access.log").replace(" combined", " env=!no"), APACHE_LINE),
    ("<VirtualHost *>\n" + APACHE.replace("LogFormat", 'CustomLog "|/usr/bin/rotatelogs x" ').replace(" combined", "") + "\n</VirtualHost>", APACHE_LINE),
    (APACHE.replace("%t ", "%t \\\n"), APACHE_LINE), ("LogFormat '%h %t \"%r\" %>s %b' mine", SHORT), (r'LogFormat "%h %t \"%r\" %>s %b" mine', SHORT),
    ('"$remote_addr" "$time_iso8601" "$request" "$status" "$bytes_sent"', '"1.2.3.4" "2022-10-03T21:59:42+02:00" "GET /a HTTP/1.1" "200" "15"'),
    ('"$remote_addr","$time_iso8601","$request","$status","$bytes_sent"', '"1.2.3.4","2022-10-03T21:59:42+02:00","GET /a HTTP/1.1","200","15"'),
])
def test_formats_are_taken_as_they_are_pasted(form, line):
    assert_read(line, {}, form)


def test_of_several_formats_none_is_guessed():
    done = run(GOOD, "--format", NGINX_MAIN + "\nlog_format b '$time_iso8601 $status';")
    assert done.returncode == 2 and b"there are 2 formats in it" in done.stderr, done.stderr


@pytest.mark.parametrize("escape, written, path", [
    ("", r"/a\x5Cb", r"/a\b"), (" escape=default", r"/a\x22", '/a"'), (" escape=json", r"/a\\b\"\u0001\t", '/a\\b"\1\t'), (" escape=none", r"/a\b\x41", r"/a\b\x41"),
])
def test_nginx_says_how_it_escapes(escape, written, path):
    form = f"""log_format m{escape} '$remote_addr [$time_local] "$request" $status $bytes_sent';"""
    assert_read(SHORT.replace("/a", written), {"path": path}, form)


@pytest.mark.parametrize("form", [r'%h %l %u %t \"%r\" %>s %b', '$remote_addr - $remote_user [$time_local] "$request" $status $bytes_sent'])
def test_users_of_formats(form):
    for written, user in (("-", "-"), ("", "-"), ('""', "-"), ("bob", "bob"), ("john smith", "john smith"), (r"a\"b", 'a"b')):
        assert_read(COMMON % f"1.2.3.4 - {written}", {"user": user}, form)


@pytest.mark.parametrize("form, stamp", [
    ("[%{%d/%b/%Y:%T}t.%{msec_frac}t %{%z}t]", "[03/Oct/2022:21:59:42.123 +0200]"), ("%{%F}t %{%T}t %{%z}t", "2022-10-03 21:59:42 +0200"), ("%{%F}t|%{%T}t", "2022-10-03|19:59:42"),
    ("%{begin:%F %T}t %{end:%F %T}t", "2022-10-03 19:59:42 2022-10-03 20:00:01"), ("%{%F %T}t %{%F %T}t", "2022-10-03 19:59:42 2022-10-03 19:59:42"), ("%{sec}t.%{msec_frac}t", "1664827182.123"),
])
def test_a_time_in_parts_is_one_time(form, stamp):
    assert_read(SHORT.replace(AT, stamp), {}, f'%h {form} "%r" %>s %b')


def test_headers_in_any_case():
    assert_read(COMBINED % "1.2.3.4 - -", {"referrer": "-", "agent": "Moz"}, '%h %l %u %t "%r" %>s %b "%{referer}i" "%{USER-AGENT}i"')
    assert_read(COMMON % "1.2.3.4, 5.6.7.8 - -", {"X-Forwarded-For": "1.2.3.4, 5.6.7.8"}, '%{X-Forwarded-For}i %l %u %t "%r" %>s %b')


def test_a_time_that_says_one_thing_twice_is_refused():
    done = run(GOOD, "--format", "%{%F %Y}t %h %>s")
    assert done.returncode == 2 and b"it says one thing twice" in done.stderr, done.stderr
