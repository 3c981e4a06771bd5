#!/usr/bin/env python3
"""The command line as operators use it: keys that `sluice login` keeps, which gateway a command asks, applications,
event types, endpoints and tenants from their making to their end, completions that a shell loads."""

import json
import os
import pty
import select
import shutil
import signal
import stat
import subprocess
import tempfile
import termios

import supportpath  # noqa: F401  (puts the shared modules on the path)
from receiver import Receiver
from report import Report, Skip, arguments, one_line, wait_until
from serverutil import BINARY, Gateway, endpoint, open_source, platform_key, sluice


class Bench:
    """Two gateways, and the home folder of somebody who has nothing yet."""

    def __init__(self, receiver, folder):
        self.home = folder
        self.gateway = Gateway([open_source()], [endpoint("hook", receiver.url)])
        self.other = Gateway([open_source()], [endpoint("hook", receiver.url)])
        self.receiver = receiver

    def run(self, *arguments, check=0, stdin="", **environment):
        """Without --admin, which would give the key along."""
        home = {"HOME": self.home, "XDG_CONFIG_HOME": "", "XDG_DATA_HOME": "", "BASH_COMPLETION_USER_DIR": ""}
        clean = {"SLUICE_KEY": "", "SLUICE_PROFILE": ""}
        return sluice(*arguments, check=check, stdin=stdin, environment={**home, **clean, **environment})

    def lines(self, *arguments, **more):
        """The JSON of each line."""
        return [json.loads(line) for line in self.run(*arguments, "--json", **more).stdout.splitlines()]

    def url(self, gateway):
        return f"http://127.0.0.1:{gateway.admin_port}"

    def key(self, gateway):
        return platform_key(gateway.admin_port)


def profiles(report, bench):
    place = os.path.join(bench.home, ".config", "sluice", "profiles.json")
    with report.case("a key from standard input is tried, kept for its owner alone, and used from then on"):
        said = bench.run("login", "--url", bench.url(bench.gateway), "--profile", "one", stdin=bench.key(bench.gateway))
        assert place in said.stdout and bench.key(bench.gateway) not in said.stdout + said.stderr, said.stdout
        assert stat.S_IMODE(os.stat(place).st_mode) == 0o600, oct(os.stat(place).st_mode)
        assert stat.S_IMODE(os.stat(os.path.dirname(place)).st_mode) == 0o700
        bench.run("tenants", "create", "of-one")
        assert "of-one" in [one["name"] for one in bench.lines("tenants", "list")]
    with report.case("a key that is not taken is not kept, nor one for a gateway that is not there"):
        kept = open(place).read()
        said = bench.run(
            "login", "--url", bench.url(bench.other), "--profile", "bad", check=1, stdin="sluice_nonsense\n")
        assert "not known" in said.stderr and "sluice_nonsense" not in said.stderr, said.stderr
        bench.run("login", "--url", "127.0.0.1:9", "--profile", "bad", check=2, stdin="sluice_nonsense\n")
        bench.run("login", "--url", "127.0.0.1:9", check=2)
        assert open(place).read() == kept
    with report.case("of two profiles the last counts, and one that is named before that; the environment is between"):
        bench.run("login", "--url", f"127.0.0.1:{bench.other.admin_port}", "--profile", "two",
                  SLUICE_KEY=bench.key(bench.other))

        def has(*words, **environment):
            return "of-one" in [one["name"] for one in bench.lines("tenants", "list", *words, **environment)]

        assert not has() and has("--profile", "one") and has(SLUICE_PROFILE="one")
        assert not has("--profile", "two", SLUICE_PROFILE="one")
        listed = bench.lines("profiles", "list")
        assert [(one["name"], one["current"]) for one in listed] == [("one", False), ("two", True)], listed
        bench.run("profiles", "use", "one")
        assert has()
        assert "did you mean `one`" in bench.run("tenants", "list", "--profile", "onne", check=2).stderr
    with report.case("a key of the environment is for the profile that it names, and it is said whose it is"):
        said = bench.run("tenants", "list", check=1, SLUICE_PROFILE="one", SLUICE_KEY="sluice_other")
        assert "it is the one of SLUICE_KEY" in said.stderr, said.stderr
        assert bench.lines("tenants", "list", "--profile", "one", SLUICE_KEY="sluice_other")
        # Nobody named the current profile: the key of the environment may be for another gateway.
        assert bench.lines("tenants", "list", SLUICE_KEY="sluice_other")
    with report.case("a key that is given along counts more than the environment's"):
        bench.run("login", "--url", bench.url(bench.gateway), "--profile", "one", stdin=bench.key(bench.gateway),
                  SLUICE_KEY="sluice_other")
        assert has()
    with report.case("a kept key goes to no other gateway"):
        address = f"127.0.0.1:{bench.other.admin_port}"
        done = subprocess.run(
            [BINARY, "tenants", "list", "--admin", address], capture_output=True, text=True, cwd=bench.home,
            env={**os.environ, "HOME": bench.home, "SLUICE_KEY": "", "SLUICE_PROFILE": "one"})
        assert done.returncode == 1 and "asks for a key" in done.stderr, done.stderr
    with report.case("a file that others may read is not read, and the way out is said"):
        os.chmod(place, 0o644)
        assert f"chmod 600 {place}" in bench.run("tenants", "list", check=2).stderr
        os.chmod(place, 0o600)
    with report.case("what is signed out of is gone"):
        bench.run("logout", "--profile", "two")
        assert "there is one" in bench.run("logout", "--profile", "two", check=1).stderr
        assert bench.key(bench.other) not in open(place).read()


