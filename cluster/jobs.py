"""Jobs and releases on a running cluster, and how a user's own commands find it."""

import os
import platform
import shlex
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cluster.access.grants import exported_tokens
from cluster.access.secrets import Secrets
from cluster.deployments import end_what_waits_for_ever, latest
from cluster.health import ask_nomad, nomad_leader
from cluster.kit import add_release
from cluster.layout import (
    CONSUL_PORT,
    NODES,
    NOMAD_PORT,
    ON_NODES,
    TRAFFIC_PORT,
    WEBHOOK,
    ClusterError,
    Node,
)
from cluster.nodes.namespaces import KIT
from tools.children import child
from tools.root import ROOT
from tools.say import say

JOBS = ROOT / "nomad"
NODE_PYTHON = "/usr/bin/python3"
KEEP = "-preserve-counts"
GIVEN_UP_SECONDS = 30.0
LOOK_SECONDS = 0.5


def exports() -> list[str]:
    """Lines for a shell, after which `nomad`, `consul` and TGIBF find the cluster."""
    node = _leader()
    urls = " ".join(node.url(TRAFFIC_PORT) for node in NODES)
    return [
        *exported_tokens(),
        f"export NOMAD_ADDR={node.url(NOMAD_PORT)}",
        f"export CONSUL_HTTP_ADDR={node.url(CONSUL_PORT)}",
        f"export WEBHOOK={shlex.quote(urls)}",
        f'export PATH={shlex.quote(str(KIT / "bin"))}:"$PATH"',
    ]


def run(arguments: Sequence[str]) -> int:
    """`nomad job run` with the job named last, which is one of `nomad/`; its exit code.

    A job that runs keeps its count, unless a count is among the options.
    """
    if not arguments:
        raise ClusterError(f"which job? There are {', '.join(sorted(_jobs()))}")
    *options, name = arguments
    if KEEP not in options and not any("count=" in option for option in options):
        options.append(KEEP)
    with child(**_run_job(name, options)) as process:
        while True:  # it shows the deployment until that ends
            try:
                return process.wait(LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                if name.removesuffix(".nomad") == WEBHOOK:
                    end_what_waits_for_ever(WEBHOOK)


def submit(name: str, *options: str) -> None:
    """Give Nomad a job that it does not have yet, without waiting. Raises ClusterError.

    One that was stopped gets the count that it had.
    """

    def has_it(client: Any) -> bool:
        return not client.job.get_job(name)["Stop"]

    if ask_nomad(has_it):
        return
    say(f"running job {name}")
    done = subprocess.run(
        **_run_job(name, ["-detach", KEEP, *options]), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ClusterError(f"Nomad did not take the job {name}:\n{done.stdout}{done.stderr}")


def stop(name: str) -> None:
    """Stop a job, if it runs, without waiting. Raises ClusterError."""

    def runs(client: Any) -> bool:
        found = (one for one in client.jobs.get_jobs(prefix=name) if one["ID"] == name)
        return any(not one["Stop"] for one in found)

    if ask_nomad(runs):
        say(f"stopping job {name}")
        nomad("job", "stop", "-detach", name)


def nomad(*arguments: str) -> str:
    """What `nomad` with these arguments printed. Raises ClusterError if it failed."""
    done = subprocess.run(
        [str(KIT / "bin" / "nomad"), *arguments],
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ClusterError(f"nomad {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
    return done.stdout


def client_id(node: Node) -> str:
    """Nomad's id of the node's client; after a lost disk it is another one."""

    def question(client: Any) -> str | None:
        found = [one for one in client.nodes.get_nodes() if one["Name"] == node.name]
        found.sort(key=lambda one: one["Status"] == "ready")
        return str(found[-1]["ID"]) if found else None

    if (found := ask_nomad(question)) is None:
        raise ClusterError(f"no Nomad that answers knows {node.name}")
    return found


def run_again_if_given_up(name: str, *options: str) -> None:
    """Run a job again if nothing of it runs and Nomad does nothing more for it.

    This happens if the first deployment failed, as on machines that are slow to begin with: what is
    missing is not placed any more. Raises ClusterError.
    """

    def given_up(client: Any) -> bool:
        age = time.time() - client.job.get_job(name)["SubmitTime"] / 1e9
        last = latest(client, name)
        wanted = (one["DesiredStatus"] == "run" for one in client.job.get_allocations(name))
        over = last is None or not last.goes_on
        return age > GIVEN_UP_SECONDS and over and not any(wanted)

    if ask_nomad(given_up):
        say(f"running job {name} again: its allocations were not well in time")
        nomad("job", "stop", "-detach", name)
        submit(name, *options)


def _run_job(name: str, options: Sequence[str]) -> dict[str, Any]:
    """The command that runs a job, and where. Raises ClusterError."""
    file = _jobs().get(name.removesuffix(".nomad"))
    if file is None:
        raise ClusterError(f"there is no job {name}; there are {', '.join(sorted(_jobs()))}")
    return {
        "args": [str(KIT / "bin" / "nomad"), "job", "run", *options, file.name],
        "cwd": JOBS,
        "env": _environment(),
    }


def _environment() -> dict[str, str]:
    """With which `nomad` finds this cluster, and no other."""
    others = {"NOMAD_TOKEN", "NOMAD_NAMESPACE", "NOMAD_REGION"}
    ours = {name: value for name, value in os.environ.items() if name not in others}
    secrets = Secrets.read()
    token = {} if secrets is None else {"NOMAD_TOKEN": secrets.nomad_manager}
    return {**ours, **token, "NOMAD_ADDR": _leader().url(NOMAD_PORT)}


def _jobs() -> dict[str, Path]:
    return {file.stem: file for file in JOBS.glob("*.nomad")}


def _leader() -> Node:
    """The node whose Nomad leads, for `nomad`, which asks after a deployment in a way that lets the
    agent that it knows answer with what it has: one that follows may not have it yet, and `nomad`
    ends with "deployment not found" although all goes well.
    """
    if (found := nomad_leader()) is None:
        raise ClusterError("no node's Nomad answers; scripts/cluster up")
    return found


def release(version: str) -> None:
    """Make a release of this checkout and put it on all nodes."""
    if not KIT.exists():
        raise ClusterError("there is no cluster; scripts/cluster up")
    add_release(KIT, version, platform.machine(), node_python())
    options = f"-var version={version}"
    say(f"{version} is on all nodes; roll it out: scripts/cluster run {options} webhook")


def node_python() -> str:
    """The version of the Python that nodes have, which is this machine's own, such as 3.11."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([NODE_PYTHON, "-c", code], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ClusterError(
            f"{NODE_PYTHON} does not run; on Debian: apt-get install python3"
        ) from error
    return done.stdout.strip()


def login(command: Sequence[str]) -> list[str]:
    """What runs `command` on a node as if somebody had logged in there: among the job files."""
    words = [word for word in command if word != "--"]
    path = f"{ON_NODES}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return ["env", f"--chdir={ON_NODES}/nomad", f"PATH={path}", *words]
