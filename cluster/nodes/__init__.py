"""What the three nodes are made of: each kind of node is a file."""
