#!/usr/bin/env python3
"""Reflows Swift comment lines that are over 120 columns (TidyTests finds them); prints the lines of code it cannot
mend.

  scripts/reflow-comments.py [FILE…]      without files: all of Sources and Tests
"""

import pathlib
import re
import sys
import textwrap

COLUMNS_MAX = 120
COMMENT = re.compile(r"^(\s*)(///?)( |$)")
# These begin something of their own and are never joined to the line before.
OWN_LINE = re.compile(r"^(\s|[-*+] |\d+\. |\||`{3})")


def paragraph_end(lines, start, prefix):
    end = start + 1
    while end < len(lines) and lines[end].startswith(prefix) and lines[end].strip() not in ("//", "///"):
        if OWN_LINE.match(lines[end][len(prefix) :]):
            break
        end += 1
    return end


def reflowed(lines):
    out, index = [], 0
    while index < len(lines):
        line, match = lines[index], COMMENT.match(lines[index])
        if len(line) <= COLUMNS_MAX or not match or line.startswith("// swift-tools"):
            out.append(line)
            index += 1
            continue
        prefix = match[1] + match[2] + " "
        end = paragraph_end(lines, index, prefix)
        bodies = [text[len(prefix) :] for text in lines[index:end]]
        indent = re.match(r"\s*", bodies[0])[0]
        bullet = re.match(r"\s*([-*+] |\d+\. )?", bodies[0])[0]
        out += textwrap.wrap(
            " ".join(body.strip() for body in bodies),
            width=COLUMNS_MAX,
            initial_indent=prefix + indent,
            subsequent_indent=prefix + " " * len(bullet),
            break_long_words=False,
            break_on_hyphens=False,
        )
        index = end
    return out


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    files = [pathlib.Path(name) for name in sys.argv[1:]]
    files = files or sorted([*root.glob("Sources/**/*.swift"), *root.glob("Tests/**/*.swift"), root / "Package.swift"])
    for file in files:
        before = file.read_text().split("\n")
        after = reflowed(before)
        if after != before:
            file.write_text("\n".join(after))
        for number, line in enumerate(after, 1):
            if len(line) > COLUMNS_MAX:
                print(f"{file}:{number}: {len(line)} columns")


if __name__ == "__main__":
    main()
