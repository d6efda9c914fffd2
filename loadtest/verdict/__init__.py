"""Whether a run went well: the ledger against the store, and every count against both."""
