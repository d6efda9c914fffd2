"""The webhook: receives call events, stores them durably, counts those of the last half hour.

Read it from the inside out: `window`, `rate`, `peaks`, `events`, `admission`, `clock` and `problem`
are pure; `commit` groups events into writes; `store` stores them; `http` speaks HTTP; `allocations`
knows the other receivers; `app` has the routes; `server` is the life of the process.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036
    sys.stderr.write(
        "could not start: this is Python %s; run it with Python 3.11 or later\n"  # noqa: UP031
        % sys.version.split()[0]
    )
    sys.exit(3)
