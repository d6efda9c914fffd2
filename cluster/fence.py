"""What is sent to the nodes' addresses while there are no nodes goes nowhere.

Without it the machine's default route takes it, out to whoever has those addresses there: load and
events would reach a stranger. The fence stays when the nodes end, for that is what it is for. It
does not stand in the way of another network with these addresses, such as virtual machines have:
only the default route is out of bounds.
"""

from cluster.layout import NETWORK
from cluster.linux.namespace import must

# Rules are looked at in the order of their numbers; 32766 is the main table, all of it.
LOCAL = ["to", NETWORK, "pref", "32764", "lookup", "main", "suppress_prefixlength", "0"]
NOWHERE = ["to", NETWORK, "pref", "32765", "unreachable"]


def put_up() -> None:
    """Put it up, unless it stands."""
    for rule, number in ((LOCAL, "32764"), (NOWHERE, "32765")):
        if NETWORK not in must(["ip", "rule", "show", "pref", number]):
            must(["ip", "rule", "add", *rule])
