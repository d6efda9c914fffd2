"""Nodes that are machines: the Vagrantfile, the box, what makes a machine a node, and all of it."""
