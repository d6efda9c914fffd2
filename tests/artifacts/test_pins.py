"""What is pinned of others: the list has everything, and the command needs no network for it."""

import os
import re
import subprocess

import pytest

from artifacts.binaries import BINARIES
from artifacts.kubernetes import PROGRAMS
from artifacts.pins import pins, required
from tools.root import ROOT

COMMAND = ROOT / "scripts" / "pins"


def test_each_pinned_package_is_listed_with_its_files() -> None:
    listed = {(pin.name, pin.version, file) for pin in pins() for file in pin.files}
    for lock in (ROOT / "requirements").glob("*.txt"):
        named = re.findall(r"(?m)^([\w.-]+)==(\S+)", lock.read_text())
        assert named
        for name, version in named:
            assert (name, version, f"requirements/{lock.name}") in listed


def test_each_server_is_listed_in_its_version() -> None:
    listed = {pin.name: pin.version for pin in pins()}
    assert "cassandra" in listed
    for binary in BINARIES.values():
        if binary.recipe is None:
            assert listed[binary.name] == binary.version
        else:
            assert listed[binary.recipe.package] == f"v{binary.version}"
    kube = PROGRAMS["kube"]
    assert listed["k8s.io/kubernetes"] == f"v{kube.version}"


GO_MOD = """
module example.org/x

require example.org/one v1.2.3

require (
	example.org/two v0.0.0-20251112 // its own is ./two
	example.org/three/v3 v3.0.1
	example.org/brought v1.0.0 // indirect
)

exclude (
	example.org/one v1.2.2 // broken
)

replace example.org/two => example.org/fork v0.0.1
"""


def test_of_a_go_mod_only_what_it_requires_itself_is_listed() -> None:
    assert required(GO_MOD) == [
        ("example.org/one", "v1.2.3"),
        ("example.org/two", "v0.0.0-20251112"),
        ("example.org/three/v3", "v3.0.1"),
    ]


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **settings}
    return subprocess.run(
        [COMMAND, *arguments], capture_output=True, text=True, check=True, env=environment
    )


def test_offline_it_asks_nobody() -> None:
    nowhere = "http://127.0.0.1:9"
    shown = run("--offline", PIP_INDEX_URL=nowhere, GOPROXY=nowhere)
    assert re.search(r"^  tornado +\d", shown.stdout, re.MULTILINE)
    assert shown.stderr == ""


@pytest.mark.parametrize("name", ["tornado", "github.com/hashicorp/nomad"])
def test_an_index_that_does_not_answer_is_named(name: str) -> None:
    nowhere = "http://127.0.0.1:9"
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY", "HTTP_PROXY"), nowhere)
    shown = run(**proxies, PIP_INDEX_URL=nowhere, GOPROXY=nowhere)
    assert re.search(rf"^  {name} +v?\d", shown.stdout, re.MULTILINE)
    assert re.search(rf"^  {name} v?\S+: .*refused", shown.stderr, re.MULTILINE)


@pytest.mark.parametrize("days", ["99999999999", "9" * 5000, "-1", "some"])
def test_an_age_beyond_all_bounds_is_refused(days: str) -> None:
    command = [str(COMMAND), "--offline", "--older-than", days]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.endswith("allowed is 0 to 36500\n")
