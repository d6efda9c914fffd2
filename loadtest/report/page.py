"""The page of a report: one file with everything in it, made from the record alone."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.resources import files

from loadtest.record import CountVerdict, GeneratorRecord, LedgerVerdict, Record
from loadtest.report import figures
from loadtest.report.charts import CHARTS
from loadtest.verdict.judging import between, reasons

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
LEDGER_MEANINGS = {
    "attempted": "events that were sent",
    "acknowledged": "of these, answered 200",
    "lost": "acknowledged, and not in the store: a broken promise",
    "recovered": "unknown outcome, but in the store",
    "unexpected": "in the store, although refused or never sent: a broken promise",
    "unknown": "unknown outcome, and not in the store",
    "duplicates": "in the store more than once: a broken promise",
}


def page(record: Record, charts: Mapping[str, str]) -> str:
    """The page's text; `charts` has an SVG by name."""
    parts = [
        _header(record),
        _warnings(record.warnings),
        _ledger(record.verdict.ledger),
        _counts(record),
        *(_chart(name, svg) for name, svg in charts.items()),
        _absent(charts),
        _generators(record),
        _costs(record),
        _conditions(record),
    ]
    state = "valid" if record.verdict.valid else "invalid"
    css = files("loadtest.report").joinpath("page.css").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<link rel="icon" href="data:,">
<title>{_word(record)}: load test of {_e(record.target.name)}, {_time(record.began)}</title>
<style>
{css}</style>
</head>
<body class="{state}">
{"".join(part for part in parts if part)}</body>
</html>
"""


def _header(record: Record) -> str:
    totals = figures.totals(record)
    seconds = figures.duration(record)
    shown = {
        "sent": f"{totals['sent']:,}",
        "acknowledged": f"{totals['acked']:,}",
        "refused": f"{totals['refused']:,}",
        "unknown": f"{totals['unknown']:,}",
        "events/s, mean": f"{totals['acked'] / seconds if seconds else 0:,.0f}",
        "largest count": f"{figures.peak(record):,}",
        "duration": _duration(seconds),
    }
    cells = "".join(
        f'<div><dt>{_e(name)}</dt><dd data-figure="{_e(name)}">{value}</dd></div>\n'
        for name, value in shown.items()
    )
    early = " It was ended early." if record.interrupted else ""
    loads = " and ".join(_load(one) for one in record.generators)
    return f"""<header>
