"""A key pair of a scheme that only worker threads verify, shared by the suites and the measurements."""

import os
import shutil
import subprocess
import time

from report import Skip


class KeyPair:
    """Ed25519 by the openssl command: another implementation's front than the gateway's."""

    def __init__(self, folder):
        if not shutil.which("openssl"):
            raise Skip("no openssl command")
        self.path, self.message = os.path.join(folder, "key.pem"), os.path.join(folder, "message")
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", self.path], check=True)
        command = ["openssl", "pkey", "-in", self.path, "-pubout", "-outform", "DER"]
        self.public = subprocess.run(command, check=True, capture_output=True).stdout[-32:].hex()

    def headers(self, body):
        stamp = str(int(time.time()))
        with open(self.message, "wb") as file:
            file.write(stamp.encode() + body)
        command = ["openssl", "pkeyutl", "-sign", "-inkey", self.path, "-rawin", "-in", self.message]
        signature = subprocess.run(command, check=True, capture_output=True).stdout
        return {
            "Content-Type": "application/json",
            "X-Signature-Ed25519": signature.hex(),
            "X-Signature-Timestamp": stamp,
        }

    def source(self, **more):
        return {"name": "costly", "provider": "discord-events", "secrets": [self.public], **more}
