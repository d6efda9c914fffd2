"""One run, from its settings to its summary."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import asynccontextmanager, closing, contextmanager, nullcontext
from functools import partial
from uuid import uuid4

import uvloop

from tgibf.bursts import send_bursts
from tgibf.files_limit import check_limit, connections_within, raise_limit
from tgibf.kept_file import KeptFile
from tgibf.ledger import Ledger
from tgibf.progress import Progress
from tgibf.schedule import show_steps
from tgibf.sender import Sender
from tgibf.series import Series
from tgibf.settings import BurstPlan, Settings
from tgibf.steady import send_steadily
from tgibf.stop import Stop
from tgibf.summary import Summary, summarize
from tgibf.tally import Tally
from tgibf.target import Endpoint, Target, resolve

_EXPIRY_INTERVAL = 0.1
_FLUSH_INTERVAL = 0.5
_SERIES_INTERVAL = 1.0
_HEARING_INTERVAL = 0.1


def run(settings: Settings) -> Summary:
    """Do what the settings say; returns the account of it once everything sent has settled.

    SIGINT and SIGTERM start nothing new and wait for what is in flight; a second one gives that up
    too. Raises, before anything is sent, TargetError for a host without an address, LedgerError for
    a ledger that must not or cannot be written, SeriesError likewise, and FilesLimitError. If their
    disk fails later, or somebody takes them away, the run ends, with a warning in its summary.
    """
    check_limit()
    endpoints = _resolved(settings.targets)
    with _ledger(settings) as ledger, _series(settings) as series:
        return uvloop.run(_run(settings, endpoints, ledger, series))


def _resolved(targets: Iterable[Target]) -> tuple[Endpoint, ...]:
    """The targets' addresses, looked up in a thread.

    Where nobody answers that takes a while, during which only another thread hears a stop.
    """
    with ThreadPoolExecutor(1) as thread:
        found = [thread.submit(resolve, target) for target in targets]
        while wait(found, _HEARING_INTERVAL).not_done:
            pass  # a signal that comes just before a wait is heard after it
        return tuple(one.result() for one in found)


async def _run(
    settings: Settings,
    endpoints: tuple[Endpoint, ...],
    ledger: Ledger | None,
    series: Series | None,
) -> Summary:
    tally = Tally()
    progress = Progress(sys.stderr, tally, quiet=settings.quiet)
    warnings: list[str] = []

    def warn(text: str) -> None:
        warnings.append(text)
        progress.note(f"warning: {text}")

    limit = connections_within(raise_limit())
    sender = Sender(settings, endpoints, tally, ledger, series, max_connections=limit, warn=warn)
    stop = Stop(settings.seconds)
    told: set[KeptFile] = set()

    def keep(file: KeptFile, write: Callable[[], None]) -> None:
        """Write, and end the run if writing has no use any more."""
        write()
        if file.trouble and file not in told:
            told.add(file)
            text = file.trouble if stop.due else f"{file.trouble}; the run ended early"
            warnings.append(text)
            progress.complain(f"warning: {text}")
            stop.now()

    def tick() -> None:
        progress.tick()
        if progress.reader_gone:
            stop.now()

    with closing(sender.client), _stopping_on_signals(stop, sender):
        async with (
            _repeating(_EXPIRY_INTERVAL, sender.expire),
            _repeating(
                _FLUSH_INTERVAL, partial(keep, ledger, ledger.flush) if ledger else _nothing
            ),
            _repeating(
                _SERIES_INTERVAL, partial(keep, series, series.tick) if series else _nothing
            ),
            _repeating(progress.interval, tick),
        ):
            await _send(settings, sender, stop, progress, series)
    if ledger is not None:
        keep(ledger, ledger.complete)
    progress.close()
    return summarize(
        tally,
        mode=settings.plan.name,
        urls=[target.url for target in settings.targets],
        seconds=sender.seconds,
        warnings=warnings,
        whole=not told,
    )


async def _send(
    settings: Settings, sender: Sender, stop: Stop, progress: Progress, series: Series | None
) -> None:
    plan = settings.plan

    def started(number: int, events: int) -> None:
        progress.begin_burst(number, events)
        if series is not None:
            series.burst = number

    if isinstance(plan, BurstPlan):
        await send_bursts(plan, sender, stop, started=started, finished=progress.finish_burst)
    else:
        progress.activity = f"steady {show_steps(plan.steps)}"
        await send_steadily(plan, sender, stop)


def _ledger(settings: Settings) -> Ledger | nullcontext[None]:
    if settings.ledger is None:
        return nullcontext()
    return Ledger(settings.ledger, uuid4().hex, append=settings.append_ledger)


def _series(settings: Settings) -> Series | nullcontext[None]:
    return nullcontext() if settings.series is None else Series(settings.series)


@contextmanager
def _stopping_on_signals(stop: Stop, sender: Sender) -> Iterator[None]:
    """The first SIGINT or SIGTERM asks for a stop, the next ends what is in flight.

    Whatever comes later comes too late: all that is left is to tell how it went.
    """
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.called:
            sender.client.abandon()
        stop.now()

    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, on_signal)
    try:
        yield
    finally:
        # Without its handler a signal would end the process, before it is ignored.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        for number in signals:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@asynccontextmanager
async def _repeating(seconds: float, action: Callable[[], None]) -> AsyncIterator[None]:
    """Call an action again and again beside the body; its exception ends the body."""

    async def repeat() -> None:
        while True:
            await asyncio.sleep(seconds)
            action()

    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(repeat())
            yield
            task.cancel()
    except ExceptionGroup as group_error:
        raise group_error.exceptions[0] from None


def _nothing() -> None:
    """The action of a run without a ledger, or a series."""
