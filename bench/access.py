"""What keys and TLS cost a receiver on SQLite: events/s, CPU time per event, latency.

The receiver without either, with each kind of key, and with a certificate, in turns, each time on
a fresh file. wrk builds every request in the same way, so that its own part is the same for all;
over TLS it encrypts, too. Signatures are made before a run, with an id for each event.
"""

import argparse
import base64
import hashlib
import itertools
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import wrk
from bench.figures import Figures, conditions, ratio, table
from bench.subjects import OURS
from bench.throughput import LOADS, Run, press
from bench.wrk import Load
from harness.certificates import make
from tgibf.events import load_events
from tgibf.key import Key, plain_key, signing_key
from tools.say import fail, say

MOST_PER_SECOND = 80_000
"""More than any run sends: an id that comes again is not stored again."""
TOKEN = secrets.token_urlsafe(24)
SECRET = secrets.token_bytes(32)

Settings = Callable[[Path], Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Variant:
    """A receiver with these settings, and what shows it a key."""

    name: str
    settings: Settings = lambda _folder: {}
    key: Key | None = None


def _keys(line: str, folder: Path) -> Mapping[str, object]:
    file = folder / "keys"
    file.write_text(line)
    file.chmod(0o600)
    return {"keys": file}


def _certificate(folder: Path) -> Mapping[str, object]:
    files = make(folder)
    return {"tls_cert": files.chain, "tls_key": files.key}


_SIGNED = partial(_keys, f"shop whsec_{base64.b64encode(SECRET).decode()}")
_SHOWN = partial(_keys, f"shop bearer {hashlib.sha256(TOKEN.encode()).hexdigest()}")
VARIANTS = (
    Variant("nothing"),
    Variant("a token", _SHOWN, plain_key(f"Bearer {TOKEN}")),
    Variant("signatures", _SIGNED, signing_key(SECRET)),
    Variant("TLS", _certificate),
    Variant(
        "TLS and signatures",
        lambda folder: {**_SIGNED(folder), **_certificate(folder)},
        signing_key(SECRET),
    ),
)


def heads(key: Key | None, body: bytes) -> Iterator[str]:
    """The header lines of one event after another."""
    for number in itertools.count():
        yield "" if key is None else key(f"msg_{number}", body).decode()


def measure(variant: Variant, load: Load, seconds: int) -> Run:
    """One run."""
    lines = itertools.islice(heads(variant.key, load_events()[0]), MOST_PER_SECOND * seconds)
    return press(
        OURS,
        seconds,
        lambda url: wrk.run_with_heads(url, load, seconds, lines),
        variant.settings,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench access",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=5, help="of each (default 5)")
    parser.add_argument("--seconds", type=int, default=4, help="of each run (default 4)")
    options = parser.parse_args(arguments)
    if not wrk.available():
        fail("wrk is not installed; on Debian: apt-get install wrk")
    if shutil.which("openssl") is None:
        fail("there is no openssl here; on Debian: apt-get install openssl")
    runs: dict[tuple[str, str], list[Run]] = {}
    for round_ in range(1, options.rounds + 1):
        for load, variant in itertools.product(LOADS[:3], VARIANTS):
            run = measure(variant, load, options.seconds)
            runs.setdefault((load.name, variant.name), []).append(run)
            where = f"round {round_}/{options.rounds}, {load.name}, {variant.name}"
            say(f"{where}: {run}, {run.errors} errors")
    print(f"Median (smallest-largest) of {options.rounds} rounds; {conditions()}\n")
    header = ["connections", "with", "events/s", "of nothing's", "us CPU/event", "p99 ms", "errors"]
    print(table(header, [_row(runs, *one) for one in runs]))
    return 0


def _row(runs: Mapping[tuple[str, str], Sequence[Run]], load: str, variant: str) -> list[str]:
    these = runs[load, variant]
    rates, plain = ([one.per_second for one in some] for some in (these, runs[load, "nothing"]))
    return [
        load,
        variant,
        Figures(rates).show(),
        ratio(rates, plain),
        Figures([one.cpu_us for one in these]).show(),
        Figures([one.p99_ms for one in these]).show(1),
        str(sum(one.errors for one in these)),
    ]


if __name__ == "__main__":
    sys.exit(main())
