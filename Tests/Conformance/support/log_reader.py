#!/usr/bin/env python3
"""Reads a data folder by docs/log-format.md alone and prints one JSON line a record, then one with the counts.

Standard library only; XXH3-64 is written out here, unless the `xxhash` package is there. Exit status 1
when a record that should be there does not verify.
"""

import json
import os
import struct
import sys

MASK = (1 << 64) - 1
BLOCK = 4096
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248e"
    "e03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d"
    "8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc"
    "8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)
P32 = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
P64 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)


def u32(data, at):
    return struct.unpack_from("<I", data, at)[0]


def u64(data, at):
    return struct.unpack_from("<Q", data, at)[0]


def fold(a, b):
    product = a * b
    return (product & MASK) ^ (product >> 64)


def avalanche3(h):
    h ^= h >> 37
    h = h * 0x165667919E3779F9 & MASK
    return h ^ h >> 32


def avalanche64(h):
    h ^= h >> 33
    h = h * P64[1] & MASK
    h ^= h >> 29
    h = h * P64[2] & MASK
    return h ^ h >> 32


def swap64(value):
    return int.from_bytes(value.to_bytes(8, "little"), "big")


def mix16(data, at, secret, secret_at, seed):
    low = u64(data, at) ^ (u64(secret, secret_at) + seed & MASK)
    return fold(low, u64(data, at + 8) ^ (u64(secret, secret_at + 8) - seed & MASK))


def xxh3_short(data, seed):
    n = len(data)
    if n == 0:
        return avalanche64(seed ^ u64(SECRET, 56) ^ u64(SECRET, 64))
    if n <= 3:
        word = data[0] << 16 | data[n >> 1] << 24 | data[n - 1] | n << 8
        return avalanche64(word ^ ((u32(SECRET, 0) ^ u32(SECRET, 4)) + seed & MASK))
    if n <= 8:
        seed ^= int.from_bytes((seed & 0xFFFFFFFF).to_bytes(4, "little"), "big") << 32
        flip = (u64(SECRET, 8) ^ u64(SECRET, 16)) - seed & MASK
        h = (u32(data, n - 4) + (u32(data, 0) << 32)) ^ flip
        h ^= ((h << 49 | h >> 15) ^ (h << 24 | h >> 40)) & MASK
        h = h * 0x9FB21C651E98DF25 & MASK
        h ^= (h >> 35) + n
        h = h * 0x9FB21C651E98DF25 & MASK
        return h ^ h >> 28
    low = u64(data, 0) ^ ((u64(SECRET, 24) ^ u64(SECRET, 32)) + seed & MASK)
    high = u64(data, n - 8) ^ ((u64(SECRET, 40) ^ u64(SECRET, 48)) - seed & MASK)
    return avalanche3(n + swap64(low) + high + fold(low, high) & MASK)


