"""report.html and curves.svg: an evaluation, or several of the same pairs side by side, as a person looks at them.

The page is one file, and its policy keeps a browser from asking any other address. Nothing in it depends on the time:
the same evaluation gives the same bytes. The layout is in report.html.jinja.
"""

import base64
import io
import itertools
import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import cv2
import jinja2
import numpy as np

from datasets.masks import BUCKETS, SPARSE
from metrics.buckets import ALL, BORDER_ROWS, area
from metrics.comparison import Difference, differences, gain
from metrics.methods import Method, side_by_side
from metrics.pictures import BRIGHTEST_ERROR
from metrics.report import COLUMNS, plain

PAGE, CURVES = "report.html", "curves.svg"
CHART, LEGEND = (3.8, 3.0), 0.35  # inches: one measure; the height of the legend
BESIDE = 3  # charts side by side
STYLES = ("-", "--", ":", "-.")  # different without colours, too
_TEMPLATE = Path(__file__).with_name("report.html.jinja")


def page_files(methods: Sequence[Method], paper: dict | None = None, caution: str = "") -> dict[str, bytes]:
    """The content of report.html and curves.svg.

    Args:
        methods: of the same pairs; the others are set against the first.
        paper: from ``metrics.report.paper_rows``, to be shown beside them, with a ``caution`` on how to read it.
    """
    svg = curves_svg(lines_of(methods, paper))
    text = page(methods, svg[svg.index("<svg") :], paper, caution)
    return {PAGE: text.encode("utf-8", "replace"), CURVES: svg.encode("utf-8", "replace")}  # names that are no UTF-8


def lines_of(methods: Sequence[Method], paper: dict | None = None) -> list[tuple[str, list[dict]]]:
    """The curves: of one method by border, of several each one's of all pairs."""
    if len(methods) == 1:
        lines = [(border, [r for r in methods[0].rows if r["border"] == border]) for border in BORDER_ROWS]
    else:
        lines = [(method.name, [r for r in method.rows if r["border"] == ALL]) for method in methods]
    if paper is not None:
        rows = [{**row, "bucket": bucket, "ssim": None} for (bucket, border), row in paper.items() if border == "N"]
        lines.append(("paper, N", rows))  # its SSIM cannot be compared with ours
    lines = [(name, [row for row in rows if row["bucket"] != ALL]) for name, rows in lines]
    return [line for line in lines if line[1]]


