"""The cluster as a run needs it, and afterwards as it was.

Prometheus begins anew before each run, with the rules of the signal and without a history: what was
wanted in the run before would hold the count up.
"""

import os
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.sizing.path import Allocation, allocation_of, asked_of, wanted_of
from cluster.autoscaling.view import autoscaler_among
from cluster.findings import sized_by_itself
from cluster.health import ask_nomad, look
from cluster.layout import AUTOSCALER, NODES, ON_NODES, PROMETHEUS, WEBHOOK
from cluster.nodes.namespaces import KIT
from cluster.room import Room, room_for_webhook
from harness.cluster import Cluster, processes_on
from harness.http import request
from harness.waiting import wait_for
from tools.say import say
from tools.stops import stops_put_off

RULES = Path("rules") / "webhook.yml"
FOLDER = "prometheus-bench"
"""Beside `prometheus` in what all nodes see."""
SNAPSHOTS = (WEBHOOK, PROMETHEUS, AUTOSCALER)
CHANGE_SECONDS = 180.0
LOOK_SECONDS = 0.5
FLOOR_BEGAN_SECONDS = 120
FLOOR_LASTS = "24h"
LEAST = 2
"""Allocations at the beginning of a run, as the rules want at least."""


class StagingError(Exception):
    """The cluster can't be had as it is needed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How the cluster is to be for a run."""

    rules: str
    """Of prometheus/rules/webhook.yml, changed."""
    limit: int
    """Events/s of one allocation."""
    count: int = LEAST
    floor: int | None = None
    """By the calendar, from the beginning."""
    autoscaling: bool = True


class Stage:
    """The cluster of this machine, with a Prometheus and an autoscaler of its own."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._version = _version(_job(WEBHOOK))

    @property
    def fits(self) -> int:
        """How many allocations there is room for."""
        room = self._cluster.ask(room_for_webhook)
        return room.fits if isinstance(room, Room) else 0

    def prepare(self, setting: Setting) -> None:
        """Have it so, and wait until all of it is well. Raises StagingError."""
        self.stop_prometheus(purge=True)
        if setting.autoscaling and not sized_by_itself():
            self._run(AUTOSCALER)
        if not setting.autoscaling:
            self._cluster.nomad("job", "stop", "-detach", AUTOSCALER, code=None)
            wait_for(
                lambda: autoscaler_among() is None,
                "the autoscaler's end",
                CHANGE_SECONDS,
                LOOK_SECONDS,
            )
        self._lay_out(setting.rules)
        count = setting.count if setting.floor is None else setting.floor
        self._run(WEBHOOK, *self._variables(setting, count))
        self._cluster.await_passing(count)
        self.start_prometheus()
        if setting.autoscaling:
            wait_for(evaluates, "the autoscaler's evaluations", CHANGE_SECONDS, LOOK_SECONDS)
        self._cluster.await_passing(count)

    def stop_prometheus(self, *, purge: bool = False) -> None:
        """End its job; with `purge` its history goes, too."""
        options = ["-purge"] if purge else []
        self._cluster.nomad("job", "stop", *options, PROMETHEUS, code=None)
        wait_for(
            lambda: not processes("prometheus "), "Prometheus' end", CHANGE_SECONDS, LOOK_SECONDS
        )

    def start_prometheus(self) -> None:
        """With the rules of the run. Raises StagingError."""
        self._run(PROMETHEUS, "-var", f"folder={ON_NODES / FOLDER}")

    def kill_autoscaler(self) -> None:
        """End its process at once. Raises StagingError."""
        found = processes("nomad-autoscaler ")
        if not found:
            raise StagingError("no autoscaler runs; scripts/cluster status")
        for pid in found:
            os.kill(pid, signal.SIGKILL)

    def wanted(self, since: float) -> list[tuple[float, float]]:
        """What the rules have wanted since then: Unix times and values; none if nobody tells."""
        addresses = [one.address for one in look([PROMETHEUS]).passing(PROMETHEUS)]
        seconds = int(time.time() - since) + 1
        query = quote(f"webhook:wanted[{seconds}s]")
        for address in addresses:
            answer = request("GET", f"http://{address}/api/v1/query?query={query}")
            if answer.status == 200:
                return wanted_of(answer.json)
        return []

    def asked(self) -> list[tuple[float, int]]:
        """What Nomad was told, the first one first: Unix times and counts."""
        events = ask_nomad(_scalings)
        return asked_of(events or [])

    def allocations(self) -> list[Allocation]:
        """All of the webhook that Nomad knows."""
        found = ask_nomad(lambda client: client.job.get_allocations(WEBHOOK))
        return [allocation_of(one, WEBHOOK) for one in found or []]

    def _lay_out(self, rules: str) -> None:
        folder = KIT / FOLDER
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(KIT / PROMETHEUS, folder)
        (folder / RULES).write_text(rules)

    def _variables(self, setting: Setting, count: int) -> list[str]:
        values = {"version": self._version, "count": count, "events_per_second": setting.limit}
        if setting.floor is not None:
            values |= {"floor": setting.floor, "floor_duration": FLOOR_LASTS}
            values["floor_start"] = cron(time.time() - FLOOR_BEGAN_SECONDS)
        return [word for name, value in values.items() for word in ("-var", f"{name}={value}")]

    def _run(self, job: str, *options: str) -> None:
        done = self._cluster.command("run", *options, job, code=None)
        if done.returncode:
            raise StagingError(
                f"Nomad did not bring about the job {job}:\n{done.stdout}{done.stderr}\n"
                "See scripts/cluster status"
            )


@contextmanager
def staged(cluster: Cluster) -> Iterator[Stage]:
    """A stage; at the end the three jobs are as they were. A stop waits for that.

    Raises StagingError.
    """
    before = {name: _job(name) for name in SNAPSHOTS}
    if FOLDER in str(before[PROMETHEUS]):
        raise StagingError(
            "the jobs are those of a benchmark that was killed: scripts/cluster run prometheus, "
            "then scripts/cluster run -var count=2 webhook"
        )
    stage = Stage(cluster)
    try:
        yield stage
    finally:
        with stops_put_off():
            say("putting the jobs back as they were")
            try:
                _put_back(cluster, stage, before)
            except TimeoutError as error:  # what was measured holds all the same
                say(f"{error}; see scripts/cluster status")


def refuse() -> str:
    """Why nothing can be measured here; empty if something can."""
    if not Cluster().runs:
        return "there is no cluster; scripts/cluster up"
    if not sized_by_itself():
        return "no autoscaler runs, so there is nothing to measure: scripts/cluster up"
    if not evaluates():
        return "the autoscaler does not evaluate: scripts/cluster status says why"
    return ""


def evaluates() -> bool:
    """Whether it asks how many are wanted, and gets an answer."""
    one = autoscaler_among()
    return one is not None and one.evaluates


def cron(at: float) -> str:
    """That minute of the year in cron's five fields, in UTC."""
    moment = time.gmtime(at)
    return f"{moment.tm_min} {moment.tm_hour} {moment.tm_mday} {moment.tm_mon} *"


