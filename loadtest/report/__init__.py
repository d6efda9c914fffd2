"""From the record of a run to its report: a page, charts and a summary."""
