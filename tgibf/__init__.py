"""TGIBF ("Thank God It's Black Friday"): a load generator that plays the telephony provider.

It POSTs call events to a webhook, in growing bursts or at a steady rate, and accounts for every
one of them: acknowledged, refused, or unknown. Run it with `python -m tgibf URL`.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036
    sys.stderr.write(
        "error: this is Python %s; run it with Python 3.11 or later\n"  # noqa: UP031
        % sys.version.split()[0]
    )
    sys.exit(2)
