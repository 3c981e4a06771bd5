"""Endpoints that take connections and never answer: what a hung service looks like from outside.

One thread and one listening socket stand for any number of them. What comes is read and dropped, so that a large body
is out with the endpoint as a whole and only its answer is missing."""

import selectors
import socket
import threading


class SilentSink:
    """`connections` counts those that were taken, `received` the bytes that came."""

    def __init__(self, host="127.0.0.1"):
        self.listener = socket.create_server((host, 0), backlog=4096)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.connections, self.received = 0, 0
        self.selector = selectors.DefaultSelector()
        self.waker, self.woken = socket.socketpair()
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def url(self, name):
        """One of the endpoints; they differ in nothing but this."""
        return f"http://127.0.0.1:{self.port}/{name}"

    def serve(self):
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(self.woken, selectors.EVENT_READ)
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.woken:
                    return
                if key.fileobj is self.listener:
                    self.accept()
                else:
                    self.read(key.fileobj)

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.setblocking(False)
            self.selector.register(connection, selectors.EVENT_READ)

    def read(self, connection):
        try:
            data = connection.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.received += len(data)
        if not data:
            self.selector.unregister(connection)
            connection.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.waker.send(b"x")
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.waker.close()
        self.selector.close()


class DeafSink:
    """Listens and takes no connection; the kernel completes the handshake for it, and that is all that happens."""

    def __init__(self, host="127.0.0.1"):
        self.listener = socket.create_server((host, 0), backlog=4096)
        self.port = self.listener.getsockname()[1]

    def url(self, name):
        return f"http://127.0.0.1:{self.port}/{name}"

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.listener.close()
