#!/usr/bin/env python3
"""Clients that we did not write: curl, wrk, hey, nginx in front; HTTP/1.0, IPv6, a Unix socket. One that is not
installed is skipped by name."""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile

import supportpath  # noqa: F401  (puts the shared modules on the path)
from report import Report, Skip, arguments, one_line, wait_until
from serverutil import (
    Gateway,
    die_with_parent,
    free_port,
    github_headers,
    github_source,
    open_source,
    read_answer,
    request,
)


def tool(name):
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if not found:
        raise Skip(f"{name} is not installed")
    return found


def run(*command, timeout=60, stdin=None):
    done = subprocess.run(command, capture_output=True, timeout=timeout, input=stdin)
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def signed_curl(curl, url, body, *flags, secret="test-secret"):
    headers = github_headers(body, secret)
    command = [curl, "-sS", "-w", "\n%{http_code}", "--data-binary", "@-", *flags]
    for key, value in headers.items():
        command += ["-H", f"{key}: {value}"]
    status, out, error = run(*command, url, stdin=body)
    assert status == 0, f"curl: {error}"
    text, _, code = out.rpartition("\n")
    return int(code), json.loads(text)


def curl_cases(report, gateway, unix_path, v6_port):
    url = f"http://127.0.0.1:{gateway.port}/in/github"
    with report.case("curl posts a signed event"):
        code, answer = signed_curl(tool("curl"), url, b'{"zen":"curl"}')
        assert code in (200, 202) and answer["status"] == "accepted" and answer["id"].startswith("evt_"), (
            code,
            answer,
        )
    with report.case("curl posts 900 KiB with Expect: 100-continue"):
        body = b'{"pad":"' + b"x" * 900_000 + b'"}'
        code, answer = signed_curl(tool("curl"), url, body, "-H", "Expect: 100-continue")
        assert code in (200, 202) and answer["status"] == "accepted", (code, answer)
    with report.case("curl posts chunked"):
        code, answer = signed_curl(tool("curl"), url, b'{"zen":"chunked"}' * 5000, "-H", "Transfer-Encoding: chunked")
        assert code in (200, 202) and answer["status"] == "accepted", (code, answer)
    with report.case("curl over HTTP/1.0"):
        code, answer = signed_curl(tool("curl"), url, b'{"zen":"one oh"}', "--http1.0")
        assert code in (200, 202) and answer["status"] == "accepted", (code, answer)
    with report.case("curl twice: the second is a duplicate of the first"):
        body = b'{"zen":"twice"}'
        headers = github_headers(body, delivery="11111111-2222-3333-4444-555555555555")
        first = gateway.post("/in/github", body, headers)
        second = gateway.post("/in/github", body, headers)
        one, two = json.loads(first[2]), json.loads(second[2])
        assert first[0] == second[0], (first[0], second[0])
        assert one["status"] == "accepted" and two["status"] == "duplicate" and one["id"] == two["id"], (one, two)
    with report.case("curl over IPv6"):
        if v6_port is None:
            raise Skip("no IPv6 here")
        code, answer = signed_curl(tool("curl"), f"http://[::1]:{v6_port}/in/github", b'{"zen":"six"}')
        assert code in (200, 202), (code, answer)
    with report.case("curl over a Unix socket"):
        code, answer = signed_curl(
            tool("curl"), "http://localhost/in/github", b'{"zen":"unix"}', "--unix-socket", unix_path
        )
        assert code in (200, 202), (code, answer)
    with report.case("curl: HEAD, unknown path, wrong method"):
        assert request(gateway.port, "/nowhere", b"{}", method="POST")[0] == 404
        status, headers, _ = request(gateway.port, "/in/github", method="GET")
        assert status == 405 and "POST" in headers.get("allow", ""), (status, headers)
        status, _, body = request(gateway.port, "/in/github", method="HEAD")
        assert status == 405 and body == b"", (status, body)


