#!/usr/bin/env python3
"""What stands in front of Sluice, through the port: challenges of each kind, PROXY preambles of both versions at each
split, signatures over the public URL behind proxies that are trusted and that are not, address lists.

The proxy is a raw socket, so that what it sends is exactly what the case says; where there is an nginx it is a proxy
once, too."""

import base64
import hashlib
import hmac
import json
import os
import shutil
import socket
import struct
import subprocess
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
from report import Report, Skip, arguments, wait_until
from serverutil import Gateway, die_with_parent, free_port, open_source, read_answer, sluice
from storeutil import events_in_log

SECRET = "edge-secret-0123456789"
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
LINE = b"PROXY TCP4 203.0.113.9 198.51.100.1 4711 80\r\n"


def mac(message, digest=hashlib.sha256):
    return hmac.new(SECRET.encode(), message, digest).digest()


def exchange(gateway, data, port=None, split=None, local=None):
    """Sends it whole, or in two parts, and reads one answer; status None when the connection was closed without."""
    if local:
        s = socket.socket(socket.AF_UNIX)
        s.connect(local)
    else:
        s = socket.create_connection(("127.0.0.1", port or gateway.port), timeout=10)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with s:
        try:
            if split is None:
                s.sendall(data)
            else:
                s.sendall(data[:split])
                time.sleep(0.003)  # so that the two halves are two reads; nothing outside shows that the first was read
                s.sendall(data[split:])
            status, head, body, _ = read_answer(s)
        except (ConnectionResetError, BrokenPipeError):
            return None, {}, b""
    lines = [line.split(":", 1) for line in head.decode("latin-1").split("\r\n")[1:] if ":" in line]
    return status, {name.strip().lower(): value.strip() for name, value in lines}, body


def raw(method, target, fields=(), body=b"", host="inner.example"):
    head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
    if body or method in ("POST", "PUT"):
        head += f"Content-Length: {len(body)}\r\n"
    return (head + "".join(f"{name}: {value}\r\n" for name, value in fields) + "\r\n").encode() + body


def reason(body):
    return json.loads(body)["reason"]


def answered(gateway, data, status, code=None, **more):
    got, head, body = exchange(gateway, data, **more)
    assert got == status, f"{got} {body[:80]!r}, want {status}"
    if code:
        assert reason(body) == code, f"{reason(body)}, want {code}"
    return head, body


# challenges


def challenge_sources():
    return [
        {"name": "meta", "provider": "meta", "secrets": [SECRET], "verify_token": "to+ken"},
        {"name": "x", "provider": "x", "secrets": [SECRET]},
        {"name": "dropbox", "provider": "dropbox", "secrets": [SECRET]},
        {
            "name": "cloudevents",
            "provider": "cloudevents",
            "secrets": [SECRET],
            "allowed_origins": ["events.example"],
        },
        {"name": "intercom", "provider": "intercom", "secrets": [SECRET]},
        {"name": "slack", "provider": "slack", "secrets": [SECRET]},
        {"name": "falco", "provider": "falcosidekick", "secrets": [SECRET]},
        open_source("open"),
    ]


def meta(gateway):
    def ask(query, status, code=None):
        return answered(gateway, raw("GET", f"/in/meta?{query}"), status, code)

    good = "hub.mode=subscribe&hub.verify_token=to%2Bken&hub.challenge=1158201444"
    head, body = ask(good, 200)
    assert body == b"1158201444" and head["content-type"].startswith("text/plain"), (head, body)
    ask(good.replace("to%2Bken", "to%2Bkem"), 403, "verify_token_mismatch")
    ask(good.replace("to%2Bken", ""), 403, "verify_token_mismatch")
    ask(good.replace("subscribe", "unsubscribe"), 403, "malformed_challenge")
    ask("hub.mode=subscribe&hub.verify_token=to%2Bken", 403, "missing_challenge")
    head, body = ask(good.replace("1158201444", "a%0D%0ASet-Cookie:%20x"), 403, "malformed_challenge")
    assert "set-cookie" not in head and b"Cookie" not in body


