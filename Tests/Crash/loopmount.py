"""A file system on a loop device whose power can be cut: it is shut down without a flush, so that what was not synced
is gone. Needs root."""

import os
import subprocess
import time

from crashutil import compile_tool
from report import Skip

WITHOUT_FLUSH = "2"


def must(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise Skip(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-200:]}")


class LoopMount:
    """An image with a file system on a loop device; always unmounted in the end."""

    def __init__(self, folder, megabytes, kind="ext4"):
        self.image, self.point = os.path.join(folder, "disk.img"), os.path.join(folder, "disk")
        os.mkdir(self.point)
        self.godown = compile_tool("godown", folder)
        must("truncate", "-s", f"{megabytes}M", self.image)
        must(f"mkfs.{kind}", "-q", "-F" if kind == "ext4" else "-f", self.image)

    def mount(self):
        must("mount", "-o", "loop", self.image, self.point)

    def is_mounted(self):
        """By the kernel's table: of a file system that was shut down, nothing else can be asked."""
        with open("/proc/self/mounts") as table:
            return any(line.split()[1] == self.point for line in table)

    def unmount(self):
        for _ in range(100):
            if not self.is_mounted():
                return
            subprocess.run(["umount", self.point], capture_output=True)
            time.sleep(0.02)
        subprocess.run(["umount", "-l", self.point], capture_output=True)

    def cut(self):
        """Everything that is not synced is gone from here on. An error's text, empty when it worked."""
        done = subprocess.run([self.godown, self.point, WITHOUT_FLUSH], capture_output=True, text=True)
        return done.stderr.strip() if done.returncode else ""

    def mount_again(self):
        self.unmount()
        self.mount()
