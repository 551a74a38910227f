"""Curves as SVG: whole XML, a point for each mean, a bar for each interval, inside its chart."""

import itertools
import math
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics.charts import HEIGHT, WIDTH, curves_svg, ticks

SVG = "{http://www.w3.org/2000/svg}"


def row(bucket, psnr=30.0, spread=1.0, **others):
    values = {"bucket": bucket, "psnr": psnr, "ssim": 0.9, "l1_percent": 1.0, **others}
    return values if spread is None else {**values, "psnr_low": psnr - spread, "psnr_high": psnr + spread}


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_ticks_enclose_are_even_and_few(low, span):
    marks = ticks(low, low + span)
    room = 1e-6 * max(abs(low), abs(low + span), 1)
    assert marks[0] <= low + room and marks[-1] >= low + span - room and 2 <= len(marks) <= 8
    assert all(b > a for a, b in itertools.pairwise(marks))


def test_a_point_for_each_mean_and_a_bar_for_each_interval():
    lines = [("one", [row("0.01-0.1"), row("0.5-0.6", 20.0, spread=None)]), ("two", [row("0.1-0.2", None, None)])]
    root = ElementTree.fromstring(curves_svg(lines))
    assert len(root.findall(f".//{SVG}circle")) == 2 + 3 + 3  # psnr has two points, ssim and l1 three each
    assert len([p for p in root.iter(f"{SVG}path") if p.get("opacity")]) == 1
    groups = root.findall(f"{SVG}g")
    assert len(groups) == 3
    assert curves_svg([("x", [row("0.1-0.2", vgg_distance=0.1)])]).count("<g ") == 4
    points = [(float(c.get("cx")), float(c.get("cy"))) for c in groups[0].iter(f"{SVG}circle")]
    assert points[0][0] < points[1][0] and points[0][1] < points[1][1]  # further right, and lower since 20 < 30 dB
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in points)


def test_holes_of_super_resolution_have_room_on_the_right():
    def places(*buckets):
        group = ElementTree.fromstring(curves_svg([("a", [row(bucket) for bucket in buckets])])).find(f"{SVG}g")
        edges = [t.text for t in group.iter(f"{SVG}text") if t.get("text-anchor") == "middle"]
        return [float(c.get("cx")) for c in group.iter(f"{SVG}circle")], edges

    points, edges = places("0.5-0.6", "0.6-1")
    assert points[0] < points[1] < WIDTH and edges[-2] == "1"
    assert places("0.5-0.6")[1][-2] == "0.6"


def test_a_value_stands_where_its_ticks_say():
    root = ElementTree.fromstring(curves_svg([("a", [row("0.01-0.1", 20.0, None), row("0.1-0.2", 40.0, None)])]))
    group = root.find(f"{SVG}g")
    heights = {t.text: float(t.get("y")) - 4 for t in group.iter(f"{SVG}text") if t.get("text-anchor") == "end"}
    points = [float(c.get("cy")) for c in group.iter(f"{SVG}circle")]
    assert points == [heights["20"], heights["40"]]


@pytest.mark.parametrize("name", ['<script>alert("a")</script>', "a&b", "]]>"])
def test_names_are_only_text(name):
    root = ElementTree.fromstring(curves_svg([(name, [row("0.1-0.2")])]))
    assert name in [text.text for text in root.iter(f"{SVG}text")]


def test_without_a_value_it_says_so():
    rows = [row("0.1-0.2", None, None, ssim=None, l1_percent=None)]
    assert curves_svg([("a", rows)]).count("no finite value") == 3
    assert not math.isnan(ticks(1.0, 1.0)[0])