def xxh3_middle(data, seed):
    n = len(data)
    acc = n * P64[0] & MASK
    if n <= 128:
        for index in range((n - 1) // 32, -1, -1):
            acc += mix16(data, 16 * index, SECRET, 32 * index, seed)
            acc += mix16(data, n - 16 * (index + 1), SECRET, 32 * index + 16, seed)
        return avalanche3(acc & MASK)
    for index in range(8):
        acc += mix16(data, 16 * index, SECRET, 16 * index, seed)
    acc = avalanche3(acc & MASK)
    for index in range(8, n // 16):
        acc += mix16(data, 16 * index, SECRET, 16 * (index - 8) + 3, seed)
    return avalanche3(acc + mix16(data, n - 16, SECRET, 136 - 17, seed) & MASK)


def xxh3_long(data, seed):
    secret = bytearray(SECRET)
    for at in range(0, 192, 16):
        struct.pack_into("<QQ", secret, at, u64(SECRET, at) + seed & MASK, u64(SECRET, at + 8) - seed & MASK)
    acc = [P32[2], P64[0], P64[1], P64[2], P64[3], P32[1], P64[4], P32[0]]

    def stripe(at, secret_at):
        words = struct.unpack_from("<8Q", data, at)
        keys = struct.unpack_from("<8Q", secret, secret_at)
        for lane in range(8):
            keyed = words[lane] ^ keys[lane]
            acc[lane ^ 1] = acc[lane ^ 1] + words[lane] & MASK
            acc[lane] = acc[lane] + (keyed & 0xFFFFFFFF) * (keyed >> 32) & MASK

    n = len(data)
    per_block = (192 - 64) // 8
    blocks = (n - 1) // (64 * per_block)
    for block in range(blocks):
        for index in range(per_block):
            stripe(block * 64 * per_block + 64 * index, 8 * index)
        for lane in range(8):
            acc[lane] = (acc[lane] ^ acc[lane] >> 47 ^ u64(secret, 192 - 64 + 8 * lane)) * P32[0] & MASK
    start = blocks * 64 * per_block
    for index in range((n - 1 - start) // 64):
        stripe(start + 64 * index, 8 * index)
    stripe(n - 64, 192 - 64 - 7)
    h = n * P64[0] & MASK
    for pair in range(4):
        h += fold(acc[2 * pair] ^ u64(secret, 11 + 16 * pair), acc[2 * pair + 1] ^ u64(secret, 19 + 16 * pair))
    return avalanche3(h & MASK)


def own_xxh3(data, seed):
    if len(data) <= 16:
        return xxh3_short(data, seed)
    return xxh3_middle(data, seed) if len(data) <= 240 else xxh3_long(data, seed)


try:
    import xxhash

    def xxh3(data, seed):
        return xxhash.xxh3_64_intdigest(bytes(data), seed)

except ImportError:
    xxh3 = own_xxh3

REASONS = (
    "signature_mismatch missing_header malformed_header duplicate_header stale_timestamp future_timestamp "
    "malformed_timestamp token_mismatch invalid_credentials wrong_algorithm untrusted_cert_url body_hash_mismatch "
    "challenge_not_opaque missing_challenge malformed_challenge invalid_secret origin_not_allowed "
    "verify_token_mismatch empty_body address_not_allowed body_too_large "
    "missing_client_certificate client_certificate_not_allowed batch_too_large "
    "schema_violation body_not_json unsupported_contract_version unsupported_media_type tenant_mismatch"
).split()
VERDICTS = {0: "verified", 1: "unverified", 2: "skipped"} | {16 + n: name for n, name in enumerate(REASONS)}

IDENTITY_SEED = 0x4C6F674964656E74
HEADER_SEED = 0x5365676D656E7448


def read_identity(path):
    data = open(path, "rb").read()
    if len(data) != 64 or data[:8] != b"SL_LOGID" or xxh3(data[:56], IDENTITY_SEED) != u64(data, 56):
        sys.exit(f"{path}: not an identity file, or damaged")
    if u64(data, 8) != 1:
        sys.exit(f"{path}: format version {u64(data, 8)} is not known")
    return u64(data, 16)


def read_header(data, identity, first):
    for start in (0, 2048):
        words = struct.unpack_from("<9Q", data, start)
        if xxh3(data[start : start + 64], HEADER_SEED) == words[8] and data[start : start + 8] == b"SL_SEG01":
            if words[1] != 1 or words[2] != identity or words[3] != first:
                sys.exit(f"segment {first}: another version or another log")
            return xxh3(struct.pack("<QQQ", identity, words[4], first), 0)
    return None


def tenant_number(tenant):
    """1 is the default tenant, 0 is a form that is not known."""
    return {0: 1, 4: int.from_bytes(tenant, "little")}.get(len(tenant), 0)


def record_at(data, at, seed):
    """The record's fields and length when it verifies, else None."""
    if at + 96 > len(data) or data[at + 12] != 1:
        return None
    length = u32(data, at + 8)
    if (
        length < 96
        or length % 8
        or at + length > len(data)
        or xxh3(data[at + 8 : at + length], seed) != u64(data, at)
    ):
        return None
    if struct.unpack_from("<H", data, at + 14)[0] != 1:
        return None
    body_count = u32(data, at + 36)
    lines_count, key_count = u32(data, at + 72), u32(data, at + 76)
    target_count, type_count, method_count, source_count, tenant_count = struct.unpack_from("<HHBBB", data, at + 84)
    fields = {}
    place = at + 96
    for name, count in (
        ("tenant", tenant_count),
        ("source", source_count),
        ("key", key_count),
        ("type", type_count),
        ("method", method_count),
        ("target", target_count),
        ("lines", lines_count),
        ("body", body_count),
    ):
        fields[name] = data[place : place + count]
        place += count
    flags = data[at + 13]
    if flags & 1:
        fields["key"] = fields["body"]
    fields["subject"] = b""
    if flags & 8:
        own, fields["lines"] = fields["lines"].split(b"\r\n", 1)
        fields["subject"] = own.removeprefix(b"Sluice-Client-Subject: ")
    fields["erased"] = bool(flags & 16)
    if flags & 16:
        fields["body"] = b""
        if flags & 1:
            fields["key"] = b""
    if flags & 32:
        fields["key"] = fields["target"] = fields["lines"] = b""
    verdict = VERDICTS.get(data[at + 91], "unknown")
    fields.update(sequence=u64(data, at + 16), receivedAt=u64(data, at + 24), verdict=verdict)
    fields.update(sourceNumber=u32(data, at + 92), tenantNumber=tenant_number(fields["tenant"]))
    return fields, length


def belongs(data, seed, at, sequence, expected, start):
    """Whether a record behind a gap is where it was written to: those that are missing had room, and it does not count
    again a little further on."""
    if (sequence - expected) * 96 > at - start:
        return False
    for other in range(at + 96, min(len(data) - 96, at + (4 << 20)) + 1, 8):
        if u64(data, other + 16) == sequence and record_at(data, other, seed):
            return False
    return True


def next_record(data, seed, places, expected, next_first, start):
    """The first place of `places` with a record that can follow what ends at `start`, and it; (None, None) without."""
    for at in places:
        found = record_at(data, at, seed)
        sequence = found[0]["sequence"] if found else 0
        if sequence < expected or next_first is not None and sequence >= next_first:
            continue
        if sequence == expected or belongs(data, seed, at, sequence, expected, start):
            return at, found
    return None, None


def read_segment(data, seed, first, next_first):
    """Yields records in order, and None for each run of bytes in which expected records do not verify."""
    expected, start, used = first, BLOCK, len(data.rstrip(b"\0"))
    while next_first is None or expected < next_first:
        # Behind the last record of a group comes the next block.
        places = [start] if start + 96 <= len(data) and data[start + 12] else [-(-start // BLOCK) * BLOCK]
        at, found = next_record(data, seed, places, expected, expected + 1, start)
        if not found:
            padding, behind = range(start, places[0], 8), range(places[0], used, 8)
            at, found = next_record(data, seed, padding, expected, next_first, start)
            if not found:
                at, found = next_record(data, seed, behind, expected, next_first, places[0])
            if found and found[0]["sequence"] > expected or not found and (next_first is not None or used > places[0]):
                yield None
            if not found:
                return
        yield found[0]
        expected, start = found[0]["sequence"] + 1, at + found[1]


def main(folder):
    log = os.path.join(folder, "log")
    identity = read_identity(os.path.join(log, "identity"))
    firsts = sorted(int(name[:20]) for name in os.listdir(log) if len(name) == 24 and name.endswith(".log"))
    records = damages = 0
    for index, first in enumerate(firsts):
        data = open(os.path.join(log, f"{first:020}.log"), "rb").read()
        seed = read_header(data, identity, first)
        next_first = firsts[index + 1] if index + 1 < len(firsts) else None
        if seed is None:
            damages += 1
            continue
        for record in read_segment(data, seed, first, next_first):
            if record is None:
                damages += 1
                continue
            records += 1
            erased = {"erased": True} if record["erased"] else {}
            print(
                json.dumps(
                    erased
                    | {
                        "sequence": record["sequence"],
                        "receivedAt": record["receivedAt"],
                        "body": len(record["body"]),
                        "bodyStart": record["body"][:8].hex(),
                        "source": record["source"].decode(),
                        "sourceNumber": record["sourceNumber"],
                        "tenantNumber": record["tenantNumber"],
                        "type": record["type"].decode(),
                        "target": record["target"].decode(),
                        "key": record["key"].decode("utf-8", "replace"),
                        "verdict": record["verdict"],
                    },
                    sort_keys=True,
                )
            )
    print(json.dumps({"records": records, "damages": damages}, sort_keys=True))
    return 1 if damages else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: log_reader.py DATA_FOLDER")
    sys.exit(main(sys.argv[1]))
