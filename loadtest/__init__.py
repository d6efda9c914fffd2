"""The load test: half an hour and more of events, everything watched each second, a verdict.

plan        what is to be done, from the command line (`cli`)
targets     where events go: a demonstration of its own, any URL, the cluster (`cluster`)
generators  TGIBF, which sends and keeps the ledger
samplers    the count, the receivers, the allocations, this machine; a thread each
run         all of that, from start to end
judging     the ledger against the store, and every count against both (`expectation`)
record      what is kept of a run: report.json
report      the page and the pictures, which depend on the record only (`charts`, `page`)
"""
