"""The routes of a node's Fabio: the webhook's instances in Consul, without those out of reach.

targets    which instances get connections (a pure rule)
catalog    the instances and the nodes, according to Consul
beats      which nodes answer this one
probes     which instances say that they take events
service    all of it together, served to Fabio and to people
"""
