"""As many allocations of the webhook as are wanted, if there is room for them."""

import time
from typing import Any

import nomad

from cluster.deployments import end_what_waits_for_ever, latest
from cluster.display import Display
from cluster.findings import sized_by_itself
from cluster.health import ask_nomad, look
from cluster.layout import WEBHOOK, ClusterError
from cluster.room import Room, room_for_webhook
from tools.say import say

LOOK_SECONDS = 0.5
BEGINS_WITHIN_SECONDS = 10.0  # Nomad has a deployment within a second of a change
PASS_WITHIN_SECONDS = 60.0  # without or after a deployment: until Consul says so, too
FREE_WITHIN_SECONDS = 900.0  # of another deployment: a release of all, on slow machines
UNDONE = "the autoscaler changes this again at its next evaluation"
BUSY = "active deployment"


def scale(count: int) -> None:
    """Have `count` allocations that take events. Raises ClusterError, also if fewer came of it."""
    if why_not := too_many(count, _room()):
        raise ClusterError(why_not)
    display = Display()
    why = _await(count, _change(count, display), display)
    if why is None:
        say(f"{count} allocations of the webhook take events, after {display.seconds:.0f} s")
        if sized_by_itself():
            say(f"{UNDONE}; to keep it: nomad job stop autoscaler")
        return
    room = _room()
    if room.fits and too_many(count, room):
        # Nomad would place nothing more, not even another one for one that fails.
        say(f"there is no room for {count} any more")
        scale(room.fits)
    raise ClusterError(
        f"{count} allocations of the webhook were asked for, and Nomad gave up: {why}. "
        "scripts/cluster status says what is wrong"
    )


def too_many(count: int, room: Room) -> str | None:
    """Why there can't be so many, and what to do; None if there can."""
    if count <= room.fits:
        return None
    advice = f"scripts/cluster scale {room.fits}" if room.fits else "scripts/cluster status"
    return f"there is no room for {count} allocations of the webhook: {room.words()}; {advice}"


def place_again_if_given_up() -> None:
    """Have Nomad place what is missing after a deployment that failed, if there is room."""

    def missing(client: Any) -> int | None:
        job, last = client.job.get_job(WEBHOOK), latest(client, WEBHOOK)
        given_up = last is not None and last.failed and last.version == job["Version"]
        return int(job["TaskGroups"][0]["Count"]) if given_up else None

    count = ask_nomad(missing)
    if count is None or too_many(count, _room()):
        return
    say(f"Nomad has given up the last change of {WEBHOOK}: asking for {count} again")
    _change(count, Display())


def _room() -> Room:
    found = ask_nomad(room_for_webhook)
    if found is None:
        raise ClusterError(f"no Nomad that answers has the job {WEBHOOK}; scripts/cluster up")
    return found


def _change(count: int, display: Display) -> int:
    """Ask Nomad for so many, as soon as it takes it; the version that the job is then."""
    wish = {"Count": count, "Target": {"Group": WEBHOOK}, "Message": "scripts/cluster scale"}

    def ask(client: Any) -> str:
        try:
            client.job.request(WEBHOOK, "scale", json=wish, method="post")
        except nomad.api.exceptions.BadRequestNomadException as error:
            return str(error.nomad_resp.text)
        return ""

    deadline = time.monotonic() + FREE_WITHIN_SECONDS
    while refused := ask_nomad(ask):
        if BUSY not in refused:
            raise ClusterError(f"Nomad refuses to have {count} allocations: {refused}")
        if time.monotonic() > deadline:
            raise ClusterError(
                f"another deployment is still under way after {display.seconds:.0f} s"
            )
        display.show(["webhook  waiting for another deployment to end"])
        end_what_waits_for_ever(WEBHOOK)
        time.sleep(LOOK_SECONDS)
    version = ask_nomad(lambda client: client.job.get_job(WEBHOOK)["Version"])
    if refused is None or version is None:
        raise ClusterError("no Nomad answers; scripts/cluster status")
    return int(version)


def _await(count: int, version: int, display: Display) -> str | None:
    """Return when just so many take events; why not, if Nomad gave up. Raises ClusterError."""
    began = waits_since = time.monotonic()
    while True:
        end_what_waits_for_ever(WEBHOOK)
        last = ask_nomad(lambda client: latest(client, WEBHOOK))
        passing = len(look((WEBHOOK,)).passing(WEBHOOK))
        display.show([f"webhook  {count} wanted  {passing} take events"])
        now = time.monotonic()
        known = last is not None and last.version >= version
        if last is not None and known and last.failed:
            return last.why
        if last is not None and last.goes_on:
            waits_since = now
        elif passing == count and (known or now - began > BEGINS_WITHIN_SECONDS):
            return None
        if now - waits_since > PASS_WITHIN_SECONDS:
            raise ClusterError(
                f"{passing} allocations take events and not {count}, {PASS_WITHIN_SECONDS:.0f} s "
                "after Nomad had done its part; scripts/cluster status says what is wrong"
            )
        time.sleep(LOOK_SECONDS)
