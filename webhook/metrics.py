"""Prometheus metrics, read off the parts when they are asked for."""

import resource
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, GCCollector, Histogram
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from webhook.access import Access
from webhook.clock import ReceiptClock
from webhook.commit import Outcome
from webhook.counter import WindowCounter
from webhook.http.server import HttpServer
from webhook.intake import Intake
from webhook.lag import LoopLag
from webhook.settings import Settings
from webhook.store.contract import Gauged
from webhook.version import VERSION

ANSWER_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class AnswerTimes:
    """Histogram of the time from a POST's receipt to its answer, filled a group at a time.

    A group is in order of receipt, so each bucket's share is found by bisection: the cost is per
    group and bucket, not per POST.
    """

    def __init__(self) -> None:
        self._counts = [0] * (len(ANSWER_BUCKETS) + 1)
        self._sum = 0.0

    def add(self, received_at: Sequence[float], now: float) -> None:
        """Add POSTs received at these monotonic times (ascending), all answered at `now`."""
        newer = len(received_at)
        for index, bound in enumerate(ANSWER_BUCKETS):
            older = bisect_left(received_at, now - bound, 0, newer)
            self._counts[index] += newer - older
            newer = older
            if not newer:
                break
        self._counts[-1] += newer
        self._sum += now * len(received_at) - sum(received_at)

    def collect(self) -> Metric:
        """The histogram as Prometheus' cumulative buckets."""
        metric = Metric(
            "webhook_answer_seconds", "Time from a POST's receipt to its answer", "histogram"
        )
        total = 0
        for bound, count in zip((*ANSWER_BUCKETS, "+Inf"), self._counts, strict=True):
            total += count
            metric.add_sample("webhook_answer_seconds_bucket", {"le": str(bound)}, total)
        metric.add_sample("webhook_answer_seconds_count", {}, total)
        metric.add_sample("webhook_answer_seconds_sum", {}, self._sum)
        return metric


