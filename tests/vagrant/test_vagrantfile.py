"""The Vagrantfile, as Vagrant reads it for each provider; nothing is started."""

import json
import os
import shutil
import subprocess
from typing import Any

import pytest

from tools.root import ROOT

PROVIDERS = ("virtualbox", "libvirt")
NO_PROVIDER = 3
# What a provider would be told; Vagrant itself reads the file, whether the provider is here or not.
READ = """
require "json"
require "vagrant"
environment = Vagrant::Environment.new(cwd: ARGV[0])
provider = ARGV[1].to_sym
exit 3 unless Vagrant.plugin("2").manager.providers.key?(provider)
def modified(settings, option)
  settings.customizations.map(&:last).find { |command| command[2] == option }.last.to_i
end
nodes = environment.machine_names.map do |name|
  read = environment.vagrantfile.machine_config(name, provider, environment.boxes, nil, false)
  machine = read[:config].vm
  settings = machine.get_provider_config(provider)
  [name, {
    errors: read[:config_errors], warnings: read[:config_warnings],
    box: machine.box, version: machine.box_version,
    memory: provider == :libvirt ? settings.memory : modified(settings, "--memory"),
    cpus: provider == :libvirt ? settings.cpus : modified(settings, "--cpus"),
    networks: machine.networks.map { |kind, options| options.merge(kind: kind) },
    folders: machine.synced_folders,
  }]
end
puts JSON.generate(nodes.to_h)
"""

pytestmark = pytest.mark.skipif(
    shutil.which("vagrant") is None, reason="needs Vagrant; on Debian: apt-get install vagrant"
)


def vagrant(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run vagrant in the repository to its end."""
    return subprocess.run(
        ["vagrant", *arguments],
        cwd=ROOT,
        env={**os.environ, "VAGRANT_NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def nodes(provider: str, **environment: str) -> dict[str, Any]:
    """What Vagrant makes of the file for a provider: the settings of each node by its name."""
    if shutil.which("ruby") is None:
        pytest.skip("needs a Ruby that has Vagrant, as Debian's is")
    read = subprocess.run(
        ["ruby", "-e", READ, str(ROOT), provider],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if read.returncode == NO_PROVIDER:
        pytest.skip(
            f"needs Vagrant's {provider} plugin; on Debian: apt-get install vagrant-libvirt"
        )
    assert read.returncode == 0, read.stderr
    found: dict[str, Any] = json.loads(read.stdout)
    return found


def test_it_is_valid() -> None:
    checked = vagrant("validate", "--ignore-provider")
    assert checked.returncode == 0, checked.stderr
    assert "validated successfully" in checked.stdout


@pytest.mark.parametrize("provider", PROVIDERS)
def test_it_is_valid_for_each_provider(provider: str) -> None:
    found = nodes(provider)
    assert list(found) == ["node-1", "node-2", "node-3"]
    for node in found.values():
        assert (node["errors"], node["warnings"]) == ([], [])
        assert (node["memory"], node["cpus"]) == (2560, 2)  # three fit a laptop with 16 GB
        assert node["box"] in {"debian/bookworm64", "bento/debian-12"}
        assert node["version"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_addresses_are_those_of_the_configuration(provider: str) -> None:
    """And no port of a machine is to be reached from outside of this one."""
    for number, node in enumerate(nodes(provider).values(), start=1):
        private = [one for one in node["networks"] if one["kind"] == "private_network"]
        assert [one["ip"] for one in private] == [f"192.168.56.1{number}"]
        ports = [
            one
            for one in node["networks"]
            if one["kind"] == "forwarded_port" and one["guest"] != 22  # Vagrant's own way in
        ]
        assert {one["host_ip"] for one in ports} <= {"127.0.0.1"}
        assert all(one["auto_correct"] for one in ports)
        assert {one["guest"] for one in ports} == (
            {9999, 9998, 8500, 4646} if number == 1 else set()
        )


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_nodes_run_is_copied_to_them_and_nothing_else(provider: str) -> None:
    for node in nodes(provider).values():
        folders = {one["guestpath"]: one for one in node["folders"].values()}
        assert folders.pop("/vagrant")["disabled"]
        assert {path: one["type"] for path, one in folders.items()} == {
            "/opt/teracompra": "rsync",
            "/var/lib/teracompra/access": "rsync",
        }


def test_the_environment_sets_memory_cpus_and_box() -> None:
    settings = {
        "TERACOMPRA_MEMORY": "4096",
        "TERACOMPRA_CPUS": "4",
        "TERACOMPRA_BOX": "teracompra/node",
    }
    for node in nodes("virtualbox", **settings).values():
        assert (node["memory"], node["cpus"]) == (4096, 4)
        assert node["box"] == "teracompra/node"


@pytest.mark.parametrize("text", ["2g", "0", "-1", ""])
def test_a_setting_that_can_t_be_is_named(text: str) -> None:
    refused = vagrant("validate", "--ignore-provider", TERACOMPRA_MEMORY=text)
    assert refused.returncode != 0
    assert f"TERACOMPRA_MEMORY={text}: it must be a whole number" in refused.stderr
    assert "rb:" not in refused.stderr
