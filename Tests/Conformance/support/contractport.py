"""Requests in the contract's envelope to the ingest port, and the source there that takes them."""

import json
import socket
import time
import uuid

from contractclient import signature
from serverutil import read_answer, request

SECRET = "a-secret-of-the-source"
PATH = "/in/edge"
EVENT = {"source": "scanner", "category": "security", "severity": "high", "event_type": "image.scanned"}


def envelope(tenant, body, secret=SECRET, **more):
    mine, stamp = str(uuid.uuid4()), str(int(time.time()))
    fields = {
        "X-Zen-Contract-Version": "v1alpha1", "X-Tenant-Id": tenant, "X-Request-Id": mine, "X-Timestamp": stamp,
        "X-Signature": signature(secret, mine, stamp, body), "Content-Type": "application/json",
    }
    return {name: value for name, value in {**fields, **more}.items() if value is not None}


def raw(path, fields, body):
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body


def exchange(port, data, pause=None):
    """Sends it whole, or in two parts; status, header fields, JSON."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        if pause is None:
            s.sendall(data)
        else:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.sendall(data[:pause])
            time.sleep(0.001)  # so that the two parts are two reads
            s.sendall(data[pause:])
        status, head, body, _ = read_answer(s)
    lines = [line.split(":", 1) for line in head.decode("latin-1").split("\r\n")[1:] if ":" in line]
    return status, {name.strip().lower(): value.strip() for name, value in lines}, json.loads(body)


def edge_source(**more):
    return {"name": "edge", "provider": "contract", "secrets": [SECRET], **more}


def default_tenant(gateway):
    status, _, text = request(gateway.admin_port, "/api/v1/tenants")
    assert status == 200, text
    items = json.loads(text)["items"]
    return next(one["tenant_id"] for one in items if one["name"] == "default")
