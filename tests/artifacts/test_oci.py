"""Images made from files: what is in a layer; an archive is whole, and the same each time."""

import hashlib
import json
import os
import tarfile
from pathlib import Path

import pytest

from artifacts.oci import Image, Layer, write_archive, write_layer


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A program with a link, a script, and what Python leaves."""
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin" / "run").write_text("#!/bin/sh\n")
    (tree / "bin" / "run").chmod(0o755)
    (tree / "sbin").symlink_to("bin")
    (tree / "__pycache__").mkdir()
    (tree / "__pycache__" / "x.pyc").write_text("x")
    os.link(tree / "bin" / "run", tree / "walk")
    return tree


def test_a_layer_has_the_tree_at_its_path_and_belongs_to_root(tree: Path, tmp_path: Path) -> None:
    layer = tmp_path / "layer.tar"
    write_layer(layer, {"/app/it": tree}, {"/data": 10001})
    with tarfile.open(layer) as tar:
        members = {member.name: member for member in tar}
    names = ["app", "app/it", "app/it/sbin", "app/it/walk", "app/it/bin", "app/it/bin/run", "data"]
    assert [*members] == names
    assert members["app/it/sbin"].linkname == "bin"
    assert members["app/it/bin/run"].mode == 0o755
    assert members["app/it/walk"].size == members["app/it/bin/run"].size > 0
    assert {member.uid for member in members.values()} == {0, 10001}
    assert members["data"].uid == 10001


def test_the_same_files_are_the_same_layer_at_any_time(tree: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    write_layer(first, {"/": tree})
    os.utime(tree / "bin" / "run", (1, 1))
    write_layer(second, {"/": tree})
    assert Layer.of(first).sha256 == Layer.of(second).sha256


def test_an_archive_has_each_blob_by_its_checksum_and_shared_layers_once(
    tree: Path, tmp_path: Path
) -> None:
    write_layer(tmp_path / "layer.tar", {"/": tree})
    layer = Layer.of(tmp_path / "layer.tar")
    images = [Image(f"example.com/{name}:1", [layer], ["/bin/run"]) for name in ("one", "two")]
    write_archive(tmp_path / "images.tar", images)
    with tarfile.open(tmp_path / "images.tar") as tar:
        contents = {one.name: content.read() for one in tar if (content := tar.extractfile(one))}
    blobs = {name: data for name, data in contents.items() if name.startswith("blobs/")}
    for name, data in blobs.items():
        assert name == f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"
    index = json.loads(contents["index.json"])
    names = [one["annotations"]["io.containerd.image.name"] for one in index["manifests"]]
    assert names == ["example.com/one:1", "example.com/two:1"]
    for entry in index["manifests"]:
        manifest = json.loads(blobs[f"blobs/sha256/{entry['digest'].partition(':')[2]}"])
        assert manifest["layers"][0]["digest"] == f"sha256:{layer.sha256}"
        config = blobs[f"blobs/sha256/{manifest['config']['digest'].partition(':')[2]}"]
        assert json.loads(config)["rootfs"]["diff_ids"] == [f"sha256:{layer.sha256}"]
    assert len(blobs) == 3  # a layer, a configuration, a manifest: only the names differ
