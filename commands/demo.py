"""See the system at work: a receiver on SQLite, and bursts of events sent to it.

The demo sets up what it needs, starts both, and shows the page's address and the progress. At the
end it compares the acknowledged events with those counted and stored; exit code 0 if they agree.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import ExitStack, suppress
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

from tgibf.arguments import whole
from tools.children import child
from tools.entry import INTERRUPTED, enter
from tools.guarded import told_by_a_death
from tools.root import ROOT
from tools.say import fail, say
from tools.stops import stops_put_off

if TYPE_CHECKING:
    from harness.receiver import ReceiverProcess

TERMINATED = {-signal.SIGTERM, 128 + signal.SIGTERM}
MOST_PORTS = 65_535
ENDED_SECONDS = 1.0
LONGEST_SECONDS = 1700  # within the window of 1,800 s, so that the count still holds every event


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=60,
        metavar="N",
        help=f"how long to send bursts, 1 to {LONGEST_SECONDS} (default 60); Ctrl-C ends it early",
    )
    parser.add_argument(
        "--port",
        type=whole(0, MOST_PORTS),
        default=8080,
        help="the receiver's port, 0 to 65535 (default 8080; a free one if taken)",
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep store and ledger in DIR, which must be new"
    )
    arguments = parser.parse_args()
    enter("tgibf")
    if arguments.keep is not None:
        try:
            arguments.keep.mkdir(parents=True)
        except OSError as error:
            fail(f"--keep {arguments.keep}: {error.strerror}; name a folder that does not exist")
        return run(arguments.keep.resolve(), arguments.seconds, arguments.port)
    with ExitStack() as stack:
        temporary = tempfile.TemporaryDirectory
        try:
            directory = stack.enter_context(temporary(prefix="teracompra-demo-"))
        except OSError as error:
            fail(f"no temporary folder can be made: {error.strerror}; name another with TMPDIR")
        return run(Path(directory), arguments.seconds, arguments.port)


def run(directory: Path, seconds: int, port: int) -> int:
    """Run the demonstration with its files in `directory`; the exit code."""
    from harness.receiver import ReceiverError, start_at

    store, ledger = f"sqlite:///{directory / 'events.db'}", directory / "ledger"
    guard = told_by_a_death()
    say("starting the receiver")
    with ExitStack() as stack:
        with stops_put_off():  # a receiver that has half started would be left behind
            try:
                receiver = start_at(port, {"store": store}, command=guard)
            except ReceiverError as error:
                fail(f"the receiver did not start: {error.reason}")
            stack.callback(receiver.stop)
        say(f"open the live page: {receiver.url}/")
        say(f"sending bursts for {seconds} s, each event on a connection of its own")
        command = [*guard, sys.executable, "-m", "tgibf", receiver.url]
        command += ["--seconds", str(seconds), "--ledger", str(ledger), "--json"]
        sent = json.loads(_output(command, ledger))
        counted = _count(receiver)
    return report(sent, counted, store, ledger)


def report(sent: dict[str, int], counted: int, store: str, ledger: Path) -> int:
    """Print what was sent, counted and stored; 0 if all was acknowledged and all agrees."""
    from tgibf.ledger import LedgerError, read_ledger
    from tgibf.verdict import judge
    from webhook.store import StartError
    from webhook.store.audit import stored_ids

    say("comparing the ledger with the store, event by event")
    try:
        named = read_ledger(ledger)
        verdict = judge(named.outcomes, stored_ids(store), named.incomplete)
    except (LedgerError, OSError, StartError) as error:
        fail(str(error))
    errors = sent["refused"] + sent["unknown"]
    print(f"sent          {sent['sent']}")
    print(f"acknowledged  {sent['acked']}")
    print(f"counted       {counted}")
    print(f"errors        {errors}")
    print(f"lost          {len(verdict.lost)}")
    print(f"unexpected    {len(verdict.unexpected)}")
    print(f"events/s      {sent['events_per_second']:.0f} (pauses between bursts included)")
    if named.incomplete:
        print("FAILED: the ledger does not name every event; what the load generator says is above")
        return 1
    if verdict.valid and counted == sent["acked"] and not errors:
        print("OK: every event was acknowledged, stored and counted")
        return 0
    print("FAILED: see the figures above")
    return 1


def _output(command: list[str], ledger: Path) -> str:
    """What the load generator prints; a Ctrl-C is passed on to it, and it ends in order."""
    # A process group of its own: the terminal tells none but this process.
    with child(command, cwd=ROOT, stdout=subprocess.PIPE, process_group=0) as generator:
        # No exception while its output is read: what had come in would be lost.
        before = signal.getsignal(signal.SIGINT)
        if before is not signal.SIG_IGN:  # as nohup leaves it
            signal.signal(signal.SIGINT, lambda *_: _interrupt(generator, ledger))
        try:
            output, _ = generator.communicate()
        except SystemExit:
            generator.terminate()
            generator.communicate()
            raise
        finally:
            signal.signal(signal.SIGINT, before)
    if generator.returncode in {INTERRUPTED, *TERMINATED}:  # before it had sent anything
        raise KeyboardInterrupt
    if generator.returncode < 0:
        fail(f"the load generator was ended by {signal.Signals(-generator.returncode).name}")
    if generator.returncode not in {0, 1}:
        fail("the load generator could not run; its message is above")
    if not output:
        fail("the load generator could not end its run; its message is above")
    return output


def _interrupt(generator: subprocess.Popen[str], ledger: Path) -> None:
    """Pass Ctrl-C on; while Python itself starts, it would cause a traceback."""
    generator.send_signal(signal.SIGINT if ledger.exists() else signal.SIGTERM)


def _count(receiver: "ReceiverProcess") -> int:
    """The receiver's count; ends the script with its last words if it has none."""
    from harness.receiver import last_line

    try:
        with urllib.request.urlopen(f"{receiver.url}/events/count", timeout=30) as answer:  # noqa: S310
            return int(json.load(answer)["count"])
    except (OSError, HTTPException, ValueError) as error:
        with suppress(subprocess.TimeoutExpired):
            code = receiver.process.wait(ENDED_SECONDS)  # who ends does not answer first
            end = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
            fail(f"the receiver {end}; its last line was: {last_line(receiver.log)}")
        fail(f"the receiver gave no count ({error}); its last line: {last_line(receiver.log)}")


def _seconds(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= LONGEST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text}: it must be 1 to {LONGEST_SECONDS}")
    return int(text)
