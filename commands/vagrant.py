"""What virtual machines need from this machine: all that nodes run, in the folder .vagrant/kit.

`vagrant up` calls this and copies the folder to each machine. What is fetched or built is kept in
the cache for the next time.
"""

import argparse
from pathlib import Path

from tools.say import fail, say
from tools.verbs import Verbs


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = Verbs(parser)
    kit = verbs.add_parser("kit", help="make the folder, or bring it up to date")
    keep = verbs.add_parser(
        "keep", help="keep the Debian packages that a machine had to fetch, for the others"
    )
    keep.add_argument("archive", type=Path, metavar="TAR", help="the packages")
    for verb in (kit, keep):
        verb.add_argument("--box", required=True, help="which box the machines are made from")
    release = verbs.add_parser(
        "release",
        help="make a release of this checkout, for `vagrant rsync` to put on all machines",
    )
    release.add_argument("version")
    arguments = parser.parse_args()
    from cluster.layout import ClusterError
    from cluster.nodes import virtual

    try:
        if arguments.verb == "kit":
            say("putting together what nodes need")
            virtual.fill(virtual.KIT, arguments.box)
            virtual.choose_access()
        elif arguments.verb == "keep":
            virtual.keep(virtual.KIT, arguments.box, arguments.archive)
        elif arguments.verb == "release":
            virtual.release(arguments.version)
            options = f"-preserve-counts -var version={arguments.version}"
            say("copy it to the machines: vagrant rsync")
            say(f"roll it out, on one of them: nomad job run {options} webhook.nomad")
    except (OSError, ClusterError) as error:
        fail(str(error))
    return 0
