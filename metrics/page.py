"""report.html and curves.svg: an evaluation, or several of the same pairs side by side, as a person looks at them.

The page is one file, and its policy keeps a browser from asking any other address. Nothing in it depends on the time:
the same evaluation gives the same bytes. The layout is in report.html.jinja.
"""

import base64
import io
import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import cv2
import jinja2
import numpy as np

from datasets.masks import BUCKETS, SPARSE
from metrics.buckets import ALL, BORDER_ROWS, area
from metrics.comparison import Method, difference_table
from metrics.pictures import BRIGHTEST_ERROR, decibels
from metrics.report import COLUMNS, between, plain, shown

PAGE, CURVES = "report.html", "curves.svg"
CHART = (3.8, 3.3)  # inches of one measure
_TEMPLATE = Path(__file__).with_name("report.html.jinja")


def page_files(methods: Sequence[Method], paper: dict | None = None, caution: str = "") -> dict[str, bytes]:
    """The content of report.html and curves.svg.

    Args:
        methods: of the same pairs; the others are set against the first.
        paper: from ``metrics.report.papers_figures``, to be shown beside them, with its ``caution``.
    """
    svg = curves_svg(lines_of(methods))
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        names=[method.name for method in methods],
        means=_means(methods, paper),
        caution=caution,
        svg=svg[svg.index("<svg") :],
        differences=[(other.name, difference_table(methods[0], other)) for other in methods[1:]],
        strips=_strips(methods),
        brightest=BRIGHTEST_ERROR,
        protocol=_protocol(methods),
    )
    return {PAGE: text.encode("utf-8", "replace"), CURVES: svg.encode("utf-8", "replace")}  # names that are no UTF-8


def lines_of(methods: Sequence[Method]) -> dict[str, list[dict]]:
    """The rows of each curve: of one method by border, of several each one's of all pairs."""
    rows = [(m.name, row) for m in methods for row in m.rows if row["bucket"] != ALL]
    if len(methods) == 1:
        return {border: [row for _, row in rows if row["border"] == border] for border in BORDER_ROWS}
    return {m.name: [row for name, row in rows if (name, row["border"]) == (m.name, ALL)] for m in methods}


def curves_svg(lines: dict[str, Sequence[dict]]) -> str:
    """Each measure over the middle of each bucket, with the intervals of the means.

    Args:
        lines: by name, rows as in report.json, one for each bucket; a mean may be None.
    """
    import matplotlib
    from matplotlib.figure import Figure

    measures = _measures([row for rows in lines.values() for row in rows])
    settings = {"svg.fonttype": "none", "svg.hashsalt": "pconv", "text.parse_math": False}
    with matplotlib.rc_context(settings), warnings.catch_warnings(), io.StringIO() as file:
        warnings.simplefilter("ignore")  # letters that the font has not: the browser has them
        size = CHART[0] * min(len(measures), 3), CHART[1] * math.ceil(len(measures) / 3)
        figure = Figure(size, layout="constrained")
        for i, measure in enumerate(measures, 1):
            chart = figure.add_subplot(math.ceil(len(measures) / 3), min(len(measures), 3), i)
            _draw(chart, lines, measure)
        # the blank: a name that begins with "_" is left out of legends
        names = [f" {name.encode('utf-8', 'replace').decode('utf-8')}" for name in lines]
        figure.legend(figure.axes[0].containers, names, loc="outside upper left", ncols=len(names), frameon=False)
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
        return file.getvalue()


def _draw(chart, lines: dict[str, Sequence[dict]], measure: str) -> None:
    for i, rows in enumerate(lines.values()):
        rows = [row for row in rows if row.get(measure) is not None]
        middles = [sum(map(float, row["bucket"].split("-"))) / 2 + 0.004 * i for row in rows]  # bars beside each other
        ends = [[row.get(f"{measure}_{end}") for row in rows] for end in ("low", "high")]
        values = [row[measure] for row in rows]
        bars = [[0 if e is None else abs(e - value) for e, value in zip(side, values, strict=True)] for side in ends]
        chart.errorbar(middles, values, bars, marker="o", markersize=4)
    sparse = any(row["bucket"] == SPARSE for rows in lines.values() for row in rows)
    edges = [0, *(high for _, high in BUCKETS), *([1] if sparse else [])]
    chart.set_xticks(edges, [f"{edge:g}" for edge in edges])
    chart.set(title=COLUMNS[measure].title, xlabel="share of hole")
    chart.grid(axis="y", color="#dddddd")


def _measures(rows: Sequence[dict]) -> list[str]:
    """Those that a row has."""
    return [measure for measure in COLUMNS if any(measure in row for row in rows)]


def _means(methods: Sequence[Method], paper: dict | None) -> list[list[str]]:
    """Lines of cells, the first is the head: a mean and below it its interval, of each measure of each method."""
    columns = [(m.name, {(row["bucket"], row["border"]): row for row in m.rows}) for m in methods]
    columns += [("paper", paper)] if paper is not None else []
    measures = _measures([row for method in methods for row in method.rows])
    titles = [f"{COLUMNS[m].title}\n{name if len(columns) > 1 else ''}" for m in measures for name, _ in columns]
    lines = [["hole", "border", "pairs", *titles]]
    for place, row in columns[0][1].items():
        own = [rows.get(place, {}) for _, rows in columns]
        cells = [f"{shown(m, row.get(m))}\n{between(m, row)}" for m in measures for row in own]
        lines.append([area(place[0]), place[1], str(row["count"]), *cells])
    return lines


def _strips(methods: Sequence[Method]) -> list[dict]:
    """The strips of the first method, with the others' outputs and errors in them where they show the same pair."""
    found = [{(strip.image, strip.mask): strip for strip in method.strips} for method in methods]
    strips = []
    for pair, strip in found[0].items():
        panels = {"input": strip.panels["input"], "truth": strip.panels["truth"]}
        for method, of_method in zip(methods, found, strict=True):
            if same := of_method.get(pair):
                name = f"{method.name}, {decibels(same.psnr)}"
                panels |= {f"{name}: {part}": same.panels[part] for part in ("output", "error")}
        panels = {name: _data(panel) for name, panel in panels.items()}
        strips.append({"title": f"{strip.title}: {strip.image} with {strip.mask}", "panels": panels})
    return strips


def _protocol(methods: Sequence[Method]) -> list[list[str]]:
    keys = dict.fromkeys(key for method in methods for key in method.protocol)
    lines = [[key, *(plain(method.protocol.get(key)) for method in methods)] for key in keys]
    return [["", *(method.name for method in methods)], *lines]


def _data(panel: np.ndarray) -> str:
    """A picture as an address that holds all of it."""
    png = cv2.imencode(".png", np.ascontiguousarray(panel[..., ::-1]))[1].tobytes()
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
