"""What a node changes outside of its namespaces, and how that is put back.

Pods have control groups of the machine's own tree, and kubelets set a few of the machine's own
kernel settings.
"""

import json
from pathlib import Path

from cluster.linux.namespace import await_that
from kubelab.layout import GROUP, STATE, Node

GROUPS = Path("/sys/fs/cgroup")
CONTROLLERS = (
    *("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd"),
    "hugetlb",
)
UNIFIED = ("cpuset", "cpu", "io", "memory", "pids")
SETTINGS = (
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
"""What a kubelet sets."""
KEPT = STATE / "settings.json"


def keep_settings() -> None:
    """Record the machine's settings, unless that was done."""
    if not KEPT.exists():
        found = {name: Path("/proc/sys", name).read_text().strip() for name in SETTINGS}
        KEPT.write_text(json.dumps(found, indent=1))


def restore_settings() -> None:
    """Put back what was recorded."""
    if KEPT.exists():
        for name, value in json.loads(KEPT.read_text()).items():
            Path("/proc/sys", name).write_text(value)


def make_groups(node: Node) -> None:
    """Make the control group of the node's pods, in each tree that there is."""
    if (GROUPS / "cgroup.controllers").exists():  # version 2
        _make(GROUPS, node, unified=True)
        return
    for controller in CONTROLLERS:
        if (GROUPS / controller).is_dir():
            _make(GROUPS / controller, node, unified=False)


def _make(tree: Path, node: Node, *, unified: bool) -> None:
    above = tree
    for name in Path(node.group).parts:
        group = above / name
        group.mkdir(exist_ok=True)
        if unified:
            wanted = (above / "cgroup.controllers").read_text().split()
            enable = " ".join(f"+{one}" for one in UNIFIED if one in wanted)
            (above / "cgroup.subtree_control").write_text(enable)
        elif tree.name == "cpuset":  # a new one is empty, and takes no process
            for file in ("cpuset.cpus", "cpuset.mems"):
                (group / file).write_text((above / file).read_text())
        above = group


def remove_groups(of: str = GROUP) -> None:
    """Remove a control group and all below it, as soon as the kernel has ended what was in it."""
    await_that(lambda: _removed(of), f"the end of the control groups {of}")


def _removed(name: str) -> bool:
    tops = [*GROUPS.glob(name), *GROUPS.glob(f"*/{name}")]
    for top in tops:
        groups = [path for path in top.glob("**/*") if path.is_dir()]
        for group in [*sorted(groups, key=lambda one: len(one.parts), reverse=True), top]:
            try:
                group.rmdir()
            except FileNotFoundError:
                continue
            except OSError:  # something in it has not ended yet
                return False
    return True
