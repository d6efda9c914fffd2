"""Makes the scripts' own support modules importable."""

import sys

from webhook.process import REPOSITORY

sys.path.append(str(REPOSITORY / "scripts"))
