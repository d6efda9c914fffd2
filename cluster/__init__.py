"""The cluster of three nodes on this machine: what is on a node, the nodes, and what they say."""
