"""The options of test.py that are more than a word or a number."""

import pytest

from options import fill_parser


def parse(*arguments):
    return fill_parser().parse_args(arguments)


def test_boxes_polygons_and_colours_are_read():
    options = parse("--box", "1,2,3,4", "--box", "0,0,9,9", "--polygon", "0,0", "5,0", "5,7", "--mask_colour", "ff00ff")
    assert options.box == [(1, 2, 3, 4), (0, 0, 9, 9)] and options.polygon == [[(0, 0), (5, 0), (5, 7)]]
    assert options.mask_colour == parse("--mask_colour", "magenta").mask_colour == (255, 0, 255)
    assert parse("--mask_colour", "#0a0b0c").mask_colour == (10, 11, 12)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--box", "1,2,3"),
        ("--box", "1,2,0,4"),
        ("--box", "1,2,٣,4"),
        ("--polygon", "1,2,3"),
        ("--mask_colour", "reddish"),
        ("--mask_colour", "red", "--mask_alpha"),
        ("--format", "gif"),
        ("--extend", "5,0,3"),
    ],
)
def test_wrong_ones_are_told_in_a_line(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        parse(*arguments)
    told = capsys.readouterr().err
    assert left.value.code == 2 and told.startswith("error: ") and told.count("\n") == 1 and "--" in told
