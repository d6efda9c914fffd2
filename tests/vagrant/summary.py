"""What TGIBF prints as a job, read back."""

import re


def is_whole(text: str) -> bool:
    """Whether the figures of the whole run are there, which come last."""
    return re.search(r"^unknown +\d", text, re.MULTILINE) is not None


def figure(text: str, name: str) -> int:
    """A figure of the whole run."""
    found = re.search(rf"^{name} +([\d,]+)", text, re.MULTILINE)
    assert found is not None, text
    return int(found[1].replace(",", ""))


def errors(text: str) -> dict[str, int]:
    """How many events failed for each reason."""
    found = re.findall(r"^error +([\d,]+) (.+?)(?: \(.*)?$", text, re.MULTILINE)
    return {reason: int(number.replace(",", "")) for number, reason in found}