def load_tools(report, gateway):
    url = f"http://127.0.0.1:{gateway.port}/in/test"
    with report.case("wrk, 64 connections, 3 s") as notes:
        wrk = tool("wrk")
        script = os.path.join(gateway.folder, "post.lua")
        with open(script, "w") as file:
            file.write(
                "local n = 0\nfunction request()\n  n = n + 1\n"
                '  return wrk.format("POST", nil, nil, "{\\"n\\":" .. n .. "}")\n'
                "end\n"
            )
        status, out, error = run(wrk, "-t1", "-c64", "-d3s", "-s", script, url)
        assert status == 0, error
        assert "Non-2xx" not in out and "Socket errors" not in out, one_line(out)
        notes.append(re.search(r"Requests/sec:\s+\S+", out)[0])
    with report.case("hey, 32 connections, 20,000 requests") as notes:
        status, out, error = run(tool("hey"), "-n", "20000", "-c", "32", "-m", "POST", "-d", '{"from":"hey"}', url)
        assert status == 0, error
        codes = re.findall(r"\[(\d+)\]\s+(\d+) responses", out)
        assert codes == [("202", "20000")] and "Error distribution" not in out, one_line(out)
        notes.append(re.search(r"Requests/sec:\s+\S+", out)[0])
    with report.case("1,000 requests pipelined in one write"):
        with gateway.connect() as s:
            one = b"POST /in/test HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n%08d"
            s.sendall(b"".join(one % number for number in range(1000)))
            rest = b""
            for number in range(1000):
                status, _, _, rest = read_answer(s, rest)
                assert status == 202, f"answer {number}: {status}"
    with report.case("HTTP/1.0 without keep-alive closes, with it stays"):
        with gateway.connect() as s:
            s.sendall(b"POST /in/test HTTP/1.0\r\nContent-Length: 3\r\n\r\none")
            status, _, _, rest = read_answer(s)
            assert status == 202 and rest + s.recv(10) == b"", status


NGINX = """daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.err;
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream gateway {{ server 127.0.0.1:{upstream}; keepalive 32; }}
  server {{ listen 127.0.0.1:{port}; client_max_body_size 2m;
    location / {{ proxy_pass http://gateway; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    location /unbuffered/ {{ proxy_pass http://gateway/; proxy_http_version 1.1; proxy_request_buffering off; }} }}
}}
"""


def behind_nginx(report, gateway):
    with report.case("nginx in front: signed events, keep-alive, chunked, load") as notes:
        nginx, folder, port = tool("nginx"), tempfile.mkdtemp(prefix="sluice-nginx-"), free_port()
        config = os.path.join(folder, "nginx.conf")
        with open(config, "w") as file:
            file.write(NGINX.format(folder=folder, upstream=gateway.port, port=port))
        os.chmod(folder, 0o777)
        process = subprocess.Popen(
            [nginx, "-p", folder, "-e", folder + "/start.err", "-c", config],
            preexec_fn=die_with_parent,
            stderr=subprocess.DEVNULL,
        )
        try:

            def listens():
                try:
                    socket.create_connection(("127.0.0.1", port), 0.2).close()
                    return True
                except OSError:
                    assert process.poll() is None, "nginx ended: " + one_line(open(folder + "/start.err").read())
                    return False

            wait_until(listens, 10, "nginx listening")
            for number in range(200):
                body = b'{"n":%d}' % number
                assert request(port, "/in/github", body, github_headers(body), "POST")[0] in (200, 202)
            code, answer = signed_curl(
                tool("curl"),
                f"http://127.0.0.1:{port}/unbuffered/in/github",
                b'{"a":1}' * 3000,
                "-H",
                "Transfer-Encoding: chunked",
            )
            assert code in (200, 202), (code, answer)
            big = b"x" * (1 << 20)
            assert request(port, "/in/test", big, method="POST")[0] == 202
            status, out, _ = run(tool("wrk"), "-t1", "-c32", "-d2s", f"http://127.0.0.1:{port}/in/test")
            assert status == 0 and "Socket errors" not in out, one_line(out)
            notes.append(re.search(r"Requests/sec:\s+\S+", out)[0])
        finally:
            process.terminate()
            process.wait(10)
            shutil.rmtree(folder, ignore_errors=True)


def has_v6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def main():
    arguments(__doc__)
    report = Report("tools")
    folder = tempfile.mkdtemp(prefix="sluice-tools-")
    unix_path = os.path.join(folder, "ingest.sock")
    v6_port = free_port("::1") if has_v6() else None
    listen = [f"unix:{unix_path}"] + ([f"[::1]:{v6_port}"] if v6_port else [])
    try:
        # A POST without a body is what `wrk` sends by default; the open source takes it.
        with Gateway([github_source(), open_source()], listen=listen) as gateway:
            curl_cases(report, gateway, unix_path, v6_port)
            load_tools(report, gateway)
            behind_nginx(report, gateway)
            with report.case("the gateway is still well"):
                assert gateway.process.poll() is None
                assert gateway.post("/in/test", b"after the tools")[0] == 202
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.finish()


if __name__ == "__main__":
    main()
