"""What the page shows: strokes read, results and mistakes put into words."""

import numpy as np

from web.answers import escape, in_words, strokes_of, summary, views
from web.texts import Told
from web.worker import Order


def test_strokes_are_what_any_layer_covers():
    layers = [np.zeros([4, 5, 4], np.uint8) for _ in range(2)]
    layers[0][1, 2, 3], layers[1][3, 4, 3], layers[1][0, 0, 3] = 255, 100, 5
    assert np.argwhere(strokes_of({"layers": layers})).tolist() == [[1, 2], [3, 4]]
    for nothing in (None, {}, {"layers": []}, {"layers": [np.zeros([4, 5, 3], np.uint8)]}):
        assert strokes_of(nothing) is None


def test_a_result_is_summed_up_and_shown_before_and_after(worker, picture, strokes):
    filled = worker.fill(Order(picture, strokes=strokes))
    assert "60x40" in summary(filled, "en") and "model general" in summary(filled, "en")
    assert "60x40" in summary(filled, "zh") and "模型 general" in summary(filled, "zh")
    (before, after), path, rows = views(filled, "zh")
    assert np.array_equal(before, filled.before.pixels) and np.array_equal(after, filled.after.pixels)
    assert path == str(filled.path) and [caption for _, caption in rows] == ["输入", "掩码", "结果"]
    assert np.array_equal(rows[1][0][..., 0] > 0, filled.hole)


def test_a_hole_of_nearly_all_and_a_lossy_format_are_remarked_on(worker, picture):
    most = np.ones([40, 60], bool)
    most[:4] = False
    text = summary(worker.fill(Order(picture, strokes=most, wanted="jpeg")), "en")
    assert "90&#37;" in text or "90%" in text
    assert "JPEG codes every pixel once more" in text


def test_mistakes_are_told_and_bugs_are_not_explained(capsys):
    assert "⚠" not in in_words(Told("no_hole"), "zh") and "涂抹" in in_words(Told("no_hole"), "zh")
    assert "&lt;script&gt;" in in_words(Told("bad_value", reason="<script>"), "en")
    assert "secret" not in in_words(KeyError("secret"), "en") and "secret" in capsys.readouterr().err


def test_what_clients_write_is_shown_letter_by_letter():
    assert escape("![x](http://a)<img src=x>") == "!&#91;x&#93;(http://a)&lt;img src=x&gt;"
