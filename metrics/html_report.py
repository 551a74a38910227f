"""report.html: an evaluation, or several of the same pairs side by side, as a page that a person looks at.

Tables by hole area and border with the intervals of the means, curves, pictures. All is in the one file, and its
policy keeps a browser from asking any other address. Nothing in it depends on the time: the same evaluation writes the
same bytes.
"""

import base64
import os
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np

from metrics.buckets import BORDER_ROWS
from metrics.charts import CHARTS, charts_of, curves_svg
from metrics.comparison import BETTER, DIGITS, Difference, differences
from metrics.methods import Method, side_by_side
from metrics.pictures import BRIGHTEST_ERROR
from metrics.report import CAUTION, plain
from utils.files import atomic_path

PAGE, CURVES = "report.html", "curves.svg"
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; background: #fff; max-width: 1240px; margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.6em } h2 { font-size: 1.25em; margin-top: 2em } h3 { font-size: 1em; margin: 1.4em 0 .3em }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .25em .7em; text-align: right; border-bottom: 1px solid #ddd; vertical-align: top }
th { border-bottom: 1px solid #888 } th.left, td.left { text-align: left; white-space: nowrap } tr.first td { border-top: 1px solid #888 }
td small { display: block; color: #666; white-space: nowrap } td.best { font-weight: bold } td.best small { font-weight: normal }
svg { max-width: 100%; height: auto }
.strip { display: flex; flex-wrap: wrap; gap: 6px; margin: 0 0 1.2em } .strip p { width: 100%; margin: 0; color: #444; overflow-wrap: anywhere }
figure { margin: 0; width: 180px } figure img { width: 100%; display: block } figcaption { font-size: 12px; color: #444; overflow-wrap: anywhere }
"""  # noqa: E501


def write_page(folder: str | os.PathLike, methods: Sequence[Method], paper: dict | None = None) -> None:
    """Write report.html and curves.svg into ``folder``.

    Args:
        methods: of the same pairs; the others are set against the first.
        paper: from ``metrics.report.paper_rows``, to be shown beside them.
    Raises:
        InputError: methods of other pairs.
    """
    svg = curves_svg(lines_of(methods, paper))
    for name, text in ((CURVES, svg), (PAGE, page(methods, svg, paper))):
        with atomic_path(Path(folder) / name) as temporary:
            temporary.write_bytes(text.encode("utf-8", "replace"))  # names that are no UTF-8


def lines_of(methods: Sequence[Method], paper: dict | None = None) -> list[tuple[str, list[dict]]]:
    """The curves: of one method by border, of several each one's of all pairs."""
    if len(methods) == 1:
        lines = [(border, [r for r in methods[0].rows if r["border"] == border]) for border in BORDER_ROWS]
    else:
        lines = [(method.name, [r for r in method.rows if r["border"] == "all"]) for method in methods]
    if paper is not None:
        rows = [{**row, "bucket": bucket, "ssim": None} for (bucket, border), row in paper.items() if border == "N"]
        lines.append(("paper, N", rows))  # its SSIM is comparable to nobody's
    return [line for line in lines if line[1]]


def page(methods: Sequence[Method], svg: str, paper: dict | None = None) -> str:
    """The whole page as text."""
    title = "Evaluation of " + ", ".join(method.name for method in methods)
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>",
        "<h2>Means by hole area</h2>",
        "<p>Share of hole (lo, hi]; N: holes off the border, B: holes that may touch it. Below each mean its "
        "95 % interval, by resampling the pairs.</p>",
        *_means(methods, paper),
        f"<p>{escape(CAUTION)}</p>" if paper is not None else "",
        f'<h2>Curves</h2>\n<div class="wide">{svg}</div>',
        *(line for other in methods[1:] for line in _differences(methods[0], other)),
        *_pictures(methods),
        "<h2>How it was measured</h2>",
        *_protocols(methods),
        "</body>\n</html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _means(methods: Sequence[Method], paper: dict | None) -> Iterator[str]:
    columns = [{(row["bucket"], row["border"]): row for row in method.rows} for method in methods]
    names = [method.name for method in methods]
    if paper is not None:
        columns, names = [*columns, paper], [*names, "paper"]
    yield '<div class="wide"><table>\n<tr><th class="left">hole</th><th class="left">border</th><th>pairs</th>'
    charts = charts_of([row for method in methods for row in method.rows])
    yield "".join(f'<th colspan="{len(names)}">{title}</th>' for title in charts.values()) + "</tr>"
    if len(names) > 1:
        yield '<tr><th colspan="3"></th>' + "".join(f"<th>{escape(n)}</th>" for _ in charts for n in names) + "</tr>"
    for key, row in columns[0].items():
        cells = [_place(*key, row["count"])]
        for measure in charts:
            cells += _cells([column.get(key, {}) for column in columns], measure, len(methods))
        yield f"<tr{_first(key[1])}>{''.join(cells)}</tr>"
    yield "</table></div>"


def _cells(rows: Sequence[dict], measure: str, ours: int) -> Iterator[str]:
    """One for each method; the best of ours, where there are several, is marked."""
    values = [row.get(measure) for row in rows]
    known = [BETTER[measure] * value for value in values[:ours] if value is not None]
    for i, (row, value) in enumerate(zip(rows, values, strict=True)):
        if value is None:
            yield "<td>–</td>"
            continue
        best = ' class="best"' if ours > 1 and i < ours and BETTER[measure] * value == max(known) else ""
        digits = DIGITS[measure]
        ends = [row.get(f"{measure}_{end}") for end in ("low", "high")]
        between = "" if None in ends else f"<small>{ends[0]:.{digits}f} to {ends[1]:.{digits}f}</small>"
        yield f"<td{best}>{f'{value:.{digits}f}' if i < ours else f'{value:g}'}{between}</td>"


def _differences(first: Method, other: Method) -> Iterator[str]:
    yield f"<h2>{escape(other.name)} less {escape(first.name)}, pair by pair</h2>"
    yield "<p>Means of the differences with their 95 % intervals; in how many pairs it is better, and worse.</p>"
    yield '<div class="wide"><table>\n<tr><th class="left">hole</th><th class="left">border</th><th>pairs</th>'
    found = {(d.bucket, d.border, d.measure): d for d in differences(first.samples, other.samples)}
    shared = [measure for measure in CHARTS if any(key[2] == measure for key in found)]
    yield "".join(f'<th>{CHARTS[measure]}</th><th class="left">+ / −</th>' for measure in shared) + "</tr>"
    for bucket, border in dict.fromkeys(key[:2] for key in found):
        cells = [_difference(found[bucket, border, measure]) for measure in shared]
        pairs = found[bucket, border, shared[0]].pairs
        yield f"<tr{_first(border)}>{_place(bucket, border, pairs)}{''.join(cells)}</tr>"
    yield "</table></div>"


def _difference(d: Difference) -> str:
    digits = DIGITS[d.measure]
    between = "" if d.low is None else f"<small>{d.low:+.{digits}f} to {d.high:+.{digits}f}</small>"
    mean = "–" if d.mean is None else f"{d.mean:+.{digits}f}{between}"
    return f'<td>{mean}</td><td class="left">{d.wins} / {d.losses}</td>'


def _place(bucket: str, border: str, pairs: int) -> str:
    return f'<td class="left">{_area(bucket)}</td><td class="left">{border}</td><td>{pairs}</td>'


def _first(border: str) -> str:
    """A line above the first row of a bucket."""
    return ' class="first"' if border == BORDER_ROWS[0] else ""


def _pictures(methods: Sequence[Method]) -> Iterator[str]:
    strips = side_by_side(methods)
    if not strips:
        return
    yield "<h2>Pictures</h2>"
    yield (
        f"<p>Of each bucket the best, the median and the worst pair by PSNR{_of_the_first(methods)}. Error: mean over "
        f"the channels, black is none, white {BRIGHTEST_ERROR} of 255 levels or more.</p>"
    )
    bucket = None
    for strip in strips:
        if strip.bucket != bucket:
            bucket = strip.bucket
            yield f"<h3>{_area(bucket)}</h3>"
        psnr = "identical" if strip.psnr == np.inf else f"{strip.psnr:.2f} dB"
        told = f"{strip.rank}, {psnr}: {strip.image} with {strip.mask}"
        yield f'<div class="strip"><p>{escape(told)}</p>'
        yield "".join(
            f'<figure><img alt="{escape(name)}" src="{_data(panel)}"><figcaption>{escape(name)}</figcaption></figure>'
            for name, panel in strip.panels.items()
        )
        yield "</div>"


def _of_the_first(methods: Sequence[Method]) -> str:
    return f" of {escape(methods[0].name)}" if len(methods) > 1 else ""


def _protocols(methods: Sequence[Method]) -> Iterator[str]:
    keys = list(dict.fromkeys(key for method in methods for key in method.protocol))
    yield '<div class="wide"><table>'
    if len(methods) > 1:
        yield "<tr><th></th>" + "".join(f'<th class="left">{escape(method.name)}</th>' for method in methods) + "</tr>"
    for key in keys:
        cells = (f'<td class="left">{escape(plain(method.protocol.get(key)))}</td>' for method in methods)
        yield f'<tr><td class="left">{escape(key)}</td>{"".join(cells)}</tr>'
    yield "</table></div>"


def _area(bucket: str) -> str:
    return "({}, {}]".format(*bucket.split("-"))


def _data(panel: np.ndarray) -> str:
    """A picture as an address that holds all of it."""
    png = cv2.imencode(".png", np.ascontiguousarray(panel[..., ::-1]))[1].tobytes()
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
