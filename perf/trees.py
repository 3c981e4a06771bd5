"""Other versions of this tree, built beside it: a commit's files in a folder of their own, with what was fetched for
this one, so that building them needs no network."""

import os
import shutil
import subprocess

from perfutil import ROOT

AGAINST = os.path.join(ROOT, ".build", "against")
# What has a part in the speed of the binary: two trees that agree in these are the same to the gate.
BUILT_FROM = ["Sources", "Package.swift"]
FETCHED = ("checkouts", "repositories", "artifacts", "workspace-state.json")


class NoSuchTree(Exception):
    """The revision is not there, or does not build; the text says which."""


def git(*arguments):
    """What git prints, or None when it refuses or is not there."""
    try:
        done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def resolved(revision):
    """The whole name of a commit."""
    found = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if not found:
        raise NoSuchTree(f"`{revision}` is no commit of this repository")
    return found


def usual_revision():
    """What a change is measured against when nobody says: the last release, else where it left the main branch, on the
    main branch itself the commit before. None where there is no history."""
    release = git("describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD")
    if release:
        return release
    head = git("rev-parse", "HEAD")
    for main in ("origin/HEAD", "origin/main", "main"):
        base = git("merge-base", "HEAD", main)
        if base and base != head:
            return base
    return git("rev-parse", "--verify", "--quiet", "HEAD^")


def is_same_source(commit):
    """True exactly when the working tree is built from what the commit is built from."""
    return git("diff", "--quiet", commit, "--", *BUILT_FROM) is not None and not git(
        "ls-files", "--others", "--exclude-standard", "--", *BUILT_FROM
    )


def copy_fetched(folder):
    """What SwiftPM fetched for this tree serves another one too: the same versions, so that only that tree's own code
    differs."""
    versions = os.path.join(ROOT, "Package.resolved")
    if os.path.exists(versions):
        shutil.copy(versions, folder)
    for name in FETCHED:
        source, target = os.path.join(ROOT, ".build", name), os.path.join(folder, ".build", name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.isdir(source) and not os.path.isdir(target):
            shutil.copytree(source, target, symlinks=True)
        elif os.path.isfile(source) and not os.path.exists(target):
            shutil.copy(source, target)


def extract(commit):
    """The folder with the commit's files; its build, when it has one, is kept. Those of other commits go: a build is
    large."""
    folder = os.path.join(AGAINST, commit[:12])
    os.makedirs(AGAINST, exist_ok=True)
    for name in os.listdir(AGAINST):
        if name != commit[:12]:
            shutil.rmtree(os.path.join(AGAINST, name), ignore_errors=True)
    if not os.path.exists(os.path.join(folder, "Package.swift")):
        unpacked = folder + ".new"
        os.makedirs(unpacked)
        archive = subprocess.Popen(["git", "-C", ROOT, "archive", commit], stdout=subprocess.PIPE)
        tar = subprocess.run(["tar", "-x", "-C", unpacked], stdin=archive.stdout, capture_output=True, text=True)
        archive.stdout.close()
        if archive.wait() != 0 or tar.returncode != 0:
            raise NoSuchTree(f"the files of {commit[:12]} cannot be had: {tar.stderr[-300:]}")
        copy_fetched(unpacked)
        os.rename(unpacked, folder)
    return folder


def build(folder, what):
    """The path of its `sluice`."""
    command = ["swift", "build", "-c", "release", "--product", "sluice"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise NoSuchTree(f"{what} does not build: {done.stdout[-1500:]}{done.stderr[-500:]}")
    return os.path.join(folder, ".build", "release", "sluice")
