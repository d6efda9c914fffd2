"""The stages of `scripts/test`, quickest first, and which tests are in which.

A test belongs to the last stage that one of its fixtures or marks names; without any, to the stage
that has its folder. So each test is in exactly one stage. A separate pytest runs each stage.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

NODE_SERVERS = ("nomad", "consul", "fabio", "nomad-autoscaler", "prometheus")
NODE_COMMANDS = {
    "ip": "iproute2",
    "java": "openjdk-17-jre-headless",
    "keytool": "openjdk-17-jre-headless",
    "mount": "mount",
    "mvn": "maven",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "strace": "strace",
}


@dataclass(frozen=True)
class Stage:
    """A part of the tests, and what it needs."""

    name: str
    title: str
    seconds: int
    """How long it takes on 2 cores with everything installed and built, as measured."""
    folders: tuple[str, ...] = ()
    """Below tests/: those whose tests need nothing else; a folder within another's goes before."""
    words: frozenset[str] = frozenset()
    """Fixtures and marks that put a test here."""
    commands: Mapping[str, str] = field(default_factory=dict)
    """Commands that its tests use, and the Debian packages that bring them."""
    servers: tuple[str, ...] = ()
    """Servers' programs that it needs: of `scripts/binaries`, or cassandra."""
    root: bool = False
    """Whether nothing of it can run without root."""
    alone: bool = False
    """Whether it runs only if it is named."""
    python: str = ""
    """The version of Python that runs it, if that is another one than runs the others."""
    interpreter: str = ""
    """The path of that Python."""
    repeats: tuple[str, ...] = ()
    """The stages whose tests it runs again."""

    @property
    def tests(self) -> tuple[str, ...]:
        """The stages whose tests it runs."""
        return self.repeats or (self.name,)

    def arguments(self) -> list[str]:
        """What its pytest gets besides."""
        return ["--machines"] if self.name == "machines" else []


STAGES = (
    Stage(
        "unit",
        "pure functions, the rules of the hard modules, the load generator, capacity",
        seconds=120,
        folders=("webhook/rules", "cluster/rules", "tgibf", "capacity", "bench/rules", "tools"),
        commands={"openssl": "openssl"},
    ),
    Stage(
        "receiver",
        "a receiver on SQLite: HTTP, durability, overload, kills",
        seconds=220,
        folders=("webhook", "faults", "harness"),
        commands={
            "faketime": "faketime",
            "mkfs.ext4": "e2fsprogs",
            "mount": "mount",
            "prlimit": "util-linux",
            "strace": "strace",
        },
    ),
    Stage(
        "scripts",
        "what you type: the demo, releases, programs, the load test",
        seconds=190,
        folders=(
            *("scripts", "commands", "suite", "artifacts", "loadtest", "vagrant", "cluster"),
            *("browser", "docker", "kubernetes", "bench", "node"),
        ),
        commands={"ip": "iproute2"},
    ),
    Stage(
        "browser",
        "the live page and the load test's report in Chromium",
        seconds=150,
        words=frozenset({"browser"}),
        commands={"chromium": "chromium", "nginx": "nginx-light"},
    ),
    Stage(
        "docker",
        "the images, and compose, on a Docker engine",
        seconds=115,
        words=frozenset({"docker"}),
        commands={
            "debootstrap": "debootstrap",
            "docker-compose": "docker-compose",
            "dockerd": "docker.io",
            "ip": "iproute2",
            "iptables": "iptables",
        },
        root=True,
    ),
    Stage(
        "consul",
        "receivers that find each other through a Consul agent",
        seconds=60,
        words=frozenset({"consul"}),
        commands={"chromium": "chromium"},
        servers=("consul",),
    ),
    Stage(
        "ring",
        "Cassandra: rings of one, two and three nodes, and their faults",
        seconds=1000,
        words=frozenset({"ring", "rings"}),
        commands={**NODE_COMMANDS, "faketime": "faketime"},
        servers=("cassandra",),
        root=True,
    ),
    Stage(
        "cluster",
        "three nodes with Consul, Nomad, Fabio and Cassandra, and their faults",
        seconds=1560,
        words=frozenset({"cluster", "running_cluster", "prometheus"}),
        commands={**NODE_COMMANDS, "chromium": "chromium", "gcc": "gcc", "nft": "nftables"},
        servers=(*NODE_SERVERS, "cassandra"),
        root=True,
    ),
    Stage(
        "kubernetes",
        "the product on a Kubernetes of one node: load, scaling, a release, a drain",
        seconds=300,
        words=frozenset({"kubernetes"}),
        commands={
            **NODE_COMMANDS,
            "conntrack": "conntrack",
            "containerd": "containerd",
            "debootstrap": "debootstrap",
            "ipset": "ipset",
            "iptables": "iptables",
            "jlink": "openjdk-17-jdk-headless",
            "openssl": "openssl",
            "/usr/lib/cni/bridge": "containernetworking-plugins",
        },
        servers=("cassandra", "kube", "coredns", "pause", "local-path-provisioner"),
        root=True,
        alone=True,
    ),
    Stage(
        "machines",
        "nodes that boot: in containers, and emulated by QEMU",
        seconds=4500,
        words=frozenset({"box", "machines"}),
        commands={
            **NODE_COMMANDS,
            "debootstrap": "debootstrap",
            "dnsmasq": "dnsmasq-base",
            "extlinux": "extlinux",
            "gcc": "gcc",
            "libvirtd": "libvirt-daemon-system",
            "mkfs.ext4": "e2fsprogs",
            "qemu-img": "qemu-utils",
            "qemu-system-x86_64": "qemu-system-x86",
            "rsync": "rsync",
            "systemd-nspawn": "systemd-container",
            "vagrant": "vagrant-libvirt",
            "virsh": "libvirt-clients",
        },
        servers=(*NODE_SERVERS, "cassandra"),
        root=True,
        alone=True,
    ),
)
BY_NAME = {stage.name: stage for stage in STAGES}
REPEATED = ("unit", "receiver")
NEWEST, EVERY = "newest", "every"


