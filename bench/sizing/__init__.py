"""How well the number of allocations follows its load, on a running cluster (docs/rightsizing.md).

Every allocation has a limit (`WEBHOOK_MAX_EVENTS_PER_SECOND`), so that there is something to scale
on one machine: N of them take N x limit, which a control run shows.

loads      the loads, made from a seed: pure
signals    what the count may follow, as Prometheus' rules: pure
record     a run, from the load test's report
measures   what came of a run: pure arithmetic
path       a step's way to capacity, part by part: pure arithmetic
staging    the cluster before a run, and as it was
trials     the load test as a child
options    what both commands may be told
compare    scripts/bench signals
goals      scripts/bench right-sizing
"""
