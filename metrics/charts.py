"""Curves of the measures over the hole's area, with the intervals of the means, as SVG: no library, the same bytes."""

import math
from collections.abc import Iterator, Sequence
from html import escape

from datasets.masks import BUCKETS, SPARSE, bucket_name

CHARTS = {"psnr": "PSNR (dB)", "ssim": "SSIM", "l1_percent": "l1 (%)", "vgg_distance": "VGG16 distance"}
WIDTH, HEIGHT, TOP = 380, 270, 30  # pixels of a chart, and of the legend above all
LEFT, RIGHT, BOTTOM = 52, 12, 44
COLOURS = ("#0b6fb8", "#d1600a", "#2e8b3d", "#a0309a", "#7a5a1e", "#444444", "#0a8f96", "#c0283c")
DASHES = ("", "7 3", "2 3", "9 3 2 3")  # told apart without colours too
TICKS = 5
ALL = (*BUCKETS, (BUCKETS[-1][1], 1.0))

Line = tuple[str, Sequence[dict]]  # a name, and rows as in report.json, one for each bucket


def curves_svg(lines: Sequence[Line]) -> str:
    """PSNR, SSIM, l1 and the distance if there is one, over the middle of each bucket, a curve for each line.

    A row holds bucket and, for each measure, its mean and the ends of its interval, psnr, psnr_low, psnr_high; None, or
    nothing, where there is none.
    """
    charts = charts_of([row for _, rows in lines for row in rows])
    width = WIDTH * len(charts)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT + TOP}" width="{width}" '
        f'height="{HEIGHT + TOP}" font-family="sans-serif" font-size="12" role="img">',
        f'<rect width="{width}" height="{HEIGHT + TOP}" fill="#ffffff"/>',
        *_legend([name for name, _ in lines]),
    ]
    for i, (measure, title) in enumerate(charts.items()):
        parts += [f'<g transform="translate({i * WIDTH} {TOP})">', *_chart(lines, measure, title), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def charts_of(rows: Sequence[dict]) -> dict[str, str]:
    """The measures that a row has, with their titles."""
    return {measure: title for measure, title in CHARTS.items() if any(measure in row for row in rows)}


def ticks(low: float, high: float) -> list[float]:
    """Round numbers from below ``low`` to above ``high``, about ``TICKS`` of them.

    Example:
        >>> ticks(18.3, 35.2)
        [15.0, 20.0, 25.0, 30.0, 35.0, 40.0]
    """
    span = max(high - low, 1e-9 * max(abs(low), abs(high), 1))
    power = 10 ** math.floor(math.log10(span / TICKS))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= span / TICKS * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(float(i * step), 12) for i in range(first, max(last, first + 1) + 1)]


def _legend(names: Sequence[str]) -> Iterator[str]:
    x = LEFT
    for i, name in enumerate(names):
        yield f'<path d="M{x} 18h26" {_stroke(i)}/><text x="{x + 32}" y="22" fill="#222222">{escape(name)}</text>'
        x += 32 + 24 + 8 * len(name)


def _stroke(i: int) -> str:
    dash = DASHES[i % len(DASHES)]
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'fill="none" stroke="{COLOURS[i % len(COLOURS)]}" stroke-width="2"{dashes}'


def _chart(lines: Sequence[Line], measure: str, title: str) -> Iterator[str]:
    yield f'<text x="{LEFT}" y="12" fill="#222222" font-weight="bold">{title}</text>'
    ends = ("", "_low", "_high")
    values = [v for _, rows in lines for row in rows for end in ends if (v := row.get(measure + end)) is not None]
    if not values:
        yield f'<text x="{LEFT}" y="60" fill="#555555">no finite value</text>'
        return
    marks = ticks(min(values), max(values))
    low, high = marks[0], marks[-1]
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    buckets = ALL if any(row["bucket"] == SPARSE for _, rows in lines for row in rows) else BUCKETS

    def at_x(ratio: float) -> float:
        return LEFT + (right - LEFT) * ratio / buckets[-1][1]

    def at_y(value: float) -> float:
        return bottom - (bottom - 24) * (value - low) / (high - low)

    for mark in marks:
        yield f'<path d="M{LEFT} {at_y(mark):.1f}H{right}" stroke="#dddddd"/>'
        yield f'<text x="{LEFT - 6}" y="{at_y(mark) + 4:.1f}" text-anchor="end" fill="#444444">{mark:g}</text>'
    for _, edge in buckets:
        yield f'<path d="M{at_x(edge):.1f} {bottom}v4" stroke="#888888"/>'
        yield f'<text x="{at_x(edge):.1f}" y="{bottom + 17}" text-anchor="middle" fill="#444444">{edge:g}</text>'
    middle = (LEFT + right) / 2
    yield f'<text x="{middle:g}" y="{bottom + 34}" text-anchor="middle" fill="#444444">share of hole</text>'
    for i, (name, rows) in enumerate(lines):
        shift = 3 * (i - (len(lines) - 1) / 2)  # pixels: bars beside each other
        points = [(at_x(_middle(row["bucket"])) + shift, row) for row in rows if row.get(measure) is not None]
        yield from _curve(points, measure, name, i, at_y)


def _curve(points: Sequence[tuple[float, dict]], measure: str, name: str, i: int, at_y) -> Iterator[str]:
    path = "L".join(f"{x:.1f} {at_y(row[measure]):.1f}" for x, row in points)
    yield f'<path d="M{path}" {_stroke(i)}/>' if points else ""
    for x, row in points:
        low, high = row.get(f"{measure}_low"), row.get(f"{measure}_high")
        if low is not None and high is not None:
            bar = f"M{x:.1f} {at_y(low):.1f}V{at_y(high):.1f}"
            yield f'<path d="{bar}" stroke="{COLOURS[i % len(COLOURS)]}" stroke-width="1.5" opacity="0.7"/>'
        between = f", {low:.4g} to {high:.4g}" if low is not None and high is not None else ""
        told = escape(f"{name}, {_bucket(row['bucket'])}: {row[measure]:.4g}{between}")
        yield (
            f'<circle cx="{x:.1f}" cy="{at_y(row[measure]):.1f}" r="3.5" fill="{COLOURS[i % len(COLOURS)]}">'
            f"<title>{told}</title></circle>"
        )


def _bucket(name: str) -> str:
    return "({}, {}]".format(*name.split("-"))


def _middle(name: str) -> float:
    return next((lo + hi) / 2 for lo, hi in ALL if bucket_name((lo, hi)) == name)
