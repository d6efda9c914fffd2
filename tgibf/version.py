"""Which version this is. A release has its own in the place of this file (`scripts/package`)."""

VERSION = "dev"