<h1>Load test of {_e(record.target.name)}</h1>
<p>{_time(record.began)}: {loads}, for {_duration(seconds)}.{early}</p>
<p id="verdict">{_word(record)}</p>
{_why(record)}<dl class="figures">
{cells}</dl>
</header>
"""


def _word(record: Record) -> str:
    return "valid" if record.verdict.valid else "INVALID"


def _why(record: Record) -> str:
    found = reasons(record)
    if found:
        return _list("reasons", found)
    counts = record.verdict.counts
    checked = f"{counts.checked:,}" if counts else "0"
    if record.verdict.ledger is None:
        return (
            f"<p>No store was read, so only counts were judged: each of the {checked} counts that "
            "were read was within the bounds that the acknowledgements set.</p>\n"
        )
    return (
        "<p>The store has every acknowledged event once, and nothing else of this run; each of "
        f"the {checked} counts that were read was right.</p>\n"
    )


def _warnings(warnings: Sequence[str]) -> str:
    return f'<div class="warnings">{_list("reasons", warnings)}</div>\n' if warnings else ""


def _ledger(ledger: LedgerVerdict | None) -> str:
    if ledger is None:
        return _section("ledger", "Ledger", "<p>It was not compared with a store.</p>\n")
    rows = [
        [word, f"{getattr(ledger, word):,}", meaning + _examples(ledger.examples.get(word, []))]
        for word, meaning in LEDGER_MEANINGS.items()
    ]
    text = (
        "<p>Every event has an id. The generator's ledger was compared with the store, id by id."
        "</p>\n"
    )
    return _section("ledger", "Ledger", text + _table(["", "events", ""], rows, number=1))


def _examples(names: Sequence[str]) -> str:
    return f" ({', '.join(names)}, …)" if names else ""


def _counts(record: Record) -> str:
    counts = record.verdict.counts
    if counts is None:
        return _section("counts", "Counts", "<p>They were not judged.</p>\n")
    parts = [_checked(counts)]
    rows = [
        [one.url, f"{one.count:,}", between(one.low, one.high), "right" if one.right else "WRONG"]
        for one in counts.final
    ]
    header = ["asked at", "count", "by the rows" if counts.exact else "by the ledger", ""]
    parts.append(_table(header, rows, number=1))
    if plateau := figures.plateau(record):
        parts.append(
            f'<p id="plateau">Plateau: after the window had passed, until the end of the load, '
            f"{plateau.samples:,} counts were read: {plateau.low:,} to {plateau.high:,}, median "
            f"{plateau.median:,.0f}. The window is {record.target.window_seconds:,} whole seconds, "
            f"of which the last is still running: a steady {record.rate:,g} events/s fill it with "
            f"{plateau.least:,.0f} to {plateau.most:,.0f}.</p>\n"
        )
    return _section("counts", "Counts", "".join(parts))


def _checked(counts: CountVerdict) -> str:
    wrong = f"{len(counts.wrong):,} were not" if counts.wrong else "all were"
    text = (
        f'<p><span data-figure="counts checked">{counts.checked:,}</span> counts were read during '
        "the load. Each must be at least the events acknowledged one second earlier, and at most "
        f"those sent so far, both minus those that had left the window: {wrong} within.</p>\n"
    )
    if counts.exact:
        return text + "<p>When all had settled, the count must be the number of rows:</p>\n"
    return text + "<p>When all had settled:</p>\n"


def _chart(name: str, svg: str) -> str:
    title, caption = CHARTS[name].title, CHARTS[name].caption
    picture = svg.replace("<svg ", f'<svg role="img" aria-label="{_e(title)}: {_e(caption)}" ', 1)
    return _section(
        f"chart-{name}",
        title,
        f"<figure>\n{picture}<figcaption>{_e(caption)}</figcaption>\n</figure>\n",
    )


def _absent(charts: Mapping[str, str]) -> str:
    absent = [one.title for name, one in CHARTS.items() if name not in charts]
    if not absent:
        return ""
    return f'<p id="absent">Not available from this target: {_e(", ".join(absent).lower())}.</p>\n'


def _generators(record: Record) -> str:
    header = ["", "acknowledged", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "bursts", "behind ms"]
    rows = []
    for one in record.generators:
        summary = one.summary or {}
        latency = summary.get("latency_ms", {})
        cells = [_number(summary.get("acked"), 0)]
        cells += [_number(latency.get(name), 1) for name in ("p50", "p99", "p99_9", "max")]
        cells += [_number(summary.get("bursts"), 0), _number(summary.get("behind_ms"), 1)]
        rows.append([one.name, *cells])
    errors = figures.errors(record)
    kinds = [[kind, f"{count:,}"] for kind, count in errors.items()]
    text = _table(header, rows, number=1)
    text += _table(["error", "events"], kinds, number=1) if kinds else "<p>No errors.</p>\n"
    for one in record.generators:
        text += f"<p><code>{_e(' '.join(one.command))}</code></p>\n"
    return _section("generators", "Generators", text)


def _costs(record: Record) -> str:
    rows = [
        [f"CPU time of {kind}", f"{value:,.0f} us"]
        for kind, value in figures.cpu_per_event(record).items()
        if round(value)
    ]
    network, group = figures.bytes_per_event(record), figures.events_per_write(record)
    rows.append(["on the wire", f"{network:,.0f} bytes" if network else "not known"])
    rows.append(["events per write", f"{group:,.1f}" if group else "not known"])
    text = "<p>What this machine used in total during the load, per acknowledged event.</p>\n"
    return _section("costs", "What an event costs", text + _table(["", ""], rows, number=1))


def _conditions(record: Record) -> str:
    target = record.target
    rows = [
        ["target", ", ".join(target.urls)],
        ["store", target.store or "not read"],
        ["window", f"{target.window_seconds:,} s"],
        ["commit", record.commit or "not a checkout"],
        *([name, value] for name, value in record.machine.items()),
        *([name, value] for name, value in record.versions.items()),
    ]
    text = _table(["", ""], rows)
    text += (
        "<p>All samples are in <code>report.json</code> beside this page; <code>"
        "scripts/loadtest --again report.json</code> makes the same page from them.</p>\n"
    )
    return _section("conditions", "Machine and versions", text)


def _section(name: str, title: str, content: str) -> str:
    return f'<section id="{name}">\n<h2>{_e(title)}</h2>\n{content}</section>\n'


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], number: int | None = None) -> str:
    """A table; from column `number` on, cells that begin with a digit stand to the right."""

    def cell(tag: str, place: int, text: str) -> str:
        right = number is not None and place >= number and (tag == "th" or text[:1].isdigit())
        kind = ' class="number"' if right and text else ""
        return f"<{tag}{kind}>{_e(text)}</{tag}>"

    head = "".join(cell("th", place, text) for place, text in enumerate(header))
    body = "".join(
        f"<tr>{''.join(cell('td', place, text) for place, text in enumerate(row))}</tr>\n"
        for row in rows
    )
    top = f"<thead><tr>{head}</tr></thead>\n" if any(header) else ""
    return f'<div class="wide"><table>\n{top}<tbody>\n{body}</tbody>\n</table></div>\n'


def _list(kind: str, items: Iterable[str]) -> str:
    lines = "".join(f"<li>{_e(item)}</li>\n" for item in items)
    return f'<ul class="{kind}">\n{lines}</ul>\n'


def _load(one: GeneratorRecord) -> str:
    if one.rate is not None:
        return f"{one.rate:,g} events/s"
    if one.steps:
        return f"{', '.join(f'{rate:,g}' for _, rate in one.steps)} events/s in turn"
    return "TGIBF's bursts"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _e(text: str) -> str:
    return escape(text)
