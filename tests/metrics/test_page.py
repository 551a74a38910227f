"""report.html: nothing from elsewhere, nothing but text in names, figures where they belong."""

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from metrics.buckets import Sample
from metrics.methods import Method
from metrics.page import page, page_files
from metrics.pictures import Strip
from metrics.report import paper_rows

EVIL = '"><script>alert(1)</script>.png'


def samples(gain=0.0, image="a.png"):
    return [
        Sample(f"{i}{image}", "m.png", bucket, "NB"[i % 2], 0.15, 1.0 - gain / 10, 30.0 + i + gain, 0.9)
        for i in range(4)
        for bucket in ("0.01-0.1", "0.5-0.6")
    ]


def strips(image="0a.png"):
    panel = np.random.default_rng(0).integers(0, 256, [8, 10, 3], dtype=np.uint8)
    panels = dict.fromkeys(("input", "output", "truth", "error"), panel)
    return [
        Strip(image, "m.png", "0.01-0.1", "best", 30.0, panels),
        Strip("x", "m", "0.5-0.6", "only", math.inf, panels),
    ]


def method(name, gain=0.0, **options):
    return Method(name, {"method": name, "size": 8, "versions": {"numpy": "2"}}, samples(gain), **options)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("paper", [None, paper_rows()])
def test_whole_html_with_no_address_outside(count, paper):
    methods = [method(f"m{i}", i, strips=strips()) for i in range(count)]
    files = page_files(methods, paper)
    assert files == page_files(methods, paper)
    text = files["report.html"].decode()
    names = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}  # of SVG, never fetched
    assert set(re.findall(r"\w+://[^\"<\s]*", text)) <= names
    sources = re.findall(r'\b(?:src|(?<!:)href|action|srcset)="([^"]*)"', text)
    assert sources and all(source.startswith("data:image/png;base64,") for source in sources)
    assert all(value.startswith("#") for value in re.findall(r'xlink:href="([^"]*)"', text))
    assert "default-src 'none'" in text and "<script" not in text
    assert text.count("pair by pair</h2>") == count - 1


def test_names_are_only_text():
    evil = Method(EVIL, {"method": EVIL, EVIL: "\udcff"}, samples(image=EVIL), strips(f"0{EVIL}"))
    files = page_files(
        [evil, Method(f"2{EVIL}", {}, samples(image=EVIL)), Method("_$\udcff$", {}, samples(image=EVIL))]
    )
    text = files["report.html"].decode()
    assert "<script" not in text and "&lt;script&gt;" in text
    drawn = ["".join(node.itertext()).strip() for node in ElementTree.fromstring(files["curves.svg"]).iter()]
    assert EVIL in drawn and "_$?$" in drawn


def test_differences_and_intervals_are_those_of_the_pairs():
    text = page([method("a"), method("b", gain=2.0)], "")
    assert all(cell in text for cell in ('<td class="left">4 / 0<', "<td>+2.00<", "<td>-0.200<"))