def curves_svg(lines: Sequence[tuple[str, Sequence[dict]]]) -> str:
    """Each measure over the middle of each bucket, a curve for each line, with the intervals of the means.

    Args:
        lines: names, and rows as in report.json, one for each bucket; a mean may be None.
    """
    import matplotlib
    from matplotlib.figure import Figure

    titles = _titles([row for _, rows in lines for row in rows])
    settings = {"svg.fonttype": "none", "svg.hashsalt": "pconv", "text.parse_math": False}
    with matplotlib.rc_context(settings), warnings.catch_warnings(), io.StringIO() as file:
        warnings.simplefilter("ignore")  # letters that the font has not: the browser has them
        columns, rows = min(BESIDE, len(titles)), -(-len(titles) // BESIDE)
        figure = Figure((CHART[0] * columns, CHART[1] * rows + LEGEND))
        figure.subplots_adjust(**_margins(*figure.get_size_inches()))
        axes = [figure.add_subplot(rows, columns, i + 1) for i in range(len(titles))]
        for chart, (measure, title) in zip(axes, titles.items(), strict=True):
            _draw(chart, lines, measure)
            chart.set(title=title, xlabel="share of hole")
        # the blank: a name that begins with "_" is left out of legends
        names = [f" {name.encode('utf-8', 'replace').decode('utf-8')}" for name, _ in lines]
        figure.legend(axes[0].containers, names, loc="upper left", ncols=len(names), frameon=False)
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
        return file.getvalue()


def _margins(width: float, height: float) -> dict[str, float]:
    """Where the charts lie in a figure of that size in inches; a layout engine takes as long as all the drawing."""
    return {
        "left": 0.5 / width,
        "right": 1 - 0.1 / width,
        "bottom": 0.5 / height,
        "top": 1 - (LEGEND + 0.3) / height,
        "wspace": 0.16,
        "hspace": 0.35,
    }


def page(methods: Sequence[Method], svg: str, paper: dict | None = None, caution: str = "") -> str:
    """The whole page as text."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    titles = _titles([row for method in methods for row in method.rows])
    return template.render(
        names=[method.name for method in methods],
        titles=titles,
        rows=_mean_rows(methods, titles, paper),
        paper=paper is not None,
        caution=caution,
        svg=svg,
        comparisons=[_comparison(methods[0], other) for other in methods[1:]],
        strips=_strips(methods),
        brightest=BRIGHTEST_ERROR,
        protocol=_protocol(methods),
    )


def _draw(chart, lines: Sequence[tuple[str, Sequence[dict]]], measure: str) -> None:
    known = [[row for row in rows if row.get(measure) is not None] for _, rows in lines]
    for i, rows in enumerate(known):
        shift = 0.004 * (i - (len(lines) - 1) / 2)  # bars stand beside each other
        values = [row[measure] for row in rows]
        ends = [[row.get(f"{measure}_{end}") for row in rows] for end in ("low", "high")]
        bars = [
            [0 if end is None else abs(end - value) for end, value in zip(side, values, strict=True)] for side in ends
        ]
        middles = [_middle(row["bucket"]) + shift for row in rows]
        chart.errorbar(middles, values, bars, marker="o", markersize=4, linestyle=STYLES[i % len(STYLES)])
    buckets = {row["bucket"] for rows in known for row in rows}
    edges = [0, *(high for _, high in BUCKETS), *([1] if SPARSE in buckets else [])]
    chart.set_xticks(edges, [f"{edge:g}" for edge in edges])
    chart.grid(axis="y", color="#dddddd")


def _middle(name: str) -> float:
    low, high = map(float, name.split("-"))
    return (low + high) / 2


def _titles(rows: Sequence[dict]) -> dict[str, str]:
    """The measures that a row has, with their titles."""
    return {measure: c.page_title for measure, c in COLUMNS.items() if any(measure in row for row in rows)}


def _mean_rows(methods: Sequence[Method], titles: dict[str, str], paper: dict | None) -> list[dict]:
    columns = [{(row["bucket"], row["border"]): row for row in method.rows} for method in methods]
    rows = []
    for (bucket, border), row in columns[0].items():
        cells = []
        for measure in titles:
            cells += _cells([column.get((bucket, border), {}) for column in columns], measure)
            if paper is not None:
                value = paper.get((bucket, border), {}).get(measure)
                cells.append({"text": "–" if value is None else f"{value:g}", "interval": "", "best": False})
        rows.append({**_place(bucket, border, row["count"]), "cells": cells})
    return rows


def _cells(rows: Sequence[dict], measure: str) -> list[dict]:
    """One for each method; the best, where there are several, is marked."""
    gains = [gain(measure, row[measure]) for row in rows if row.get(measure) is not None]
    digits, cells = COLUMNS[measure].page_shown, []
    for row in rows:
        value = row.get(measure)
        cells.append(
            {
                "text": "–" if value is None else f"{value:.{digits}f}",
                "interval": _interval(row.get(f"{measure}_low"), row.get(f"{measure}_high"), f".{digits}f"),
                "best": len(rows) > 1 and value is not None and gain(measure, value) == max(gains),
            }
        )
    return cells


def _comparison(first: Method, other: Method) -> dict:
    found = differences(first.samples, other.samples)
    places = itertools.groupby(found, key=lambda d: (d.bucket, d.border, d.pairs))
    rows = [{**_place(*place), "cells": [_difference(d) for d in of_place]} for place, of_place in places]
    measures = dict.fromkeys(d.measure for d in found)
    return {"first": first.name, "other": other.name, "titles": [COLUMNS[m].page_title for m in measures], "rows": rows}


def _difference(d: Difference) -> dict:
    digits = COLUMNS[d.measure].page_shown
    return {
        "text": "–" if d.mean is None else f"{d.mean:+.{digits}f}",
        "interval": _interval(d.low, d.high, f"+.{digits}f"),
        "wins": d.wins,
        "losses": d.losses,
    }


def _interval(low: float | None, high: float | None, form: str) -> str:
    return "" if low is None or high is None else f"{low:{form}} to {high:{form}}"


def _place(bucket: str, border: str, pairs: int) -> dict:
    return {"area": area(bucket), "border": border, "pairs": pairs, "first": border == BORDER_ROWS[0]}


def _strips(methods: Sequence[Method]) -> list[dict]:
    return [
        {
            "area": area(strip.bucket),
            "caption": f"{strip.rank}, {'identical' if strip.psnr == math.inf else f'{strip.psnr:.2f} dB'}: "
            f"{strip.image} with {strip.mask}",
            "panels": {name: _data(panel) for name, panel in strip.panels.items()},
        }
        for strip in side_by_side(methods)
    ]


def _protocol(methods: Sequence[Method]) -> dict[str, list[str]]:
    keys = dict.fromkeys(key for method in methods for key in method.protocol)
    return {key: [plain(method.protocol.get(key)) for method in methods] for key in keys}


def _data(panel: np.ndarray) -> str:
    """A picture as an address that holds all of it."""
    png = cv2.imencode(".png", np.ascontiguousarray(panel[..., ::-1]))[1].tobytes()
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
