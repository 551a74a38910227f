"""The API's form: read as test.py reads its options, or told what is wrong."""

import io

import pytest

from web.forms import Upload, read_order
from web.texts import Told


def upload(name="photo.jpg", content=b"bytes"):
    return Upload(name, io.BytesIO(content))


def test_everything_that_can_be_said_is_understood(tmp_path):
    form = {
        "picture": [upload()],
        "mask": [upload("mask.png", b"mask")],
        "hole": ["black"],
        "box": ["1,2,3,4", "0,0,9,9"],
        "polygon": ["0,0 5,0 5,7"],
        "mask_colour": ["ff00ff"],
        "dilate": ["3"],
        "model": ["demo"],
        "format": ["webp"],
        "lossless": ["true"],
    }
    order = read_order(form, tmp_path)
    assert order.picture.read_bytes() == b"bytes" and order.picture.name == "photo.jpg"
    assert order.marks.file.read_bytes() == b"mask" and not order.marks.white and order.marks.dilate == 3
    assert order.marks.boxes == [(1, 2, 3, 4), (0, 0, 9, 9)] and order.marks.polygons == [[(0, 0), (5, 0), (5, 7)]]
    assert order.marks.colour == (255, 0, 255) and (order.model, order.wanted, order.lossless) == ("demo", "webp", True)


def test_nothing_said_is_as_on_the_command_line(tmp_path):
    order = read_order({"picture": [upload()]}, tmp_path)
    assert order.marks.is_empty and order.marks.white and order.model is order.wanted is None and not order.lossless


@pytest.mark.parametrize(
    "name", ["../../../etc/x.png", "/etc/x.png", "..", "a/b\\c:\0\n.p/ng", "", "\ud800.png", "x" * 999]
)
def test_a_files_name_leads_nowhere(tmp_path, name):
    path = read_order({"picture": [upload(name)]}, tmp_path / "form").picture
    assert path.parent == tmp_path / "form" / "picture" and path.read_bytes() == b"bytes"
    assert [file.relative_to(tmp_path).parts[0] for file in tmp_path.iterdir()] == ["form"]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("maks", ["x"]),
        ("box", ["1,2,3"]),
        ("polygon", ["1,2 x"]),
        ("hole", ["grey"]),
        ("hole", ["white", "black"]),
        ("dilate", ["-1"]),
        ("dilate", ["9999999"]),
        ("dilate", [upload()]),
        ("format", ["gif"]),
        ("lossless", ["perhaps"]),
        ("mask_colour", ["reddish"]),
        ("mask", ["/etc/passwd"]),
        ("mask", [upload(), upload()]),
    ],
)
def test_wrong_fields_are_told_by_name(tmp_path, field, values):
    with pytest.raises(Told, match=field):
        read_order({"picture": [upload()], field: values}, tmp_path)
