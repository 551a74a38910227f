"""The options of test.py."""

import os

from options.shared import DEFAULT_WEIGHTS, Parser, add_device_options, add_scales_option, count_int


def fill_parser() -> Parser:
    """The options of test.py."""
    parser = Parser(
        prog="test.py",
        description="Fill the holes of a picture, or of each picture in a folder, at its own size. "
        "With no arguments: sample photographs with generated holes and the model in weights/general.",
    )
    parser.add_argument("--input", metavar="FILE|DIR", help="picture or folder; sample photographs when not given")
    parser.add_argument(
        "--mask",
        metavar="FILE|DIR",
        help="mask of the picture's size, or a folder with a mask of each picture's name; generated when not given",
    )
    parser.add_argument(
        "--hole", choices=("white", "black"), default="white", help="colour of the hole in the mask files"
    )
    parser.add_argument(
        "--weights",
        metavar="FILE|DIR",
        default=os.path.relpath(DEFAULT_WEIGHTS),
        help="weights directory, or an exported one",
    )
    parser.add_argument(
        "--output", metavar="DIR", default="logs/test", help="folder of the results, one PNG for each picture"
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace files in --output that are not results of an earlier run; pictures and masks read are never",
    )
    add_scales_option(parser)
    parser.add_argument(
        "--grid",
        action="store_true",
        help="also write input, mask, the network's output in a single pass, result and truth side by side",
    )
    parser.add_argument(
        "--show_attention",
        action="store_true",
        help="also write from where deepfill_v1 took what it filled in: the hue is the direction (right red, down "
        "yellow-green, left cyan, up violet), the saturation the distance",
    )
    parser.add_argument("--seed", type=count_int, default=0, metavar="N", help="of the generated holes")
    add_device_options(parser, precision=True)
    return parser
