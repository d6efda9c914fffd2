"""The programs of a Kubernetes cluster, built from source into the cache.

All of Kubernetes, etcd and metrics-server are one program, `kube`: what it is called as says which
part it is. There is no official release of that, so Go builds it, which takes about ten minutes on
two cores the first time. `PROGRAMS` are kept apart from the servers' programs
(`artifacts.binaries.BINARIES`), since nodes made of namespaces and virtual machines need none.
"""

from artifacts.binaries import SOURCES, Binary
from artifacts.go import Recipe

VERSION = "1.37.2"
_SOURCES = SOURCES / "kubernetes"
_COMPONENT = "k8s.io/component-base/version"

KUBE = Binary(
    "kube",
    VERSION,
    "version",
    {},
    Recipe(
        _SOURCES,
        "./kube",
        variables={
            f"{_COMPONENT}.gitVersion": f"v{VERSION}",
            f"{_COMPONENT}.gitMajor": VERSION.split(".")[0],
            f"{_COMPONENT}.gitMinor": VERSION.split(".")[1],
        },
        stripped=True,
    ),
)
COREDNS = Binary("coredns", "1.15.0", "version", {}, Recipe(_SOURCES, "./dns", stripped=True))
PAUSE = Binary(
    "pause",
    "1.0.0",
    "version",
    {},
    Recipe(_SOURCES, "./pause", variables={"main.version": "1.0.0"}, stripped=True),
)
LOCAL_PATH = Binary(
    "local-path-provisioner",
    "0.0.30",
    "--version",
    {},
    Recipe(
        SOURCES / "local-path-provisioner",
        "github.com/rancher/local-path-provisioner",
        variables={"main.VERSION": "0.0.30"},
        stripped=True,
    ),
)
KUBECONFORM = Binary(
    "kubeconform",
    "0.8.0",
    "-v",
    {},
    Recipe(
        SOURCES / "kubeconform",
        "github.com/yannh/kubeconform/cmd/kubeconform",
        variables={"main.version": "0.8.0"},
        stripped=True,
    ),
)
PROGRAMS = {binary.name: binary for binary in (KUBE, COREDNS, PAUSE, LOCAL_PATH, KUBECONFORM)}
