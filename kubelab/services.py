"""The parts that run on a node: their unit files, and their configuration.

The node's first process (`node/init.py`) starts the units in order, and those that end again.
"""

import json
from pathlib import Path
from typing import Any

from kubelab.layout import (
    API_PORT,
    DNS_SERVICE,
    ON_NODES,
    POD_NETWORK,
    SERVICE_NETWORK,
    STATE,
    Node,
)

PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
)
"""The parts of the program `kube`."""
PKI = ON_NODES / "pki"
OPEN_FILES = 1048576  # as many as the machine allows, if that is less
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
PAUSE_IMAGE = "teracompra.local/pause:1"


def write(node: Node) -> list[str]:
    """Write what the node's parts read; its unit files, as the node sees them."""
    folder = node.directory / "units"
    folder.mkdir(parents=True, exist_ok=True)
    commands = {**(_control_plane(node) if node.has_control_plane else {}), **_own(node)}
    for name, command in commands.items():
        (folder / f"{name}.service").write_text(
            f"[Service]\nExecStart={' '.join(command)}\nLimitNOFILE={OPEN_FILES}\n"
        )
    return [str(_seen(folder / f"{name}.service")) for name in commands]


def _seen(path: Path) -> Path:
    """Where a node sees a file of STATE."""
    return ON_NODES / path.relative_to(STATE)


def _program(name: str, **options: object) -> list[str]:
    """A part's command; the option `leader_elect` is --leader-elect."""
    return [
        str(ON_NODES / "bin" / name),
        *(f"--{key.replace('_', '-')}={_text(value)}" for key, value in options.items()),
    ]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _control_plane(node: Node) -> dict[str, list[str]]:
    requests = {"requestheader_client_ca_file": PKI / "front-proxy-ca.crt"}
    store = "http://127.0.0.1:2379"
    return {
        "etcd": _program(
            "etcd",
            data_dir="/var/lib/etcd",
            listen_client_urls=store,
            advertise_client_urls=store,
            listen_peer_urls="http://127.0.0.1:2380",
            log_level="warn",
        ),
        "kube-apiserver": _program(
            "kube-apiserver",
            etcd_servers=store,
            advertise_address=node.address,
            bind_address="0.0.0.0",  # noqa: S104 - of a network that has only nodes and their host
            secure_port=API_PORT,
            service_cluster_ip_range=SERVICE_NETWORK,
            authorization_mode="Node,RBAC",
            enable_admission_plugins="NodeRestriction",
            allow_privileged=True,
            profiling=False,
            client_ca_file=PKI / "ca.crt",
            tls_cert_file=PKI / "apiserver.crt",
            tls_private_key_file=PKI / "apiserver.key",
            kubelet_certificate_authority=PKI / "ca.crt",
            kubelet_client_certificate=PKI / "apiserver-kubelet-client.crt",
            kubelet_client_key=PKI / "apiserver-kubelet-client.key",
            kubelet_preferred_address_types="InternalIP",
            service_account_issuer="https://kubernetes.default.svc.cluster.local",
            service_account_key_file=PKI / "accounts.pub",
            service_account_signing_key_file=PKI / "accounts.key",
            requestheader_allowed_names="front-proxy-client",
            requestheader_extra_headers_prefix="X-Remote-Extra-",
            requestheader_group_headers="X-Remote-Group",
            requestheader_username_headers="X-Remote-User",
            proxy_client_cert_file=PKI / "front-proxy-client.crt",
            proxy_client_key_file=PKI / "front-proxy-client.key",
            **requests,
        ),
        "kube-controller-manager": _program(
            "kube-controller-manager",
            **_clients("controller-manager"),
            use_service_account_credentials=True,
            service_account_private_key_file=PKI / "accounts.key",
            root_ca_file=PKI / "ca.crt",
            cluster_signing_cert_file=PKI / "ca.crt",
            cluster_signing_key_file=PKI / "ca.key",
            cluster_cidr=POD_NETWORK,
            service_cluster_ip_range=SERVICE_NETWORK,
            **requests,
        ),
        "kube-scheduler": _program("kube-scheduler", **_clients("scheduler")),
    }


def _clients(name: str) -> dict[str, object]:
    """What the API's own clients have in common."""
    configuration = PKI / f"{name}.kubeconfig"
    return {
        "kubeconfig": configuration,
        "authentication_kubeconfig": configuration,
        "authorization_kubeconfig": configuration,
        "leader_elect": False,
        "bind_address": "127.0.0.1",
        "profiling": False,
    }


def _own(node: Node) -> dict[str, list[str]]:
    """What every node has."""
    folder = node.directory / "configuration"
    (folder / "cni").mkdir(parents=True, exist_ok=True)
    (folder / "cni" / "10-bridge.conflist").write_text(json.dumps(_network(node), indent=1))
    (folder / "containerd.toml").write_text(_containerd(_seen(folder / "cni")))
    (folder / "kubelet.json").write_text(json.dumps(_kubelet(node), indent=1))
    (folder / "kube-proxy.json").write_text(json.dumps(_proxy(node), indent=1))
    return {
        "containerd": ["/usr/bin/containerd", "--config", str(_seen(folder / "containerd.toml"))],
        "kubelet": _program(
            "kubelet",
            config=_seen(folder / "kubelet.json"),
            kubeconfig=PKI / f"{node.name}.kubeconfig",
            hostname_override=node.name,
            node_ip=node.address,
        ),
        "kube-proxy": _program("kube-proxy", config=_seen(folder / "kube-proxy.json")),
    }


def _network(node: Node) -> dict[str, Any]:
    """The pods' bridge; their addresses are routed, not masqueraded."""
    ranges = {"type": "host-local", "ranges": [[{"subnet": node.pods}]]}
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "ipMasq": False,
                "hairpinMode": True,
                "ipam": {**ranges, "routes": [{"dst": "0.0.0.0/0"}]},
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _containerd(networks: Path) -> str:
    return f"""\
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{networks}"
"""


def _kubelet(node: Node) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.group}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(PKI / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(PKI / f"{node.name}-server.crt"),
        "tlsPrivateKeyFile": str(PKI / f"{node.name}-server.key"),
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "volumePluginDir": "/var/lib/volume-plugins",
        # Images come from no registry: one that was removed for want of room would be gone.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
        },
    }


def _proxy(node: Node) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": POD_NETWORK,
        "hostnameOverride": node.name,
        "clientConnection": {"kubeconfig": str(PKI / "kube-proxy.kubeconfig")},
        # The kernel has one such table for all networks; it is the machine's to size.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "metricsBindAddress": "127.0.0.1:10249",
    }
