"""The ring as it is configured and run, and the tools that make it."""
