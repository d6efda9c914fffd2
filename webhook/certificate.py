"""The receiver's certificate, from two files that may be renewed while it runs."""

import logging
import ssl
import stat
from pathlib import Path

log = logging.getLogger(__name__)


class CertificateError(Exception):
    """A certificate that can't be used; the message says why."""


class Certificate:
    """Of the files `chain` and `key`, PEM; `look` reads them again when they have changed.

    `context` is for those who come, `peers` for asking other receivers, which have the same
    certificate or one by the same issuer. Raises CertificateError.
    """

    def __init__(self, chain: Path, key: Path) -> None:
        self._chain = chain
        self._key = key
        self._seen = self._identities()
        self.context, self.peers = self._read()

    def look(self) -> bool:
        """Take the files as they are now, as they were if they are wrong; whether they are new."""
        identities = self._identities()
        if identities == self._seen:
            return False
        self._seen = identities
        try:
            self.context, self.peers = self._read()
        except CertificateError as error:
            log.warning("%s; the certificate that was read before remains", error)
            return False
        log.info("the certificate of %s was read again", self._chain)
        return True

    def _read(self) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        try:
            if self._key.stat().st_mode & stat.S_IRWXO:
                raise CertificateError(f"all users may read the key: chmod o= {self._key}")
            return server_context(self._chain, self._key), _peers_context(self._chain)
        except (OSError, ValueError) as error:  # among them what ssl raises
            reason = error.strerror if isinstance(error, FileNotFoundError) else error
            raise CertificateError(
                f"{self._chain} and {self._key} are no certificate with its key: {reason}"
            ) from error

    def _identities(self) -> list[tuple[int, ...]]:
        found: list[tuple[int, ...]] = []
        for path in (self._chain, self._key):
            try:
                one = path.stat()
            except OSError:
                found.append((0,))
            else:
                found.append((one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns, one.st_mode))
        return found


def server_context(chain: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 and later, HTTP/1.1. Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(chain, key, password=lambda: "")  # never ask at a terminal
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    # A half-closed client waits for its answer; OpenSSL before 3 has no such option, and no need.
    context.options |= getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    context.num_tickets = 0  # a connection per event uses none, and each costs 25 us
    return context


def _peers_context(chain: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # they are asked by their addresses
    context.load_verify_locations(chain)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
