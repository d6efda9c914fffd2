"""Certificates for a receiver on this machine, by OpenSSL's command."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from tools.openssl import openssl


@dataclass(frozen=True)
class Files:
    """A certificate that signs itself, for localhost, and its key."""

    chain: Path
    key: Path

    def replace(self, new: "Files") -> None:
        """Renew it: each file in one step."""
        new.key.replace(self.key)
        new.chain.replace(self.chain)

    def client(self) -> ssl.SSLContext:
        """For a client that trusts it alone."""
        return ssl.create_default_context(cafile=str(self.chain))


def make(folder: Path, name: str = "edge", days: int = 2) -> Files:
    """A new one in `folder`. Raises OpensslError."""
    files = Files(folder / f"{name}.pem", folder / f"{name}.key")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = ("req", "-x509", *curve, "-days", days, "-subj", "/CN=localhost", "-addext", names)
    openssl(*command, "-keyout", files.key, "-out", files.chain)
    files.key.chmod(0o600)
    return files
