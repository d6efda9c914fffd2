"""Certificates, by openssl. Each kind of agent has an authority of its own: none opens another.

AUTHORITY/ca.pem ca-key.pem         the key stays on the operator's machine
AGENT/ca.pem agent.pem agent-key.pem
AGENT/both.pem                      certificate and key in one, as Cassandra wants them
"""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.access.secrets import write_private
from cluster.layout import ClusterError
from tools.openssl import OpensslError, openssl

DAY_SECONDS = 86400
DAYS = 825
AUTHORITY_DAYS = 3650
AUTHORITY = """
[req]
distinguished_name = name
prompt = no
x509_extensions = authority
[name]
CN = {name}
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""
AGENT = """
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = DNS:{name}, DNS:localhost, IP:127.0.0.1
"""


def certify(name: str, authority: Path, agent: Path) -> None:
    """Make an authority, and with it a certificate of that name. Raises ClusterError."""
    with _owner_only():
        (authority / "ca.cnf").write_text(AUTHORITY.format(name=f"{name} authority"))
        _key(authority / "ca-key.pem")
        command = ["req", "-x509", "-new", "-sha256", "-config", authority / "ca.cnf"]
        command += ["-key", authority / "ca-key.pem", "-out", authority / "ca.pem"]
        _openssl(*command, "-days", AUTHORITY_DAYS)
    renew(name, authority, agent)


def renew(name: str, authority: Path, agent: Path) -> None:
    """Make another certificate, with a key of its own. Raises ClusterError."""
    with _owner_only():
        extensions, request = authority / "agent.cnf", authority / "agent.csr"
        extensions.write_text(AGENT.format(name=name))
        _key(authority / "agent-key.pem")
        command = ["req", "-new", "-sha256", "-key", authority / "agent-key.pem"]
        _openssl(*command, "-config", authority / "ca.cnf", "-out", request, "-subj", f"/CN={name}")
        command = ["x509", "-req", "-sha256", "-in", request, "-days", DAYS]
        command += ["-CA", authority / "ca.pem", "-CAkey", authority / "ca-key.pem"]
        command += ["-CAcreateserial", "-extfile", extensions]
        _openssl(*command, "-out", authority / "agent.pem")
        for file in ("ca.pem", "agent.pem", "agent-key.pem"):
            write_private(agent / file, (authority / file).read_text())
        both = (authority / "agent-key.pem").read_text() + (authority / "agent.pem").read_text()
        write_private(agent / "both.pem", both)
        (authority / "agent-key.pem").unlink()


def days_left(agent: Path, now: float) -> float:
    """For how many days from `now` (Unix time) the agent's certificate is valid.

    Raises ClusterError.
    """
    shown = _openssl("x509", "-noout", "-enddate", "-in", agent / "agent.pem")
    return (ssl.cert_time_to_seconds(shown.strip().partition("=")[2]) - now) / DAY_SECONDS


def _key(file: Path) -> None:
    curve = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    _openssl("genpkey", *curve, "-out", file)  # PKCS #8, which the JVM wants


@contextmanager
def _owner_only() -> Iterator[None]:
    """Files that are made meanwhile are for their owner alone."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _openssl(*arguments: object) -> str:
    try:
        return openssl(*arguments)
    except OpensslError as error:
        raise ClusterError(str(error)) from error