def x(gateway):
    head, body = answered(gateway, raw("GET", "/in/x?crc_token=abc-DEF_123"), 200)
    wanted = "sha256=" + base64.b64encode(mac(b"abc-DEF_123")).decode()
    assert json.loads(body) == {"response_token": wanted} and head["content-type"] == "application/json"
    for token in ("%7B%22a%22%3A1%7D", "a.b", "a%20b", "a" * 129, "%C3%A9"):
        answered(gateway, raw("GET", f"/in/x?crc_token={token}"), 400, "challenge_not_opaque")
    answered(gateway, raw("GET", "/in/x"), 400, "missing_challenge")


def dropbox(gateway):
    head, body = answered(gateway, raw("GET", "/in/dropbox?challenge=%3Cscript%3Ealert(1)%3C%2Fscript%3E"), 200)
    assert body == b"<script>alert(1)</script>" and head["content-type"].startswith("text/plain"), (head, body)
    assert head["x-content-type-options"] == "nosniff"
    answered(gateway, raw("GET", "/in/dropbox?challenge="), 400, "missing_challenge")
    for value in ("%00", "a%0D%0A%0D%0AHTTP/1.1%20200%20OK", "%E2%98%83", "x" * 3000):
        status, head, body = exchange(gateway, raw("GET", f"/in/dropbox?challenge={value}"))
        assert status == 400, (value, status, body[:80])


def cloudevents(gateway):
    def ask(fields, status, code=None):
        return answered(gateway, raw("OPTIONS", "/in/cloudevents", fields), status, code)

    head, _ = ask([("WebHook-Request-Origin", "Events.Example"), ("WebHook-Request-Rate", "120")], 200)
    assert head["webhook-allowed-origin"] == "Events.Example" and head["webhook-allowed-rate"] == "*", head
    assert "POST" in head["allow"]
    assert "webhook-allowed-rate" not in ask([("WebHook-Request-Origin", "events.example")], 200)[0]
    for fields, code in (
        ([], "missing_header"),
        ([("WebHook-Request-Origin", "evil.example")], "origin_not_allowed"),
        ([("WebHook-Request-Origin", "events.example, evil.example")], "malformed_challenge"),
    ):
        head, body = exchange(gateway, raw("OPTIONS", "/in/cloudevents", fields))[1:]
        assert "webhook-allowed-origin" not in head and reason(body) == code, (fields, head, body)


def intercom(gateway):
    head, body = answered(gateway, raw("HEAD", "/in/intercom"), 200)
    assert body == b""


def slack(gateway):
    body = b'{"type":"url_verification","challenge":"3eZbrw1aBm2rZgRN"}'
    now = str(int(time.time()))
    good = "v0=" + mac(f"v0:{now}:".encode() + body).hex()
    fields = [("X-Slack-Request-Timestamp", now), ("X-Slack-Signature", good)]
    _, answer = answered(gateway, raw("POST", "/in/slack", fields, body), 200)
    assert json.loads(answer) == {"challenge": "3eZbrw1aBm2rZgRN"}
    fields[1] = ("X-Slack-Signature", "v0=" + "0" * 64)
    answered(gateway, raw("POST", "/in/slack", fields, body), 401, "signature_mismatch")


def methods(gateway):
    """`Allow` names what a source takes; what it does not take is 405 as before."""
    for path, method, allow in (
        ("open", "GET", {"POST"}),
        ("meta", "PUT", {"GET", "POST"}),
        ("cloudevents", "GET", {"OPTIONS", "POST"}),
        ("intercom", "DELETE", {"HEAD", "POST"}),
        ("falco", "GET", {"POST", "PUT"}),
    ):
        head, _ = answered(gateway, raw(method, f"/in/{path}"), 405, "method_not_allowed")
        assert set(head["allow"].split(", ")) == allow, (path, head["allow"])


def not_in_log(gateway):
    handshakes = gateway.metric_sum("sluice_events_total", outcome="handshake")
    assert handshakes >= 6, handshakes
    assert gateway.metric_sum("sluice_events_total", outcome="accepted") == 0
    assert events_in_log(gateway) == []


# preambles


def binary(command, family, payload):
    return SIGNATURE + struct.pack("!BBH", command, family, len(payload)) + payload


