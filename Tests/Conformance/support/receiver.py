"""An HTTP endpoint to deliver to, whose behaviour a test scripts: what it got, when, and what it answers.

It is written apart from Sluice's own client and sink on purpose: an error both shared would hide."""

import socket
import socketserver
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler


class Delivery:
    """One request that arrived."""

    def __init__(self, path, headers, body):
        self.path, self.headers, self.body, self.at = path, headers, body, time.monotonic()

    @property
    def id(self):
        return self.headers.get("webhook-id", "")


class Reset(Exception):
    """Raised by a script: the connection is cut with RST instead of an answer."""


class Receiver:
    """`script(delivery, number)` gives the status, or (status, headers), or bytes that are sent as they are before
    the connection is closed, may sleep, may raise Reset; the default is 204. With `tls`, an ssl.SSLContext, it speaks
    HTTPS; `resumed` counts sessions that went on with an earlier one. Without `keeps` it forgets what it got, which its
    script remembers then: for runs whose deliveries are too many."""

    def __init__(self, script=None, host="127.0.0.1", tls=None, port=0, keeps=True):
        self.script, self.keeps, self.number = script or (lambda delivery, number: 204), keeps, 0
        self.deliveries, self.lock = [], threading.Lock()
        self.active, self.active_max = 0, 0
        self.connections = self.resumed = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = 65536

            def setup(self):
                with receiver.lock:
                    receiver.connections += 1
                if tls:
                    self.request = tls.wrap_socket(self.request, server_side=True)
                    with receiver.lock:
                        receiver.resumed += self.request.session_reused
                super().setup()

            def do_POST(self):
                receiver.handle(self)

            def log_message(self, *arguments):
                pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 1024
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

            def handle_error(self, request, address):
                pass

        self.server = Server((host, port), Handler)
        self.port = self.server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://{'[' + host + ']' if ':' in host else host}:{self.port}/hooks"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def handle(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        headers = {}
        for key, value in request.headers.items():
            headers[key.lower()] = headers[key.lower()] + ", " + value if key.lower() in headers else value
        delivery = Delivery(request.path, headers, body)
        with self.lock:
            if self.keeps:
                self.deliveries.append(delivery)
            self.number += 1
            number = self.number
            self.active += 1
            self.active_max = max(self.active_max, self.active)
        try:
            answer = self.script(delivery, number)
        except Reset:
            request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.close_connection = True
            request.connection.close()
            return
        finally:
            with self.lock:
                self.active -= 1
        if isinstance(answer, bytes):
            request.close_connection = True
            request.wfile.write(answer)
            request.wfile.flush()
            return
        status, extra = answer if isinstance(answer, tuple) else (answer, {})
        request.send_response(status)
        for key, value in extra.items():
            request.send_header(key, value)
        if status not in (204, 304):
            request.send_header("Content-Length", "0")
        request.end_headers()
        request.wfile.flush()

    def count(self):
        with self.lock:
            return self.number

    def snapshot(self):
        with self.lock:
            return list(self.deliveries)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()
