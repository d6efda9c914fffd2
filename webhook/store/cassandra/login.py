"""Who a receiver is to its ring: a user and a password, from its URL or from a file."""

from pathlib import Path

from cassandra import AuthenticationFailed
from cassandra.auth import Authenticator, AuthProvider, PlainTextAuthenticator

Login = tuple[str, str]
"""User and password."""


class LoginError(Exception):
    """A file that can't be used; the message says why, and nothing of what is in it."""


class FileLogin(AuthProvider):  # type: ignore[misc]  # the driver has no types
    """Reads the file at each log-in, so that a changed password holds from the next one on.

    Connections that are open stay, until the keeper has others (`keeper`).
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def new_authenticator(self, host: str) -> Authenticator | None:  # noqa: ARG002 - all know the same
        """For one connection. Raises AuthenticationFailed, after which it is tried again."""
        try:
            login = read_login(self._file)
        except LoginError as error:
            raise AuthenticationFailed(str(error)) from None
        return None if login is None else PlainTextAuthenticator(*login)


def read_login(file: Path) -> Login | None:
    """The user and the password in the file's one line, None if it is empty. Raises LoginError."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise LoginError(f"the login in {file} can't be read: {reason}") from None
    if not lines:
        return None
    user, separator, password = lines[0].partition(" ") if len(lines) == 1 else ("", "", "")
    if not (user and separator and password):
        raise LoginError(f"{file} must have one line: USER PASSWORD")
    return user, password
