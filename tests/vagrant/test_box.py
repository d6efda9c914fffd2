"""The project's own box."""

import json
import subprocess
from pathlib import Path

from tools.root import ROOT

SCRIPT = ROOT / "scripts" / "box"


def test_it_is_a_box_for_libvirt(box: Path) -> None:
    listed = subprocess.run(["tar", "-tf", str(box)], capture_output=True, text=True, check=True)
    assert set(listed.stdout.split()) == {"metadata.json", "Vagrantfile", "box.img"}
    command = ["tar", "-xOf", str(box), "metadata.json"]
    metadata = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert (metadata["provider"], metadata["format"]) == ("libvirt", "qcow2")


def test_made_again_it_is_left_alone(box: Path) -> None:
    before = box.stat().st_ino
    again = subprocess.run([SCRIPT, "build"], capture_output=True, text=True, check=True)
    assert "is up to date" in again.stderr
    assert again.stdout == f"{box}\n"
    assert box.stat().st_ino == before


def test_its_making_leaves_no_mount_and_no_loop_device(box: Path) -> None:
    home = str(box.parent)
    assert home not in Path("/proc/mounts").read_text()
    devices = subprocess.run(["losetup", "--all"], capture_output=True, text=True, check=True)
    assert home not in devices.stdout
    assert {path.name for path in box.parent.iterdir()} == {"node.box", "box.json"}