def on_other_python(version: str, interpreter: str, repeats: tuple[str, ...] = REPEATED) -> Stage:
    """The stage that runs those of the stages `repeats` again with another Python, such as 3.12."""
    repeated = [BY_NAME[name] for name in repeats]
    return Stage(
        f"python{version}",
        f"{' and '.join(repeats)} again, with Python {version}",
        seconds=40 + sum(stage.seconds for stage in repeated),
        commands={name: package for stage in repeated for name, package in stage.commands.items()},
        python=version,
        interpreter=interpreter,
        repeats=repeats,
    )


@dataclass(frozen=True)
class Suite:
    """Stages under one name, with more arguments for pytest."""

    meaning: str
    stages: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    other_pythons: str = ""
    """With which other supported Pythons that are here tests are run again: `NEWEST` repeats what
    needs no receiver, `EVERY` all that needs no server."""


AT_LENGTH = tuple(
    f"tests/cluster/test_{subject}.py"
    for subject in (
        *("alerts", "autoscaling", "benchmarks", "graphs", "planned_work", "prometheus"),
        *("room", "rotation", "scaling"),
    )
)

SUITES = {
    "all": Suite(
        "everything, each kind of fault once (the default)",
        tuple(stage.name for stage in STAGES if not stage.alone),
        other_pythons=NEWEST,
    ),
    "quick": Suite(
        "what needs neither root nor a server: unit, receiver, scripts",
        ("unit", "receiver", "scripts"),
    ),
    "pythons": Suite(
        "unit and receiver with every supported Python that is here", REPEATED, other_pythons=EVERY
    ),
    "faults": Suite(
        "the faults at length: 20 kills of a receiver, each fault of a ring 5 times, each way to "
        "hurt a node in each role, 20 scalings and 10 releases on a busy machine",
        ("receiver", "ring", "cluster"),
        ("tests/faults", *AT_LENGTH, "--long"),
    ),
    "vagrant": Suite("the stage machines: more than an hour", ("machines",), ("tests/vagrant",)),
} | {stage.name: Suite(stage.title, (stage.name,)) for stage in STAGES if stage.name != "machines"}


def stage_of(path: PurePath, words: Iterable[str]) -> str:
    """The stage of a test: `path` is below tests/, `words` are its fixtures and marks.

    Raises LookupError for a folder that no stage has.
    """
    named = set(words)
    for stage in reversed(STAGES):
        if stage.words & named:
            return stage.name
    for folder in path.parents:  # the nearest first
        for stage in STAGES:
            if str(folder) in stage.folders:
                return stage.name
    raise LookupError(f"tests/{path} is in no stage: suite/stages.py lists the folders")


def missing_commands(stages: Sequence[Stage], is_here: Iterable[str]) -> dict[str, str]:
    """What the stages use and is not here, with the packages that bring it."""
    here = set(is_here)
    needed = {name: package for stage in stages for name, package in stage.commands.items()}
    return {name: package for name, package in needed.items() if name not in here}


def clock(seconds: float) -> str:
    """Minutes and seconds, such as 4:07."""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02}"
