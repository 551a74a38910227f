"""The options of eval.py."""

import pytest

import options
from inpainting.classical import CLASSICAL
from inpainting.enlarging import INTERPOLATIONS
from metrics.image_quality import SSIM_WINDOW
from metrics.protocols import PROTOCOLS
from options import evaluate


def test_what_is_offered_is_what_there_is():
    assert set(evaluate.METHOD_NAMES) == set(CLASSICAL) and evaluate.INTERPOLATIONS == INTERPOLATIONS
    assert tuple(PROTOCOLS) == evaluate.PROTOCOLS
    assert evaluate.LEAST_SIDE == SSIM_WINDOW


def test_a_size_is_a_side_or_height_and_width(capsys):
    sizes = [options.parse_evaluate(["--size", text]).size for text in ("64", "64x96", "64x64")]
    assert sizes == [64, (64, 96), 64]
    assert [evaluate.size_text(size) for size in (None, *sizes)] == [None, 64, "64x96", 64]
    for text in ("64x", "x", "64x96x3", "6e1", "-64", "64x10", "64x9999", "²", "9" * 5000):
        with pytest.raises(SystemExit):
            options.parse_evaluate(["--size", text])
        assert len(capsys.readouterr().err.splitlines()) == 1
