"""Container images in the OCI's format, made from files: no engine and no registry is needed.

A layer is a tar file, uncompressed: it is unpacked on this machine. An archive has any number of
images and each of their layers once; `ctr images import` takes it. Both are reproducible: files are
sorted, belong to root, and have no time.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from artifacts.fetch import sha256
from artifacts.go import architecture

LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
LEFT_OUT = frozenset({"__pycache__"})


@dataclass(frozen=True)
class Layer:
    """A tar file, and its SHA-256."""

    path: Path
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Layer":
        """A layer whose checksum is not known yet."""
        return cls(path, sha256(path))


@dataclass(frozen=True)
class Image:
    """What runs in a container: its name with its tag, its layers, lowest first, and its start."""

    name: str
    layers: Sequence[Layer]
    entry: Sequence[str]
    user: str = ""
    workdir: str = "/"
    environment: Mapping[str, str] = field(default_factory=dict)


def write_layer(
    target: Path, trees: Mapping[str, Path], folders: Mapping[str, int] | None = None
) -> None:
    """Write a layer that has each tree, a folder or a file, at its path.

    `folders` are empty ones, and the number of the user to whom each belongs. Raises OSError.
    """
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        made: set[PurePosixPath] = set()
        for path, source in trees.items():
            for name, file in _below(PurePosixPath(path.lstrip("/")), source):
                _add_parents(tar, name, made)
                _add(tar, name, file)
                made.add(name)
        for path, owner in (folders or {}).items():
            name = PurePosixPath(path.lstrip("/"))
            _add_parents(tar, name, made)
            tar.addfile(_folder(name, owner))


def _below(path: PurePosixPath, source: Path) -> Iterator[tuple[PurePosixPath, Path]]:
    """Everything of a tree, by its name in the layer; folders before what is in them."""
    if source.is_symlink() or not source.is_dir():
        yield path, source
        return
    for folder, folders, files in os.walk(source):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        here = path / Path(folder).relative_to(source)
        if here.name:
            yield here, Path(folder)
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in sorted([*files, *links]):
            yield here / name, Path(folder, name)


def _add(tar: tarfile.TarFile, name: PurePosixPath, file: Path) -> None:
    member = tar.gettarinfo(file, str(name))
    if member is None or member.ischr() or member.isblk() or member.isfifo():
        return  # a container gets its devices from its runtime
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    if member.islnk():  # a file that has come already under another name
        member.type, member.linkname, member.size = tarfile.REGTYPE, "", file.stat().st_size
    if member.isreg():
        with file.open("rb") as content:
            tar.addfile(member, content)
    else:
        tar.addfile(member)


def _add_parents(tar: tarfile.TarFile, name: PurePosixPath, made: set[PurePosixPath]) -> None:
    for parent in reversed(name.parents):
        if parent.name and parent not in made:
            made.add(parent)
            tar.addfile(_folder(parent, 0))


def _folder(name: PurePosixPath, owner: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(str(name))
    member.type, member.mode, member.uid, member.gid = tarfile.DIRTYPE, 0o755, owner, owner
    return member


def write_archive(target: Path, images: Sequence[Image]) -> None:
    """Write an archive of the images. Raises OSError."""
    blobs: dict[str, bytes] = {}
    index = {"schemaVersion": 2, "manifests": [_manifest(image, blobs) for image in images]}
    layers = {layer.sha256: layer for image in images for layer in image.layers}
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        _add_bytes(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _add_bytes(tar, "index.json", _json(index))
        for digest, data in blobs.items():
            _add_bytes(tar, f"blobs/sha256/{digest}", data)
        for digest, layer in layers.items():
            _add(tar, PurePosixPath("blobs/sha256", digest), layer.path)


def _manifest(image: Image, blobs: dict[str, bytes]) -> dict[str, Any]:
    """The image's entry of the index; its manifest and its configuration come into `blobs`."""
    config = {
        "architecture": architecture(),
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{one.sha256}" for one in image.layers]},
        "config": {
            "Entrypoint": list(image.entry),
            "Env": [f"{name}={value}" for name, value in image.environment.items()],
            "User": image.user,
            "WorkingDir": image.workdir,
        },
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _blob(CONFIG_TYPE, config, blobs),
        "layers": [
            {
                "mediaType": LAYER_TYPE,
                "digest": f"sha256:{one.sha256}",
                "size": one.path.stat().st_size,
            }
            for one in image.layers
        ],
    }
    names = {
        "io.containerd.image.name": image.name,
        "org.opencontainers.image.ref.name": image.name.rpartition(":")[2],
    }
    return {**_blob(MANIFEST_TYPE, manifest, blobs), "annotations": names}


def _blob(kind: str, document: Any, blobs: dict[str, bytes]) -> dict[str, Any]:
    data = _json(document)
    digest = hashlib.sha256(data).hexdigest()
    blobs[digest] = data
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}


def _json(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True).encode()


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
