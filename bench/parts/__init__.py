"""What each part of the cluster uses, and what it has been given (docs/capacity.md).

usage      percentiles, and the table: pure arithmetic
looks      the processes of the nodes, once per second
given      what the jobs set aside, as Nomad has it
cli        scripts/bench parts
"""
