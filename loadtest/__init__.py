"""The load test: half an hour and more of events, everything watched each second, a verdict.

plan        what is to be done, from the command line (`cli`)
targets     where events go: a demonstration of its own, any URL, the cluster (`cluster`)
generators  TGIBF, which sends and keeps the ledger
watch       the count, the receivers, the allocations, this machine, each in a thread (`samplers`)
run         all of that, from start to end
judging     the ledger against the store, and every count against both (`expectation`)
record      what is kept of a run: report.json
report      page, pictures, summary, all made from the record alone (`page`, `charts`, `figures`)
"""
