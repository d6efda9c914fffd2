"""While there are no nodes, drops what is sent to their addresses.

Otherwise the machine's default route would send it to whoever has those addresses there: load and
events would reach a stranger. So the fence stays when the nodes end. It does not block another
network with these addresses, such as that of virtual machines: it closes only the default route.
"""

from cluster.layout import NETWORK
from cluster.linux.namespace import must

# Rules are looked at in the order of their numbers; 32766 is the main table, all of it.
LOCAL, LOCAL_RULE = "32764", ["lookup", "main", "suppress_prefixlength", "0"]
NOWHERE, NOWHERE_RULE = "32765", ["unreachable"]


def put_up(network: str = NETWORK) -> None:
    """Put it up, unless it stands."""
    for number, rule in ((LOCAL, LOCAL_RULE), (NOWHERE, NOWHERE_RULE)):
        if network not in must(["ip", "rule", "show", "pref", number]):
            must(["ip", "rule", "add", "to", network, "pref", number, *rule])
