"""The images that the cluster runs: the product's, of this checkout, and the add-ons'.

The product's have what its Dockerfiles put into theirs.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from artifacts import layers
from artifacts.fetch import sha256
from artifacts.kubernetes import COREDNS, KUBE, LOCAL_PATH, PAUSE
from artifacts.oci import Image, Layer, write_archive, write_layer
from kubelab.layout import STATE
from kubelab.services import PAUSE_IMAGE
from tools.root import ROOT

USER = "10001:10001"
ENVIRONMENT = {
    "PATH": "/jre/bin:/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONPATH": "/packages",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
RING = ("scripts/cassandra", "cassandra", "cluster", "artifacts", "tools", "requirements")
"""What `scripts/cassandra` needs."""


def version() -> str:
    """The product's, which the manifests name."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return str(document["project"]["version"])


def write_all() -> tuple[Path, str]:
    """Have an archive of all images; where it is, and its checksum."""
    return _write("all", [*addons(), *product(version())])


def write_release(tag: str) -> tuple[Path, str]:
    """An archive of the receiver's image under another tag."""
    return _write("release", [webhook(tag)])


def _write(name: str, images: Sequence[Image]) -> tuple[Path, str]:
    target = _folder() / f"{name}.tar"
    write_archive(target, images)
    return target, sha256(target)


def _folder() -> Path:
    folder = STATE / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def addons() -> list[Image]:
    """What a cluster needs beside the product; Kubernetes itself, for metrics-server."""
    programs = {
        PAUSE_IMAGE: PAUSE,
        "teracompra.local/kube:1": KUBE,
        "teracompra.local/coredns:1": COREDNS,
        "teracompra.local/local-path-provisioner:1": LOCAL_PATH,
    }
    return [
        *(Image(name, [layers.program(one)], [f"/{one.name}"]) for name, one in programs.items()),
        Image(
            "teracompra.local/python:1",
            [layers.debian_python()],
            ["python3"],
            environment=ENVIRONMENT,
        ),
    ]


def product(tag: str) -> list[Image]:
    """The receiver, the load generator, and a node of the ring, as of this checkout."""
    base = layers.debian_python()
    driver = layers.wheels("webhook")
    return [
        webhook(tag),
        _python("tgibf", tag, [base, layers.wheels("tgibf"), _code("tgibf", "tgibf")]),
        Image(
            f"docker.io/teracompra/cassandra:{tag}",
            [base, layers.java(), layers.cassandra_jars(), driver, _code("cassandra", *RING)],
            ["python3", "scripts/cassandra"],
            USER,
            "/app",
            {**ENVIRONMENT, "XDG_CACHE_HOME": "/cache"},
        ),
    ]


def webhook(tag: str) -> Image:
    """The receiver, as of this checkout."""
    its_layers = [layers.debian_python(), layers.wheels("webhook"), _code("webhook", "webhook")]
    return _python("webhook", tag, its_layers)


def _python(name: str, tag: str, its_layers: Sequence[Layer]) -> Image:
    return Image(
        f"docker.io/teracompra/{name}:{tag}",
        its_layers,
        ["python3", "-m", name],
        USER,
        "/app",
        ENVIRONMENT,
    )


def _code(name: str, *paths: str) -> Layer:
    """These files and folders of the checkout, in /app."""
    target = _folder() / f"{name}.layer.tar"
    trees: Mapping[str, Path] = {f"/app/{path}": ROOT / path for path in paths}
    write_layer(target, trees)
    return Layer.of(target)
