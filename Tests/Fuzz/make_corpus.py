#!/usr/bin/env python3
"""Makes the seeds of the fuzzed targets' corpora, Tests/Fuzz/corpus/TARGET/seed-*, from the fixtures of the tests and
the lists below; the same each time. Inputs with another name are what something was found with, and stay."""

import base64
import glob
import json
import os
import re
import struct
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
INPUT_BYTES_MAX = 4096


def fixture(name):
    with open(os.path.join(ROOT, "Tests/Fixtures", name), encoding="utf-8") as file:
        return json.load(file)


def http_cases():
    """The raw requests of the HTTP cases, by group."""
    for case in fixture("http/own.json"):
        if "raw" in case:
            raw = case["raw"].replace("{{P}}", "/in/x").replace("{{H}}", "h")
            yield case["group"], raw.encode("latin-1", "replace")


def request_heads():
    seen = {}
    for group, raw in http_cases():
        head = raw[: raw.find(b"\r\n\r\n") + 4] if b"\r\n\r\n" in raw else raw
        if len(head) <= 512 and seen.setdefault(group, 0) < 8:
            seen[group] += 1
            yield head


RESPONSES = [
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 202 \r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 500\r\n\r\n", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "HTTP/1.1 429 Slow\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 503 No\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\nConnection: close\r\n\r\n",
    "HTTP/1.1 503 No\r\nRetry-After: Friday, 31-Dec-99 23:59:59 GMT\r\nRetry-After: 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "HTTP/1.1 999 caf\xe9 \r\nA:\t b \r\n\r\n",
    "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 099 No\r\n\r\n",
]
CHUNKS = [
    "5\r\nhello\r\n1;x\r\n,\r\nA\r\n wonderful\r\n00\r\nT: v\r\nU:\r\n\r\nGET", "0\r\n\r\n", "5\r\nhel",
    "5;a=b;c=\"d\\\"e\" ; f\r\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n", "FFFFFFFFFFFFFFFF\r\n", "400\r\n",
    "401\r\n",
    "10000000000000000\r\n", "1\r\nx\n", "0\r\nA: b\r\n c\r\n\r\n", "0\r\n: x\r\n\r\n", "0;\r\n\r\n",
    "1;a=\r\nx\r\n0\r\n\r\n",
    "3;q=\"\t\xe9\"\r\nabc\r\n0\r\nX: \x01\r\n\r\n", "+1\r\nx\r\n0\r\n\r\n", "0x1\r\nx\r\n0\r\n\r\n",
]
JSON = [
    '{"a":{"b":1},"id":"evt_1","data":{"object":{"id":"x"}}}', '[{"id":1,"a":[1,{"b":2}]},{"id":"\\u0041"}]', '[]',
    '{"a":[{"b":1},{"b":"\\"}"},3],"a b":null}', ' { "a" : { "b" : [ ] , "b" : 2 } , "a" : { "b" : 3 } } ', '"x"',
    '-0.5e+3',
    '{"a":1,"a":{"b":2}}', '{"\\u0061":{"\\u0062":true}}', '{"a":{"c":"' + "x" * 80 + '"},"b":[[[[[[[[[[1]]]]]]]]]]}',
    '{"a":"\\ud83d\\ude00","b":"\\ud83d"}', '\ufeff{"a":1}', '{"a":[1,2', '{"a" 1}', '[1,]', 'nul', '{"a":1}x',
    '1e999', '01',
    '{"id":12345678901234567890,"b":1.0,"a":{"b":1e2}}', '{"a":"' + "\\\\" * 40 + '","id":7}',
]
FORMS = [
    ("0", "sha256=@", "", "", '{"id":1}'), ("1", "@", "", "", "x"), ("2", "@", "", "", ""),
    ("3", "v1,@ v1a,AAAA v2,x", "msg_1", "1760000000", "{}"), ("4", "t=#,v1=@,v0=00", "", "1760000000", "{}"),
    ("5", "ts=#;h1=@;h1=00", "", "1759999700", "{}"), ("6", "@", "", "1760000000000", "b"),
    ("7", "@", "", "2025-10-09T08:53:20.5Z", "b"), ("8", "bearer @", "", "", ""), ("9", "Basic @", "", "", ""),
    ("4", "t=#,t=1,v1=@", "", "1760000000", ""), ("4", "v1=@,t=#", "", "1760000301", ""), ("0", "sha256=@00", "", "",
    "x"),
    ("3", " v1,@  ", "a.b", "1760000000", ""), ("5", "h1=@;ts=#;", "", "1760000000", ""), ("9", "basic dXNlcjprZXk",
    "", "", ""),
    ("7", "@", "", "2025-10-09T10:53:20+02:00", "b"), ("0", "sha256=" + "0" * 64, "", "", ""),
]
PREAMBLES = [
    b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 80\r\nGET / HTTP/1.1\r\n", b"PROXY TCP6 2001:db8::1 ::1 65535 443\r\n",
    b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff::1 ::1 1 2\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 65536 1\r\n",
        b"PROXY  TCP4\r\n",
    b"PROXY TCP6 ::ffff:1.2.3.4 ::1 1 443\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
]
SIGNATURE_V2 = b"\r\n\r\n\0\r\nQUIT\n"
URLS = [
    "https://hooks.example.com/in/x?a=b", "http://127.0.0.1:9000/hooks", "http://[2001:DB8::1]:8443",
    "https://EXAMPLE.com.:443",
    "http://user@h/", "http://0x7f.1/", "http://1.2.3/", "http://a_b.example/?q", "http://h:0/", "http://h:22/",
    "http://[::1%lo]/",
    "http://[fe80::1%25eth0]/", "https:///x", "http://h#f", "http://h\\x", "127.0.0.1", "::1", "::ffff:192.0.2.1",
    "1:2:3:4:5:6:7:8",
    "1::8", "::", "1:2:3:4:5:6:1.2.3.4", "::1.2.3.04", "10.0.0.0/8", "2001:db8::/32", "::ffff:0:0/96", "0.0.0.0/0",
    "1.2.3.4/33",
    "256.1.1.1", "1:2:3:4:5:6:7::", "1::2::3", "12345::",
]
YAML = [
    "a: 1\nb: [true, null, 1.5e3, '1']\nc: {d: e}\n", "- &x a\n- *x\n", "a: |\n  b\n  c\n", "? [a]\n: b\n",
    "a: 1\na: 2\n",
    "\"\\u00e9\": !!str 1\n", "---\na\n...\n---\nb\n", "a:\n\tb: 1\n", "<<: {a: 1}\n", '{"a":[1,2,{"b":null}]}',
    "0x10\n", "-0\n", "1e999\n",
]
SCHEMAS = [
    ('{"type":"object","required":["id"],"properties":{"id":{"type":"string","minLength":1}}}', '{"id":"x"}'),
    ('{"enum":["a",1,null,{"b":[1.0]}]}', '{"b":[1]}'), ('{"const":{"a":1}}', '{"a":1.0}'), ('{"uniqueItems":true}',
    '[1,1.0,"1"]'),
    ('{"items":[{"type":"integer"}],"additionalItems":{"type":"string"}}', '[1,"a",2]'), ('{"multipleOf":0.01}',
    '19.99'),
    ('{"patternProperties":{"^a":{"maximum":3}},"additionalProperties":false}', '{"ab":2,"b":1}'),
    ('{"pattern":"^[a-z]+$"}', '"abc"'),
    ('{"oneOf":[{"minimum":2},{"maximum":5}],"anyOf":[{}],"allOf":[{"not":{"type":"null"}}]}', '3'), ('true', '1'),
    ('false', '1'),
    ('{"definitions":{"a":{"$ref":"#/definitions/b"},"b":{"type":"list"}},"$ref":"#/definitions/a"}', '[]'),
    ('{"definitions":{"n":{"properties":{"next":{"$ref":"#/definitions/n"}}}},"$ref":"#/definitions/n"}',
    '{"next":{"next":{}}}'),
    ('{"if":{"type":"string"},"then":{"format":"date-time"},"else":{"exclusiveMinimum":0}}',
    '"2020-02-30T00:00:00Z"'),
    ('{"dependencies":{"a":["b"],"c":{"required":["d"]}},"propertyNames":{"maxLength":3}}', '{"a":1,"c":2}'),
    ('{"contains":{"const":1},"minItems":1,"maxItems":3,"minProperties":1}', '[2,1]'), ('{"format":"email"}',
    '"a@b.c"'),
    ('{"$schema":"https://json-schema.org/draft/2020-12/schema","prefixItems":[{}],"items":false,"minContains":0}',
    '[1,2]'),
    ('{"maxLength":1}', '"\\ud83d\\ude00"'), ('{"format":"uuid","type":["string","null"]}', 'null'),
]
FILTERS = [
    ('{"type":{"$startsWith":"invoice."}}', ''), ('{"body":{"$.data.amount":{"$gte":100}}}',
    '{"data":{"amount":1e2}}'),
    ('{"headers":{"X-Region":"eu"}}', ''), ('{"$or":[{"type":"a"},{"source":{"$in":["stripe","github"]}}]}', ''),
    ('{"body":{"a":{"$exist":false},"b":null}}', '{"b":null}'), ('{"body":{"$.items[*].id":{"$contains":7}}}',
    '{"items":[{"id":[7]}]}'),
    ('{"body":{"a":{"$regex":"^x+$"}}}', '{"a":"xxx"}'), ('{"$not":{"body":{"a":{"$lt":-0.5e1}}}}', '{"a":-6}'),
    ('{}', '{}'),
    ('{"channels":{"$eq":"a"},"headers":{"x-n":{"$gt":3}}}', ''), ('{"body":{"$[0]":{"$nin":[1,"a",true,null]}}}',
    '[2]'),
    ('{"body":{"a":{"b":{"c":{"$endsWith":"\\u00e9"}}}}}', '{"a":{"b":{"c":"caf\\u00e9"}}}'), ('{"type":{"$neq":1}}',
    'x'),
    ('{"body":{"a":{"$contains":"b"}}}', '{"a":["b",{"b":1}]'),
    ('{"$and":[{"$not":{"$not":{"type":"invoice.paid"}}}]}', '[]'),
]

