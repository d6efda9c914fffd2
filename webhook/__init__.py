"""The webhook: receives call events, stores them durably, counts those of the last half hour.

Read it from the inside out: `window`, `rate`, `events`, `admission`, `clock` and `problem` are
pure; `commit` groups events into writes; `store` keeps them; `http` speaks HTTP; `allocations`
knows the other receivers; `app` holds the routes; `server` is the life of the process.
"""
