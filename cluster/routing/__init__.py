"""The routes of a node's Fabio: where Consul says the webhook is, less what is out of reach.

targets    which of the instances get connections (a pure rule)
catalog    the instances and the nodes, as Consul has them
beats      which nodes answer this one
probes     which instances say that they take events
service    all of it together, served to Fabio and to whoever looks
"""