def v4(port=80, source="203.0.113.9"):
    return socket.inet_aton(source) + socket.inet_aton("198.51.100.1") + struct.pack("!HH", 4711, port)


def v6(source="2001:db8::9"):
    ends = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, "::1")
    return ends + struct.pack("!HH", 4711, 80)


def preambles(gateway):
    post = raw("POST", "/in/near", body=b"1")
    for preamble in (LINE, binary(0x21, 0x11, v4()), binary(0x21, 0x21, v6())):
        answered(gateway, preamble + post, 202)
        answered(gateway, preamble + raw("POST", "/in/far", body=b"2"), 403, "address_not_allowed")
        for split in range(1, len(preamble) + 20):
            answered(gateway, preamble + post, 202, split=split)
    # LOCAL and UNKNOWN: the peer itself, which is the loopback.
    for preamble in (binary(0x20, 0, b""), b"PROXY UNKNOWN\r\n"):
        answered(gateway, preamble + raw("POST", "/in/far", body=b"3"), 202)
        answered(gateway, preamble + post, 403, "address_not_allowed")


def one_preamble_a_connection(gateway):
    with gateway.connect() as s:
        for number in range(3):
            data = b"POST /in/near HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n%d" % number
            s.sendall((LINE if number == 0 else b"") + data)
            status, _, _, _ = read_answer(s)
            assert status in (200, 202), status
        s.sendall(LINE)
        assert read_answer(s)[0] == 400


def no_preamble(gateway):
    before = gateway.metric_sum("sluice_events_total", outcome="accepted")
    for data in (
        raw("POST", "/in/near", body=b"1"),
        b"PROXY TCP4 203.0.113.9 198.51.100.1 4711\r\n" + raw("POST", "/in/near", body=b"1"),
        b"PROXY " + b"x" * 200,
        SIGNATURE + b"\x21\x11\xff\xff" + b"\x00" * 4000,
        SIGNATURE[:-1] + b"X" * 30,
    ):
        status, _, body = exchange(gateway, data)
        assert status is None, f"answered {status} {body[:60]!r} to {data[:40]!r}"
    assert gateway.metric_sum("sluice_events_total", outcome="accepted") == before


def slow_preamble(gateway):
    with gateway.connect() as s:
        started = time.monotonic()
        s.sendall(LINE[:10])
        s.settimeout(10)
        assert s.recv(100) == b"", "answered"
        assert 0.5 < time.monotonic() - started < 6, time.monotonic() - started


# the public URL and the client


def square(url, body):
    return [("x-square-hmacsha256-signature", base64.b64encode(mac(url.encode() + body)).decode())]


def twilio(url, form):
    signed = url + "".join(name + value for name, value in sorted(form.items()))
    return [
        ("X-Twilio-Signature", base64.b64encode(mac(signed.encode(), hashlib.sha1)).decode()),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ]


PROXIED = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "hooks.example")]
STANDARD = [("Forwarded", 'for=203.0.113.9;proto=https;host="hooks.example"')]


def number():
    number.last += 1
    return json.dumps({"event_id": f"e{number.last}"}).encode()


number.last = 0


def behind_trusted(gateway):
    for proxied in (PROXIED, STANDARD):
        body = number()
        answered(
            gateway, raw("POST", "/in/square", proxied + square("https://hooks.example/in/square", body), body), 200
        )
        body = number()
        inner = square("http://inner.example/in/square", body)
        answered(gateway, raw("POST", "/in/square", proxied + inner, body), 401, "signature_mismatch")
        form = {"From": "+1", "Body": f"a{number.last}"}
        fields = proxied + twilio("https://hooks.example/in/twilio?x=1", form)
        encoded = f"From=%2B1&Body=a{number.last}".encode()
        status, _, answer = exchange(gateway, raw("POST", "/in/twilio?x=1", fields, encoded))
        assert status in (200, 202, 204), (status, answer)
    # Nobody in between: the request's own host.
    body = number()
    answered(gateway, raw("POST", "/in/square", square("http://inner.example/in/square", body), body), 200)
    # Its own public URL stands above all.
    body = number()
    own = square("https://own.example:8443/in/own", body)
    answered(gateway, raw("POST", "/in/own", PROXIED + own, body), 200)


