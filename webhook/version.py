"""The version. A release replaces this file with one that has its own (`scripts/package`)."""

VERSION = "dev"
