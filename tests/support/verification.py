"""The verdict on a run, and on a receiver that was not there meanwhile."""

from collections.abc import Mapping, Sequence

from harness.verification import Bounds, judged, settled_counts
from harness.waiting import wait_for
from tests.support.checked_receiver import Receiver
from tgibf.outcome import Outcome
from webhook.store.audit import stored_ids


def verify(
    outcomes: Mapping[str, Outcome], url: str, receivers: Sequence[Receiver], bounds: Bounds
) -> str:
    """Hold a finished run against a store of its own; a line in Jepsen's words.

    The counts of the receivers that ran, and of one freshly started, must equal the rows.
    """
    urls = [receiver.url for receiver in receivers]
    settled_counts(urls, url)
    line = judged(outcomes, stored_ids(url), bounds)
    with Receiver(url) as fresh:
        wait_for(fresh.ready, "a fresh receiver is ready", 30)
        settled_counts([*urls, fresh.url], url)
    return line
