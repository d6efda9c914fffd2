"""Where events are stored: one small contract, and the stores that fulfil it."""

from webhook.store.contract import OutcomeUnknown, StartError, Store, StoreUnavailable
from webhook.store.kinds import open_store

__all__ = ["OutcomeUnknown", "StartError", "Store", "StoreUnavailable", "open_store"]
