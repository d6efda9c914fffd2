"""Where events go: a file for each kind of target; `contract` is what all of them do."""
