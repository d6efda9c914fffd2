"""The load test: half an hour and more of events, everything watched each second, a verdict.

arguments   the command line; `plan` is what is to be done
targets/    where events go: a demonstration of its own, any URL, the cluster
generators  TGIBF, which sends and keeps the ledger
watch/      the count, the receivers, the allocations, this machine, each in a thread
run         all of that, from start to end; `main` is what comes before and after
verdict/    the ledger against the store, and every count against both
record      what is kept of a run: report.json
report/     page, pictures, summary, all made from the record alone
"""
