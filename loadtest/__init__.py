"""The load test: half an hour or more of events, everything sampled once per second, a verdict.

arguments   the command line; `plan` is what to do, `urls` are a receiver's
targets/    where events go: the demo's receiver, any URL, the cluster
generators  TGIBF, which sends and writes the ledger
watch/      the count, the receivers, the allocations, this machine, each in a thread
run         all of that, from start to end; `main` is what comes before and after
verdict/    the ledger against the store, and every count against both
record      what is kept of a run: report.json
report/     page, pictures, summary, all made only from the record
"""