def behind_untrusted(gateway):
    for proxied in (PROXIED, STANDARD):
        body = number()
        outer = square("https://hooks.example/in/square", body)
        answered(gateway, raw("POST", "/in/square", proxied + outer, body), 401, "signature_mismatch")
        body = number()
        inner = square("http://inner.example/in/square", body)
        answered(gateway, raw("POST", "/in/square", proxied + inner, body), 200)
        answered(gateway, raw("POST", "/in/near", proxied, b"{}"), 403, "address_not_allowed")


def addresses(gateway):
    def post(fields, status, path="near"):
        code = "address_not_allowed" if status == 403 else None
        return answered(gateway, raw("POST", f"/in/{path}", fields, number()), status, code)

    post([("X-Forwarded-For", "203.0.113.9")], 202)
    post([("X-Forwarded-For", "1.1.1.1, 203.0.113.9, 127.0.0.5")], 202)
    post([("Forwarded", "for=203.0.113.9:4711")], 202)
    post([("Forwarded", 'for="[2001:db8::7]:80"')], 202)
    for fields in (
        [],
        [("X-Forwarded-For", "203.0.114.9")],
        [("X-Forwarded-For", "203.0.113.9, 198.51.100.1")],
        [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-For", "198.51.100.1")],
        [("X-Forwarded-For", "unknown")],
        [("Forwarded", "for=203.0.113.9, for=198.51.100.1")],
        # A client's `Forwarded` through a proxy that writes only the other kind, and the reverse.
        [("Forwarded", "for=203.0.113.9"), ("X-Forwarded-For", "198.51.100.1")],
        [("Forwarded", "for=198.51.100.1"), ("X-Forwarded-For", "203.0.113.9")],
    ):
        post(fields, 403)
    post([("X-Forwarded-For", "198.51.100.1")], 202, path="open")
    counted = gateway.metric_sum("sluice_rejections_total", reason="address_not_allowed")
    counted = counted or sum(v for k, v in gateway.metrics().items() if 'reason="address_not_allowed"' in k)
    assert counted >= 8, counted
    # What is kept of them names the client, not the proxy; None is one that nobody named.
    wanted = {"203.0.114.9", "198.51.100.1", "127.0.0.1", None}

    def peers():
        rows = gateway.api("/api/rejected?source=near&reason=address_not_allowed&limit=100")["rejected"]
        return {row.get("peer") for row in rows}

    wait_until(lambda: wanted <= peers(), 10, lambda: f"{peers()}, want {wanted}")


def local_socket(gateway, path):
    answered(gateway, raw("POST", "/in/near", [("X-Forwarded-For", "203.0.113.9")], number()), 202, local=path)
    answered(gateway, raw("POST", "/in/near", [], number()), 403, "address_not_allowed", local=path)


def through_nginx(gateway, folder):
    binary_path = shutil.which("nginx") or "/usr/sbin/nginx"
    if not os.path.exists(binary_path):
        raise Skip("no nginx")
    port = free_port()
    config = os.path.join(folder, "nginx.conf")
    with open(config, "w") as file:
        file.write(
            f"daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;\n"
            "events {}\nhttp { access_log off; client_body_temp_path %s/nb; proxy_temp_path %s/np;\n"
            "fastcgi_temp_path %s/nf; uwsgi_temp_path %s/nu; scgi_temp_path %s/ns;\n" % ((folder,) * 5)
            + f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{gateway.port};\n"
            "proxy_set_header Host inner; proxy_set_header X-Forwarded-Host $http_host;\n"
            "proxy_set_header X-Forwarded-Proto https; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n"
            "} } }\n"
        )
    process = subprocess.Popen(
        [binary_path, "-p", folder, "-c", config],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )
    try:

        def is_up():
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return True
            except OSError:
                return False

        wait_until(is_up, 10, "nginx does not listen")
        body = number()
        fields = square("https://hooks.example/in/square", body)
        answered(gateway, raw("POST", "/in/square", fields, body, host="hooks.example"), 200, port=port)
        # A client that pretends: its own words stand left of what nginx adds, which is the loopback, trusted too.
        lies = [("X-Forwarded-Proto", "http"), ("X-Forwarded-Host", "evil.example"), ("Forwarded", "for=203.0.113.9")]
        body = number()
        fields = lies[:2] + square("https://hooks.example/in/square", body)
        answered(gateway, raw("POST", "/in/square", fields, body, host="hooks.example"), 200, port=port)
        answered(gateway, raw("POST", "/in/near", lies[2:], b"{}"), 403, "address_not_allowed", port=port)
    finally:
        process.kill()
        process.wait()


def bad_configuration(gateway):
    """Each mistake stops the start, at its line."""
    cases = [
        ({"trusted_proxies": ["10.0.0.1/8"]}, {}, "trusted_proxies"),
        ({"public_url": "hooks.example"}, {}, "public_url"),
        ({"public_url": "https://h.example/path?query"}, {}, "public_url"),
        ({"proxy_protocol": "maybe"}, {}, "proxy_protocol"),
        ({}, {"allow_addresses": ["203.0.113.300"]}, "allow_addresses"),
        ({}, {"allow_addresses": "provider"}, "allow_addresses"),
        ({}, {"public_url": "ftp://h"}, "public_url"),
    ]
    path = os.path.join(gateway.folder, "bad.yaml")
    for top, source, wanted in cases:
        config = {"listen": ["127.0.0.1:0"], "data": gateway.folder, **top, "sources": [open_source("a", **source)]}
        with open(path, "w") as file:
            json.dump(config, file, indent=1)
        done = sluice("config", "check", path)
        said = done.stdout + done.stderr
        assert done.returncode != 0 and wanted in said, f"{top or source}: {done.returncode} {said[-200:]}"


def proxied_sources():
    return [
        {"name": "square", "provider": "square", "secrets": [SECRET]},
        {"name": "own", "provider": "square", "secrets": [SECRET], "public_url": "https://own.example:8443"},
        {"name": "twilio", "provider": "twilio", "secrets": [SECRET]},
        open_source("near", allow_addresses=["203.0.113.0/24", "2001:db8::/32"]),
        open_source("open"),
    ]


def main():
    arguments(__doc__)
    report = Report("edge")
    with Gateway(challenge_sources()) as gateway:
        for case in (meta, x, dropbox, cloudevents, intercom, slack, methods, not_in_log):
            with report.case(f"challenge: {case.__name__}"):
                case(gateway)
    near = open_source("near", allow_addresses=["203.0.113.0/24", "2001:db8::/32"])
    far = open_source("far", allow_addresses=["127.0.0.0/8"])
    settings = {"proxy_protocol": True, "trusted_proxies": ["127.0.0.0/8"]}
    with Gateway([near, far], limits={"head_time": "1s"}, dedup={"window": "0s"}, **settings) as gateway:
        for case in (preambles, one_preamble_a_connection, no_preamble, slow_preamble):
            with report.case(f"PROXY: {case.__name__}"):
                case(gateway)
    with Gateway([far], proxy_protocol=True, trusted_proxies=["192.0.2.0/24"]) as gateway:
        with report.case("PROXY: only from a trusted peer"):
            status, _, _ = exchange(gateway, LINE + raw("POST", "/in/far", body=b"1"))
            assert status is None, status
    with Gateway(proxied_sources(), trusted_proxies=["127.0.0.0/8", "unix"], listen=[]) as gateway:
        for case in (behind_trusted, addresses, bad_configuration):
            with report.case(f"proxies: {case.__name__}"):
                case(gateway)
        with report.case("proxies: nginx"):
            through_nginx(gateway, gateway.folder)
    folder = Gateway([far])
    path = os.path.join(folder.folder, "s")
    with Gateway(proxied_sources(), trusted_proxies=["unix"], listen=[f"unix:{path}"]) as gateway:
        with report.case("proxies: a local socket"):
            local_socket(gateway, path)
        with report.case("proxies: behind_untrusted"):
            behind_untrusted(gateway)
    folder.discard()
    report.finish()


if __name__ == "__main__":
    main()