def prompts(report, bench):
    with report.case("Ctrl-C at the prompt for a key ends the command, and the terminal shows what is typed again"):
        master, slave = pty.openpty()
        environment = {**os.environ, "HOME": bench.home, "SLUICE_KEY": "", "SLUICE_PROFILE": ""}
        process = subprocess.Popen(
            [BINARY, "login", "--url", bench.url(bench.gateway), "--profile", "typed"], stdin=slave, stdout=slave,
            stderr=slave, env=environment, start_new_session=True,
            # A shell's background job has it ignored, and its children with it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        try:
            said = b""

            def echoes():
                return bool(termios.tcgetattr(slave)[3] & termios.ECHO)

            while b"key for" not in said:
                assert select.select([master], [], [], 20)[0], f"no prompt: {said}"
                said += os.read(master, 4096)
            wait_until(lambda: not echoes(), 10, "what is typed is shown")
            os.write(master, b"half-a-key\x03")
            assert process.wait(20) == -signal.SIGINT, process.returncode
            assert echoes(), "the terminal shows nothing any more"
            rest = os.read(master, 4096) if select.select([master], [], [], 0)[0] else b""
            assert b"half" not in said + rest, rest
            assert "typed" not in [one["name"] for one in bench.lines("profiles", "list")]
        finally:
            process.kill()
            process.wait()
            os.close(master)
            os.close(slave)
    with report.case("a gateway that was started with another folder is found by it"):
        words = ["tenants", "list", "--admin", f"127.0.0.1:{bench.gateway.admin_port}", "--data-folder"]
        assert bench.lines(*words, bench.gateway.data, SLUICE_KEY="sluice_other")
        assert "it is the one in" in bench.run(*words, bench.other.data, check=1).stderr
        assert "--data-folder" in bench.run(*words, bench.gateway.data, "--profile", "one", check=2).stderr


def applications(report, bench):
    with report.case("an application from its making to its end"):
        made = bench.lines("apps", "create", "Acme Ltd", "--uid", "c-7", "--rate", "50", "--metadata", "plan=gold")[0]
        assert made["uid"] == "c-7" and made["throttleRate"] == 50 and made["metadata"] == {"plan": "gold"}, made
        changed = bench.lines("apps", "update", "c-7", "--name", "Acme")[0]
        assert changed["name"] == "Acme" and changed["metadata"] == {"plan": "gold"}, changed
        assert bench.lines("apps", "show", made["id"]) == [changed]
        assert made["id"] in [one["id"] for one in bench.lines("apps", "list", "--all")]
        token = bench.run("apps", "token", "c-7", "--expires-in", "1h", "--read-only").stdout.strip()
        said = bench.run("event-types", "list", SLUICE_PROFILE="one", SLUICE_KEY=token)
        assert said.returncode == 0, said.stderr
        bench.run("apps", "remove", "c-7")
        assert bench.run("apps", "show", "c-7", check=1).stdout == ""
    with report.case("listings page by a cursor, to their end"):
        for number in range(5):
            bench.run("apps", "create", f"page {number}", "--uid", f"page-{number}")
        first = bench.run("apps", "list", "--limit", "3", "--json")
        cursor = first.stderr.split("--cursor ")[1].strip()
        rest = bench.lines("apps", "list", "--all", "--cursor", cursor)
        found = [json.loads(line)["id"] for line in first.stdout.splitlines()] + [one["id"] for one in rest]
        assert found == [one["id"] for one in bench.lines("apps", "list", "--all")], found
    with report.case("what is wrong is said field by field"):
        said = bench.run("apps", "create", "x", "--uid", "a b", check=1)
        assert "uid" in said.stderr and "characters" in said.stderr, said.stderr


def catalogue(report, bench):
    schema = os.path.join(bench.home, "paid.json")
    with open(schema, "w") as file:
        json.dump({"type": "object", "required": ["n"]}, file)
    with report.case("an event type from its making to its end"):
        made = bench.lines("event-types", "create", "invoice.paid", "--description", "Paid.", "--schema", f"1={schema}")
        assert made[0]["schemas"] == {"1": {"type": "object", "required": ["n"]}}, made
        changed = bench.lines("event-types", "update", "invoice.paid", "--deprecated", "--feature-flag", "beta")[0]
        assert changed["deprecated"] and changed["featureFlag"] == "beta" and changed["description"] == "Paid."
        assert bench.lines("event-types", "update", "invoice.paid", "--feature-flag", "")[0]["featureFlag"] is None
        bench.run("event-types", "archive", "invoice.paid")
        assert bench.lines("event-types", "list") == []
        assert [one["name"] for one in bench.lines("event-types", "list", "--archived")] == ["invoice.paid"]
        bench.run("event-types", "archive", "invoice.paid", "--expunge")
        assert bench.lines("event-types", "list", "--archived") == []
    with report.case("a catalogue is looked at, imported, and imported again without a change"):
        types = [{"name": f"a.{n}", "description": f"Number {n}.", "deprecated": n == 1} for n in range(3)]
        types[2]["schemas"] = {"1": {"type": "object"}}
        path = os.path.join(bench.home, "types.json")
        with open(path, "w") as file:
            json.dump(types, file)
        names = [one["name"] for one in types]
        assert bench.lines("event-types", "import", path, "--dry-run")[0]["created"] == names
        assert bench.lines("event-types", "list") == []
        assert bench.lines("event-types", "import", path)[0]["created"] == names
        again = bench.lines("event-types", "import", path)[0]
        assert again == {"dryRun": False, "created": [], "changed": [], "unchanged": 3}, again
        types[0]["description"] = "Another."
        said = bench.lines("event-types", "import", "-", stdin=json.dumps({"data": types}))[0]
        assert said["changed"] == ["a.0"] and said["unchanged"] == 2, said
    with report.case("one gateway's catalogue is another's by a pipe"):
        printed = bench.run("event-types", "list", "--all", "--with-schemas", "--json").stdout
        bench.run("login", "--url", bench.url(bench.other), "--profile", "two", stdin=bench.key(bench.other))
        assert len(bench.lines("event-types", "import", "-", stdin=printed)[0]["created"]) == 3
        assert bench.lines("event-types", "import", "-", stdin=printed)[0]["unchanged"] == 3
        bench.run("profiles", "use", "one")
    with report.case("a catalogue that is wrong anywhere changes nothing"):
        wrong = json.dumps([{"name": "fine", "description": ""}, {"name": "not fine"}])
        said = bench.run("event-types", "import", "-", check=2, stdin=wrong)
        assert "[1].name" in said.stderr, said.stderr
        assert "fine" not in [one["name"] for one in bench.lines("event-types", "list")]


def endpoints(report, bench):
    secret = os.path.join(bench.home, "hook.secret")
    with open(secret, "w") as file:
        file.write("whsec_" + "c2VjcmV0" * 4)
    with report.case("a tenant and an endpoint of it, made, changed, published to, removed"):
        bench.run("tenants", "create", "acme")
        assert bench.lines("tenants", "update", "acme", "--name", "acme-ltd", "--uid", "c-8")[0]["uid"] == "c-8"
        made = bench.lines(
            "endpoints", "create", "billing", bench.receiver.url + "/billing", "--tenant", "c-8", "--type", "invoice.*",
            "--secret", f"file:{secret}", "--concurrency", "3")[0]
        assert made["types"] == ["invoice.*"] and made["secret_count"] == 1 and made["concurrency"] == 3, made
        changed = bench.lines("endpoints", "update", made["id"], "--url", bench.receiver.url + "/new")[0]
        assert changed["types"] == ["invoice.*"] and changed["url"].endswith("/new"), changed
        bench.run("publish", "--type", "invoice.paid", "--tenant", "c-8", stdin='{"n":1}')
        wait_until(
            lambda: [one for one in bench.receiver.snapshot() if one.path == "/hooks/new"], 15, "no delivery came")
        bench.run("endpoints", "remove", made["id"])
        bench.run("endpoints", "show", made["id"], check=1)
        bench.run("tenants", "remove", "c-8")


def completions(report, bench):
    for shell, place in (
        ("bash", ".local/share/bash-completion/completions/sluice"),
        ("zsh", ".local/share/zsh/site-functions/_sluice"), ("fish", ".config/fish/completions/sluice.fish"),
    ):
        with report.case(f"completions of {shell} are where it looks, and it can read them"):
            path = os.path.join(bench.home, place)
            said = bench.run("completions", "install", SHELL=f"/usr/bin/{shell}")
            assert path in said.stdout, said.stdout
            with open(path) as file:
                text = file.read()
            printed = bench.run("completions", "print", "--shell", shell).stdout
            assert "event-types" in text and text.strip() == printed.strip()
            if not shutil.which(shell):
                raise Skip(f"{shell} is not installed")
            checked = subprocess.run([shell, "-n", path], capture_output=True, text=True)
            assert checked.returncode == 0, one_line(checked.stderr)
    with report.case("a file that somebody else wrote stays, unless it is said otherwise"):
        path = os.path.join(bench.home, ".config/fish/completions/sluice.fish")
        bench.run("completions", "install", "--shell", "fish")
        with open(path, "w") as file:
            file.write("# mine\n")
        assert "--force" in bench.run("completions", "install", "--shell", "fish", check=2).stderr
        with open(path) as file:
            assert file.read() == "# mine\n"
        bench.run("completions", "install", "--shell", "fish", "--force")
        with open(path) as file:
            assert "event-types" in file.read()
    with report.case("a shell that is none of them is asked for"):
        assert "--shell" in bench.run("completions", "install", check=2, SHELL="/bin/tcsh").stderr


def main():
    arguments(__doc__)
    report = Report("operator_cli")
    folder = tempfile.mkdtemp(prefix="sluice-home-")
    try:
        with Receiver() as receiver:
            bench = Bench(receiver, folder)
            with bench.gateway, bench.other:
                for part in (profiles, prompts, applications, catalogue, endpoints, completions):
                    part(report, bench)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.finish()


if __name__ == "__main__":
    main()
