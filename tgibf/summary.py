"""The final account of a run, as text and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tgibf.outcome import GENERATOR_LIMITS
from tgibf.tally import Latency, Tally

LAG_WORTH_A_WARNING = 0.05
"""Seconds behind schedule past which the rate was not really the one asked for."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to.

    `sent`, `acked`, `refused`, `unknown`, `errors`, `largest_burst` count events. `seconds` goes
    from the first event to the last outcome, pauses included; `events_per_second` is of those sent
    in it. `behind_ms` is the generator's worst lag behind its own schedule; 0 in burst mode.
    """

    mode: str
    urls: Sequence[str]
    sent: int
    acked: int
    refused: int
    unknown: int
    errors: Mapping[str, int]
    events_per_second: float
    seconds: float
    latency: Latency
    bursts: int
    largest_burst: int
    failed_bursts: int
    behind_ms: float
    warnings: Sequence[str]
    whole: bool = True
    """Whether ledger and series, if any, have all of it."""

    @property
    def all_acked(self) -> bool:
        return not (self.refused or self.unknown)

    def as_json(self) -> str:
        """One JSON object; its names are stable."""
        latency = self.latency
        return json.dumps(
            {
                "mode": self.mode,
                "urls": list(self.urls),
                "sent": self.sent,
                "acked": self.acked,
                "refused": self.refused,
                "unknown": self.unknown,
                "errors": dict(self.errors),
                "events_per_second": round(self.events_per_second, 3),
                "seconds": round(self.seconds, 6),
                "latency_ms": {
                    "p50": latency.p50,
                    "p99": latency.p99,
                    "p99_9": latency.p99_9,
                    "max": latency.max,
                },
                "bursts": self.bursts,
                "largest_burst": self.largest_burst,
                "failed_bursts": self.failed_bursts,
                "behind_ms": round(self.behind_ms, 3),
                "warnings": list(self.warnings),
            },
            indent=2,
        )

    def as_text(self) -> str:
        """The same for people."""
        pace = f"{self.seconds:.2f} s = {self.events_per_second:,.0f} events/s"
        lines = [
            f"{'sent':<10}{self.sent:>12,} events in {pace}",
            f"{'acked':<10}{self.acked:>12,}",
            f"{'refused':<10}{self.refused:>12,}",
            f"{'unknown':<10}{self.unknown:>12,}",
        ]
        if self.mode == "burst":
            lines.append(
                f"{'bursts':<10}{self.bursts:>12,} (largest {self.largest_burst:,} events,"
                f" {self.failed_bursts:,} with failed connections)"
            )
        lines.append(_latency_line(self.latency))
        lines += [_error_line(kind, count) for kind, count in self.errors.items()]
        lines += [f"warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)


def summarize(
    tally: Tally,
    *,
    mode: str,
    urls: Sequence[str],
    seconds: float,
    warnings: Sequence[str],
    whole: bool = True,
) -> Summary:
    """The summary of a tally in which everything has settled, after that many seconds."""
    return Summary(
        mode=mode,
        urls=urls,
        sent=tally.sent,
        acked=tally.acked,
        refused=tally.refused,
        unknown=tally.unknown,
        errors=dict(tally.errors.most_common()),
        events_per_second=tally.sent / seconds if seconds > 0 else 0.0,
        seconds=seconds,
        latency=tally.latency(),
        bursts=tally.bursts,
        largest_burst=tally.largest_burst,
        failed_bursts=tally.failed_bursts,
        behind_ms=tally.behind * 1000,
        warnings=[*warnings, *_lag_warnings(tally)],
        whole=whole,
    )


def _lag_warnings(tally: Tally) -> list[str]:
    warnings = []
    if tally.behind >= LAG_WORTH_A_WARNING:
        warnings.append(
            f"the generator fell behind its own schedule, by {tally.behind * 1000:,.0f} ms at"
            " worst: the rate was not the one asked for"
        )
    if tally.unsent:
        warnings.append(f"{tally.unsent:,} events of the schedule were never sent")
    return warnings


def _latency_line(latency: Latency) -> str:
    if latency.max is None:
        return f"{'latency':<10}no event was acked"
    figures = (
        ("p50", latency.p50),
        ("p99", latency.p99),
        ("p99.9", latency.p99_9),
        ("max", latency.max),
    )
    return f"{'latency':<10}" + "  ".join(f"{name} {value:,.1f} ms" for name, value in figures)


def _error_line(kind: str, count: int) -> str:
    note = " (the generator's limit, not the receiver's)" if kind in GENERATOR_LIMITS else ""
    return f"{'error':<10}{count:>12,} {kind}{note}"
