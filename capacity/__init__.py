"""How many allocations and nodes a rate of events needs: arithmetic on measured values.

constants       constants.toml: each value with the command that measured it
sizing          from a need to allocations, nodes, disk, memory: pure arithmetic
growth          what changes from one allocation to a thousand, and what stops first
show            both, in words
"""
