"""Files out of Debian packages, without Debian's tools: other systems have none."""

import tarfile
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfileobj
from typing import BinaryIO

from artifacts.fetch import FetchError

MAGIC = b"!<arch>\n"
HEADER_BYTES = 60


def take(package: Path, name: str, target: Path) -> None:
    """Make `target` the file of that name in the package, such as `./usr/bin/prometheus`.

    Raises FetchError if there is none.
    """
    with package.open("rb") as file:
        for member in _members(file):
            if not member.startswith("data.tar"):
                continue
            with tarfile.open(fileobj=file, mode="r|*") as data:
                for one in data:
                    if one.name == name and (content := data.extractfile(one)) is not None:
                        with target.open("wb") as program:
                            copyfileobj(content, program)
                        return
            break
    raise FetchError(f"{package.name} has no {name}")


def _members(archive: BinaryIO) -> Iterator[str]:
    """Names of an archive's files (ar(5)); the archive is at the content of each meanwhile."""
    if archive.read(len(MAGIC)) != MAGIC:
        raise FetchError("it is no Debian package")
    while len(header := archive.read(HEADER_BYTES)) == HEADER_BYTES:
        size, begin = int(header[48:58]), archive.tell()
        yield header[:16].decode("ascii").rstrip(" /")
        archive.seek(begin + size + size % 2)
