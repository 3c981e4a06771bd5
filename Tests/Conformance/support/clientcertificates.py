"""Clients that show certificates, and the authorities that signed them: good, revoked, expired and foreign ones. Needs
PyPI's cryptography."""

import http.client
import json
import os
import ssl

from certificates import CLIENT, SERVER, make, revocations


class Certificates:
    """Authorities of clients, a server's certificate, and what clients show."""

    def __init__(self, folder):
        self.folder = folder
        root, clients, strangers = (make(name, authority=True) for name in ("Root", "Clients", "Strangers"))
        self.clients, self.root_authority = clients, root
        self.server = make("server", root, names=["localhost", "127.0.0.1"], purposes=[SERVER]).write(folder, "server")
        self.authority_pem, self.strangers_pem = clients.pem, strangers.pem
        self.root, self.authority = self.file("root.pem", root.pem), self.file("clients.pem", clients.pem)
        shown = {
            "good": make("scanner", clients, names=["scanner.test"], purposes=[CLIENT]),
            "other": make("other", clients, names=["scanner.test"], purposes=[CLIENT]),
            "revoked": make("revoked", clients, names=["scanner.test"], purposes=[CLIENT]),
            "expired": make("expired", clients, names=["scanner.test"], purposes=[CLIENT], begins=-9, ends=-1),
            "foreign": make("foreign", strangers, names=["scanner.test"], purposes=[CLIENT]),
        }
        self.shown = {name: one.write(folder, name) for name, one in shown.items()}
        self.one_revoked = revocations(clients, [shown["revoked"]])
        self.two_revoked = revocations(clients, [shown["revoked"], shown["good"]])
        self.lists = self.file("lists.pem", self.one_revoked)

    def file(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def context(self, name=None, session_of=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.root)
        if name:
            context.load_cert_chain(*self.shown[name])
        return context

    def ask(self, port, path, body, fields, name=None):
        """Status and JSON, nil where it is none (nginx's own pages); nil twice when the handshake fails, or the
        connection ends without an answer."""
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=self.context(name))
        try:
            connection.request("POST", path, body, fields)
            answer = connection.getresponse()
            text = answer.read()
            is_json = (answer.headers["Content-Type"] or "").startswith("application/json")
            return answer.status, json.loads(text) if is_json else None
        except (ssl.SSLError, ConnectionError, http.client.RemoteDisconnected):
            return None, None
        finally:
            connection.close()