class WriteTimes:
    """Histograms of the writes to the store."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "webhook_write_seconds",
            "Duration of a write to the store",
            buckets=ANSWER_BUCKETS,
            registry=registry,
        )
        self._events = Histogram(
            "webhook_write_events",
            "Events in a write to the store",
            buckets=(1, 4, 16, 64, 256, 1024, 4096),
            registry=registry,
        )

    def add(self, events: int, seconds: float) -> None:
        """Add a write that has returned."""
        self._seconds.observe(seconds)
        self._events.observe(events)


class ReceiverCollector(Collector):
    """The figures that the parts keep."""

    def __init__(
        self,
        intake: Intake,
        counter: WindowCounter,
        http: HttpServer,
        clock: ReceiptClock,
        answers: AnswerTimes,
        lag: LoopLag,
        settings: Settings,
    ) -> None:
        self._intake = intake
        self._counter = counter
        self._http = http
        self._clock = clock
        self._answers = answers
        self._lag = lag
        self._settings = settings

    def collect(self) -> Iterator[Metric]:
        """What `/metrics` shows beside the histograms of writes."""
        yield InfoMetricFamily("webhook_build", "What runs here", {"version": VERSION})
        yield self._events()
        yield self._answers.collect()
        intake, commit, http = self._intake.figures, self._intake.commit, self._http
        invalid = CounterMetricFamily(
            "webhook_invalid_posts", "POSTs refused because of their body", labels=["status"]
        )
        refused = CounterMetricFamily(
            "webhook_refused_requests",
            "Requests refused before they were complete",
            labels=["status"],
        )
        for family, counts in ((invalid, intake.invalid), (refused, http.refused)):
            for status, count in counts.items():
                family.add_metric([str(int(status))], count)
            yield family
        gave_way = CounterMetricFamily(
            "webhook_gave_way",
            "Given up at a limit for others: silent, idle, lagging connections; lagging requests",
            labels=["limit"],
        )
        for limit, number in http.gave_way.items():
            gave_way.add_metric([limit], number)
        yield gave_way
        yield CounterMetricFamily(
            "webhook_failed_handshakes",
            "Clients with which TLS could not begin",
            http.failed_handshakes,
        )
        usage = resource.getrusage(resource.RUSAGE_SELF)
        yield CounterMetricFamily("webhook_posts", "POSTs to /events", intake.posts)
        yield CounterMetricFamily("webhook_writes", "Writes to the store", commit.figures.writes)
        yield CounterMetricFamily("webhook_reads", "Reads of the window", self._counter.reads)
        yield CounterMetricFamily(
            "webhook_store_reads",
            "Statements to the store for these reads",
            self._counter.store_reads,
        )
        yield CounterMetricFamily("webhook_connections", "Connections accepted", http.accepted)
        yield CounterMetricFamily(
            "process_cpu_seconds", "CPU time, user and system", usage.ru_utime + usage.ru_stime
        )
        yield GaugeMetricFamily("process_resident_memory_bytes", "Memory", _resident_bytes())
        yield GaugeMetricFamily("webhook_held_events", "Waiting or in flight", commit.held_events)
        yield GaugeMetricFamily("webhook_held_bytes", "The same in bytes", commit.held_bytes)
        yield GaugeMetricFamily(
            "webhook_max_held_events", "Held at most", self._settings.max_held_events
        )
        yield from self._peaks()
        yield GaugeMetricFamily("webhook_open_connections", "Open now", len(http.connections))
        yield GaugeMetricFamily("webhook_max_connections", "Open at most", http.max_connections)
        yield GaugeMetricFamily(
            "webhook_receiving_bytes", "Of requests that are coming in", http.receiving_bytes
        )
        yield GaugeMetricFamily("webhook_draining", "1 while draining", int(http.draining))
        yield GaugeMetricFamily(
            "webhook_clock_behind_seconds",
            "How far the machine's clock is behind what it has shown before",
            self._clock.behind,
        )

        yield GaugeMetricFamily(
            "webhook_events_ahead",
            "Events of the last count that were received later than now, by the clock of then",
            self._counter.ahead,
        )

    def _peaks(self) -> Iterator[Metric]:
        """Of the last 15 s, for who looks less often than bursts come; and the limit of one."""
        now = time.monotonic()
        yield GaugeMetricFamily(
            "webhook_busiest_second_events",
            "Valid events that came in within the busiest second of the last 15, refused ones too",
            self._intake.offered.highest(now),
        )
        yield GaugeMetricFamily(
            "webhook_max_events_per_second",
            "Admitted at most; 0 for no limit",
            self._settings.max_events_per_second,
        )
        yield GaugeMetricFamily(
            "webhook_most_held_events",
            "Most that were waiting or in flight in the last 15 s",
            self._intake.commit.most_held_events(now),
        )
        yield GaugeMetricFamily(
            "webhook_loop_lag_seconds",
            "By how much a timer of the event loop was late at worst in the last 15 s",
            self._lag.worst(now),
        )

    def _events(self) -> Metric:
        events = CounterMetricFamily(
            "webhook_events",
            "Events by outcome: stored; refused or unknown by the store; over_limit; queue_full",
            labels=["outcome"],
        )
        commit = self._intake.commit.figures
        for outcome in Outcome:
            events.add_metric([outcome.value], commit.outcomes[outcome])
        events.add_metric(["over_limit"], self._intake.figures.over_limit)
        events.add_metric(["queue_full"], commit.queue_full)
        return events


class AccessCollector(Collector):
    """What became of keys."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def collect(self) -> Iterator[Metric]:
        """Where there is a keys file."""
        refused = CounterMetricFamily(
            "webhook_unauthenticated", "Requests answered 401, by reason", labels=["reason"]
        )
        for reason, number in self._access.refused.items():
            refused.add_metric([reason], number)
        yield refused
        replays = self._access.replays
        yield CounterMetricFamily(
            "webhook_replays",
            "Signed POSTs that came again and were not stored again",
            replays.found,
        )
        yield GaugeMetricFamily(
            "webhook_replay_ids", "Ids of signed POSTs that are remembered", len(replays)
        )


class StoreCollector(Collector):
    """The store's own figures."""

    def __init__(self, store: Gauged) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """The figures that the store knows now."""
        for gauge in self._store.gauges():
            yield GaugeMetricFamily(gauge.name, gauge.meaning, gauge.value)


def _resident_bytes() -> int:
    """Current resident memory.

    getrusage reports a peak, which may be the parent's from before exec.
    """
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def new_registry() -> CollectorRegistry:
    """A registry with the garbage collector's figures."""
    registry = CollectorRegistry()
    GCCollector(registry)
    return registry
