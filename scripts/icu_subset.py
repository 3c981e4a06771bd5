#!/usr/bin/env python3
"""Cuts ICU's data down to what a program that speaks English needs: of 34 MB some 3.

  scripts/icu_subset.py DATA OUT     DATA: the bytes behind the symbol `icudtNN_dat`; OUT: the same format, fewer items

Kept is what is no locale's own (properties, normalisation, time zones, likely subtags and the like), the root and
English of the rest. ICU falls back to the root for any other locale, as it does for one that it never had. Dropped are
character set converters, transliterators, spelled-out numbers, names of languages, regions, units and characters, and
what breaks lines in other scripts.

The format (ICU's "common data"): a header whose first two bytes are its length; a count; for each item, sorted by
name, where its name and its data begin, from the count on; the names; the items, each on a boundary of 16.
"""

import struct
import sys

ALIGNMENT = 16
ENGLISH = ("root", "en", "en_001", "en_US", "en_US_POSIX", "pool", "res_index")
# Whole folders of which nothing is kept, and kinds of files.
FOLDERS = ("translit", "rbnf", "lang", "region", "unit")
SUFFIXES = (".cnv", ".dict", ".lstm", ".cfu", ".spp")
ITEMS = ("unames.icu",)
# At the top, beside the locales: what belongs to none of them has a capital inside, or is named here.
SHARED = ("metadata", "plurals", "units", "icuver", "icustd", "currencyNumericCodes")


class NotICUData(Exception):
    pass


def items_of(data):
    """(header, [(name, bytes)])."""
    length, first, second = struct.unpack_from("<HBB", data, 0)
    if (first, second) != (0xDA, 0x27) or data[12:16] != b"CmnD":
        raise NotICUData("no ICU common data, or of another byte order")
    (count,) = struct.unpack_from("<I", data, length)
    places = [struct.unpack_from("<II", data, length + 4 + 8 * number) for number in range(count)]
    ends = [start for _, start in places[1:]] + [len(data) - length]
    items = []
    for (name, start), end in zip(places, ends):
        text = data[length + name : data.index(b"\0", length + name)].decode("ascii")
        items.append((text, data[length + start : length + end]))
    return data[:length], items


def is_kept(name):
    """`name` is `icudtNNl/…`."""
    parts = name.split("/")[1:]
    stem, dot, kind = parts[-1].rpartition(".")
    if parts[0] in FOLDERS or dot + kind in SUFFIXES or parts[-1] in ITEMS:
        return False
    if kind == "brk":
        return not stem.startswith("line_")
    if kind != "res":
        return True
    if len(parts) > 1:
        return stem in ENGLISH or stem[:1].isupper() or stem in ("supplementalData", "ucadata", "tzdbNames")
    is_shared = stem in SHARED or "_" not in stem and any(letter.isupper() or letter.isdigit() for letter in stem)
    return stem in ENGLISH or is_shared


def packed(header, items):
    names, table, place = b"", b"", 4 + 8 * len(items)
    offsets = []
    for name, _ in items:
        offsets.append(place + len(names))
        names += name.encode("ascii") + b"\0"
    body, start = b"", place + len(names)
    for offset, (_, content) in zip(offsets, items):
        padding = -(len(header) + start + len(body)) % ALIGNMENT
        body += b"\0" * padding
        table += struct.pack("<II", offset, start + len(body))
        body += content
    return header + struct.pack("<I", len(items)) + table + names + body


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as file:
        header, items = items_of(file.read())
    kept = [item for item in items if is_kept(item[0])]
    with open(sys.argv[2], "wb") as file:
        file.write(packed(header, kept))
    print(f"ICU data: {len(kept)} of {len(items)} items, {sum(len(content) for _, content in kept) >> 10} KiB")


if __name__ == "__main__":
    main()
