"""The cluster's certificates and the files by which its parts find the API, made by openssl.

They are in one folder. Kubeconfigs name the others by their names alone, so the folder may be
anywhere.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from cluster.access.secrets import write_private
from kubelab.layout import API, API_SERVICE, FIRST, LabError, Node
from tools.openssl import OpensslError, openssl

DAYS = "3650"
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
ADMIN = "admin"
API_NAMES = (
    "DNS:kubernetes",
    "DNS:kubernetes.default",
    "DNS:kubernetes.default.svc",
    "DNS:kubernetes.default.svc.cluster.local",
    "DNS:localhost",
    "IP:127.0.0.1",
    f"IP:{API_SERVICE}",
    f"IP:{FIRST.address}",
)
SUBJECTS = {  # what the API's roles know its clients by
    ADMIN: "/O=system:masters/CN=admin",
    "controller-manager": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
    "kube-proxy": "/CN=system:kube-proxy",
}


def make(folder: Path, nodes: Sequence[Node]) -> None:
    """Have all of them in `folder`, which only this user may read. Raises LabError."""
    folder.mkdir(mode=0o700, exist_ok=True)
    made = folder / "made"
    if made.exists() and made.read_text() == str(len(nodes)):
        return
    if not made.exists():
        _make_common(folder)
    for node in nodes:
        if not (folder / f"{node.name}.kubeconfig").exists():
            subject = f"/O=system:nodes/CN=system:node:{node.name}"
            names = [f"DNS:{node.name}", f"IP:{node.address}"]
            _certificate(folder, f"{node.name}-server", subject, names)
            _client(folder, node.name, subject)
    made.write_text(str(len(nodes)))


def _make_common(folder: Path) -> None:
    for name in ("ca", "front-proxy-ca"):
        uses = "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"
        _openssl(
            folder,
            *("req", "-x509", *CURVE, "-days", DAYS, "-subj", f"/CN={name}", "-addext", uses),
            *("-keyout", f"{name}.key", "-out", f"{name}.crt"),
        )
    _certificate(folder, "apiserver", "/CN=kube-apiserver", API_NAMES)
    kubelets = "/O=system:masters/CN=kube-apiserver-kubelet-client"
    _certificate(folder, "apiserver-kubelet-client", kubelets)
    _certificate(folder, "front-proxy-client", "/CN=front-proxy-client", authority="front-proxy-ca")
    for name, subject in SUBJECTS.items():
        _client(folder, name, subject)
    _openssl(folder, "genpkey", "-algorithm", "EC", "-pkeyopt", CURVE[3], "-out", "accounts.key")
    _openssl(folder, "pkey", "-in", "accounts.key", "-pubout", "-out", "accounts.pub")


def _client(folder: Path, name: str, subject: str) -> None:
    """A certificate and a kubeconfig with it."""
    _certificate(folder, name, subject)
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "lab", "cluster": {"server": API, "certificate-authority": "ca.crt"}}
        ],
        "users": [
            {
                "name": name,
                "user": {"client-certificate": f"{name}.crt", "client-key": f"{name}.key"},
            }
        ],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": name}}],
        "current-context": "lab",
    }
    write_private(folder / f"{name}.kubeconfig", json.dumps(document, indent=1))


def _certificate(
    folder: Path, name: str, subject: str, names: Sequence[str] = (), authority: str = "ca"
) -> None:
    """A key and its certificate for clients and servers, signed by `authority`."""
    request = ["-keyout", f"{name}.key", "-out", f"{name}.csr"]
    _openssl(folder, "req", *CURVE, "-subj", subject, *request)
    lines = ["keyUsage=critical,digitalSignature", "extendedKeyUsage=clientAuth,serverAuth"]
    if names:
        lines.append(f"subjectAltName={','.join(names)}")
    extensions = folder / f"{name}.ext"
    extensions.write_text("\n".join(lines) + "\n")
    _openssl(
        folder,
        *("x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.crt"),
        *("-CAkey", f"{authority}.key", "-CAcreateserial", "-days", DAYS),
        *("-extfile", extensions.name, "-out", f"{name}.crt"),
    )
    extensions.unlink()
    (folder / f"{name}.csr").unlink()


def _openssl(folder: Path, *arguments: str) -> None:
    try:
        openssl(*arguments, folder=folder)
    except OpensslError as error:
        raise LabError(str(error)) from error
