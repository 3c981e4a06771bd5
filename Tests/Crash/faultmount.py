"""Mounts the fault-injecting file system (tools/faultfs.c) over a folder; needs FUSE. Always unmounted in the end."""

import os
import shutil
import subprocess
import time

from crashutil import compile_tool, pkg_config
from report import Skip
from serverutil import die_with_parent


class FaultMount:
    def __init__(self, folder, binary=None):
        if not os.path.exists("/dev/fuse"):
            raise Skip("no /dev/fuse")
        self.root, self.point = os.path.join(folder, "root"), os.path.join(folder, "mount")
        self.trace = os.path.join(folder, "trace")
        for path in (self.root, self.point):
            os.makedirs(path, exist_ok=True)
        self.binary = binary or compile_tool("faultfs", folder, "-Wno-misleading-indentation", *pkg_config("fuse3"))
        self.process = None

    def mount(self):
        self.process = subprocess.Popen(
            [self.binary, self.point, "-f", "-o", "default_permissions"],
            preexec_fn=die_with_parent,
            env={**os.environ, "FAULTFS_ROOT": self.root, "FAULTFS_TRACE": self.trace},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(200):
            if os.path.ismount(self.point):
                return self
            if self.process.poll() is not None:
                raise Skip("the FUSE mount failed: " + self.process.stderr.read().strip()[-200:])
            time.sleep(0.02)
        self.unmount()
        raise Skip("the FUSE mount did not appear")

    def rule(self, text):
        with open(os.path.join(self.point, ".fault"), "w") as file:
            file.write(text + "\n")

    def clear(self):
        """No rule holds any more; what was met is still known."""
        self.rule("clear")

    def met(self):
        """[(operation, error, how often)] of each rule there was."""
        with open(os.path.join(self.point, ".fault")) as file:
            return [(operation, error, int(count)) for operation, error, count in map(str.split, file)]

    def unmount(self):
        tool = shutil.which("fusermount3") or "fusermount3"
        for _ in range(50):
            if not os.path.ismount(self.point):
                break
            subprocess.run([tool, "-u", self.point], capture_output=True)
            time.sleep(0.1)
        else:
            subprocess.run([tool, "-u", "-z", self.point], capture_output=True)
        if self.process:
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self.mount()

    def __exit__(self, *error):
        self.unmount()
