"""Scales to as many allocations as the plan says, at the times that it says."""

import threading
import time
from collections.abc import Sequence

from loadtest.plan import Step
from loadtest.record import Mark
from loadtest.targets.contract import Target

TAKEN_WITHIN_SECONDS = 120.0
TRY_EVERY_SECONDS = 1.0


class Scaling:
    """Scales in a thread of its own; what it did is in `marks`."""

    def __init__(self, target: Target, steps: Sequence[Step]) -> None:
        self.marks: list[Mark] = []
        self._target = target
        self._steps = steps
        self._before = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scaling", daemon=True)

    def start(self) -> None:
        """Its seconds count from here. Nothing is done without steps."""
        if self._steps:
            looks = self._target.allocations()
            self._before = looks[0].wanted if looks else 0
            self._thread.start()

    def stop(self) -> None:
        """Scale no more, and have as many allocations as before."""
        self._over.set()
        if self._steps:
            self._thread.join()
            if self._before:
                self._scale(self._before)

    def _run(self) -> None:
        began = time.monotonic()
        for step in self._steps:
            if self._over.wait(max(0.0, began + step.second - time.monotonic())):
                return
            asked = round(time.time(), 3)  # the answer may take a while
            outcome = "" if self._scale(step.count) else ": refused"
            self.marks.append(Mark(asked, f"scale to {step.count}{outcome}"))

    def _scale(self, count: int) -> bool:
        """Ask until it is taken; whether it was."""
        deadline = time.monotonic() + TAKEN_WITHIN_SECONDS
        while not self._target.scale(count):
            if time.monotonic() > deadline:
                return False
            time.sleep(TRY_EVERY_SECONDS)
        return True