def providers():
    """One genuine request a provider, as `sluice verify` reads it, behind its name and its secret."""
    seen = set()
    for name in ("vectors.json", "provider_vectors.json"):
        for vector in fixture(name):
            kind = (vector["provider"], vector["kind"])
            if vector["kind"] not in ("verify", "handshake") or vector["expect"] != "accept" or kind in seen:
                continue
            if len(vector["secrets"]) != 1 or "type" in vector["secrets"][0]:
                continue
            seen.add(kind)
            url = urllib.parse.urlsplit(vector["url"])
            body = base64.b64decode(vector["body"])
            target = (url.path or "/") + ("?" + url.query if url.query else "")
            lines = [f"{vector['method']} {target} HTTP/1.1", f"Host: {url.netloc}", f"Content-Length: {len(body)}"]
            lines += [f"{key}: {value}" for key, value in vector["headers"] if key.lower() not in ("host",
            "content-length")]
            scheme = vector["scheme"]
            called = scheme if scheme.startswith(vector["provider"] + "-") else vector["provider"]
            front = f"{called}\n{vector['secrets'][0]['value']}\n" + "\r\n".join(lines) + "\r\n\r\n"
            yield front.encode() + body


def configurations():
    """The example's blocks, each as a configuration of its own, with what is commented out in it."""
    with open(os.path.join(ROOT, "docs/sluice.example.yaml"), encoding="utf-8") as file:
        text = re.sub(r"(?m)^(\s*)# ?(?=[\s\w-]+:|  )", r"\1", file.read())
    for block in text.split("\n\n"):
        yield ("sources: []\n" + block + "\n").encode()
    source = b"sources:\n  - name: a\n    provider: github\n    secret: ${SECRET}\n"
    yield source + b"endpoints:\n  - name: b\n    url: https://h.example/\n"
    yield b"sources: []\nlisten: $${x}\nadmin: ${EMPTY}\n"


