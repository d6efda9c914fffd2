"""The run that shows that N allocations store N times the limit, and what one uses at its limit."""

from dataclasses import dataclass

from bench.sizing.loads import control
from bench.sizing.measures import cpu_each, stored_per_second
from bench.sizing.options import Options
from bench.sizing.record import Run
from bench.sizing.staging import LEAST, Setting, Stage
from bench.sizing.trials import trial
from tools.say import say

SECONDS = 60
SETTLED_SECONDS = 5
FAR_OFF = 0.1


@dataclass(frozen=True, slots=True)
class Control:
    """What a fixed count stored, of twice as much as it takes."""

    allocations: int
    limit: int
    stored_per_second: float
    cpu_each: float
    """Cores that one allocation uses when it gets as much as it takes."""

    @property
    def holds(self) -> bool:
        """Whether the limit is what decides."""
        fits = self.allocations * self.limit
        return abs(self.stored_per_second - fits) <= FAR_OFF * fits

    def words(self) -> str:
        """For the head of a table."""
        offered = 2 * self.allocations * self.limit
        void = "" if self.holds else "; VOID: that is not their limit, so nothing here is known"
        return (
            f"control: {self.allocations} allocations of {self.limit:,} events/s stored "
            f"{self.stored_per_second:,.0f} of {offered:,} offered per second, with "
            f"{self.cpu_each:.3f} cores each at their limit{void}"
        )


def control_of(run: Run, allocations: int, limit: int, seconds: int = SECONDS) -> Control:
    """From a run of `loads.control`."""
    half = seconds // 2
    return Control(
        allocations=allocations,
        limit=limit,
        stored_per_second=stored_per_second(run, half + SETTLED_SECONDS, seconds - 1),
        cpu_each=cpu_each(run, SETTLED_SECONDS, half),
    )


def measure_control(stage: Stage, options: Options, rules: str) -> Control:
    """Run it. Raises what the stage and the trial do."""
    say(f"control: {LEAST} allocations, {options.limit:,} events/s each")
    stage.prepare(Setting(rules, options.limit, autoscaling=False))
    load = control(options.limit, LEAST, SECONDS)
    with trial(load, options.folder / "control") as running:
        found = control_of(running.finish(), LEAST, options.limit)
    say(found.words())
    return found
