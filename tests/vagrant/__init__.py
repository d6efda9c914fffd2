"""Nodes that are machines: the Vagrantfile, the box, what makes a machine a node, and all of it."""

import sys

from webhook.process import REPOSITORY

sys.path.append(str(REPOSITORY / "scripts"))  # the scripts' own support modules