def records():
    def record(flags, parts, sequence=7):
        tenant, source, key, kind, method, target, lines, body = parts
        content = b"".join(parts)
        length = (96 + len(content) + 7) & ~7
        head = struct.pack(
            "<QIBBHQQII16s16sIIIHHBBBBI", 1, length, 1, flags, 1, sequence, 99, 0, len(body), b"f" * 16, b"t" * 16,
            len(lines), len(key), 60, len(target), len(kind), len(method), len(source), len(tenant), 0, 3)
        return head + content.ljust(length - 96, b"\0")

    parts = [b"", b"github", b"key-1", b"push", b"POST", b"/in/github", b"A: b\r\n", b'{"id":1}']
    yield b"\x00" + record(0, parts)
    yield b"\x00" + record(1, parts[:2] + [b""] + parts[3:])
    yield b"\x00" + record(8, parts[:6] + [b"Sluice-Client-Subject: CN=x\r\nA: b\r\n", b"x"])
    yield b"\x00" + record(16, parts[:7] + [b"\0" * 8])
    yield b"\x00" + record(48, parts[:7] + [b"\0" * 8])
    yield b"\x00" + record(6, [b"\x02\0\0\0"] + parts[1:])
    yield b"\x01" + record(2, parts)[:120]
    yield b"\x02" + b"\0".join([b"\x02abc"] + parts[1:])
    yield b"\x02" + b"\0".join([b"", b"s", b"", b"", b"GET", b"/", b"", b""])