def processes(words: str) -> list[int]:
    """The nodes' processes whose program has this name and arguments."""
    found: list[int] = []
    for node in NODES:
        lines = processes_on(node)
        found += [pid for pid, line in lines.items() if line.startswith(f"{ON_NODES}/bin/{words}")]
    return found


def _job(name: str) -> dict[str, Any]:
    """The job as Nomad has it. Raises StagingError."""
    job = ask_nomad(lambda client: client.job.get_job(name))
    if job is None:
        raise StagingError(f"no Nomad knows the job {name}; scripts/cluster up")
    return dict(job)


def _put_back(cluster: Cluster, stage: Stage, before: dict[str, dict[str, Any]]) -> None:
    """Raises TimeoutError."""
    stage.stop_prometheus(purge=True)
    for job in before.values():
        _give_back(job)
    shutil.rmtree(KIT / FOLDER, ignore_errors=True)
    cluster.await_passing(before[WEBHOOK]["TaskGroups"][0]["Count"])
    wait_for(evaluates, "the autoscaler's evaluations", CHANGE_SECONDS, LOOK_SECONDS)


def _give_back(job: dict[str, Any]) -> None:
    """Have Nomad bring about the job that it once told."""

    def ask(client: Any) -> Any:
        return client.jobs.register_job({"Job": job})

    wait_for(
        lambda: ask_nomad(ask) is not None, f"Nomad's taking the job {job['ID']}", CHANGE_SECONDS, 1
    )


def _scalings(client: Any) -> Sequence[Any]:
    answer = client.job.request(WEBHOOK, "scale", method="get").json()
    events: Sequence[Any] = answer["TaskGroups"][WEBHOOK].get("Events") or []
    return events


def _version(job: dict[str, Any]) -> str:
    """Of the release that runs."""
    path = str(job["TaskGroups"][0]["Tasks"][0]["Env"]["PYTHONPATH"])
    return Path(path).name
