"""The command line: runs one receiver with settings from the environment."""

import argparse
import logging
import os
from collections.abc import Sequence

import uvloop

from webhook.server import Receiver
from webhook.settings import Settings, SettingsError, settings_help, unknown_variables
from webhook.store import StartError, Store, open_store
from webhook.version import VERSION

EXIT_START_FAILED = 3

log = logging.getLogger("webhook")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM. 0 after a clean stop, 3 if it could not start."""
    parser = argparse.ArgumentParser(
        prog="python -m webhook",
        description="Receives call events at POST /events, stores them, counts them.",
        epilog=f"Settings (environment variables):\n{settings_help()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"webhook {VERSION}")
    parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("cassandra").setLevel(logging.CRITICAL)  # what matters the store says itself
    for name, resembles in unknown_variables(os.environ).items():
        hint = f"; did you mean {resembles}?" if resembles else ""
        log.warning("%s is not a setting of the receiver%s", name, hint)
    try:
        settings = Settings.from_env(os.environ)
        store = open_store(settings.store, settings.retention_seconds)
        uvloop.run(_run(settings, store))
    except (SettingsError, StartError) as error:
        log.critical("could not start: %s", error)
        return EXIT_START_FAILED
    return 0


async def _run(settings: Settings, store: Store) -> None:
    await Receiver(settings, store).run()