def segments():
    append = b"\x00"
    yield append + b"\x10" + append + b"\x20"
    yield append + b"\x04\x02" + append + b"\x04\x02" + append + b"\x04"
    yield append + b"\x04" + append + b"\x08\x03" + append + b"\x01" + append + b"\x02"
    yield append + b"\x10\x05\x10\x30\x03" + append + b"\x10"
    yield append + b"\xff" + append + b"\xff\x06\x01"
    yield append + b"\x40\x02" + append + b"\x40\x06\x08\x06\x09"
    yield append + b"\x01\x07\x02" + append + b"\x01"
    yield append + b"\x01\x08\x02" + append + b"\x01"
    yield append + b"\xff\x02" + append + b"\xff\x09\x25\x00"
    yield append + b"\x10\x04\x40\x02" + append + b"\x01\x03" + append + b"\x01\x05\x10\x00\x01"


def frame(version, family, payload):
    return SIGNATURE_V2 + bytes([version, family]) + struct.pack(">H", len(payload)) + payload


def preambles():
    yield from PREAMBLES
    v4 = bytes([192, 0, 2, 7, 198, 51, 100, 1, 0x30, 0x39, 1, 0xBB])
    tls = bytes([0x20, 0, 5, 1, 0, 0, 0, 0])
    for one in [(0x21, 0x11, v4), (0x21, 0x21, bytes(range(36))), (0x20, 0, b""), (0x21, 0x31, b"a" * 216),
                (0x21, 0x11, v4 + tls), (0x21, 0x11, v4 + bytes([4, 0, 9])), (0x22, 0x11, v4), (0x21, 0, b"123")]:
        yield frame(*one)


def pairs(list_):
    return (f"{first}\n{second}".encode() for first, second in list_)


def corpora():
    return {
        "request-head": request_heads(),
        "response-head": (text.encode("latin-1") for text in RESPONSES),
        "chunks": (text.encode("latin-1") for text in CHUNKS),
        "json-scan": (text.encode() for text in JSON),
        "signature": ((form + "\n".join(lines)).encode() for form, *lines in FORMS),
        "provider": providers(),
        "proxy-preamble": preambles(),
        "log-record": records(),
        "log-segment": segments(),
        "configuration": configurations(),
        "yaml-value": (text.encode() for text in YAML + JSON[:4]),
        "url": (text.encode() for text in URLS),
        "api-json": (text.encode() for text in JSON),
        "schema": pairs(SCHEMAS),
        "filter": pairs(FILTERS),
    }


def main():
    for target, inputs in corpora().items():
        folder = os.path.join(HERE, "corpus", target)
        os.makedirs(folder, exist_ok=True)
        for old in glob.glob(os.path.join(folder, "seed-*")):
            os.remove(old)
        kept = dict.fromkeys(data for data in inputs if len(data) <= INPUT_BYTES_MAX)
        for number, data in enumerate(kept, 1):
            with open(os.path.join(folder, f"seed-{number:02}"), "wb") as file:
                file.write(data)


main()
