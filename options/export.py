"""The options of export.py."""

import os

from options.shared import DEFAULT_WEIGHTS, Parser, add_device_options


def export_parser() -> Parser:
    """The options of export.py."""
    parser = Parser(
        prog="export.py",
        description="Write a network as a static model for Paddle Inference, and for ONNX with --onnx. Batch size, "
        "height and width are free. test.py and eval.py accept the folder as --weights.",
    )
    add = parser.add_argument
    add(
        "--weights",
        metavar="FILE|DIR",
        default=os.path.relpath(DEFAULT_WEIGHTS),
        help="weights directory or training checkpoint",
    )
    add("--output", metavar="DIR", default="logs/export", help="new folder, or an earlier export")
    add("--onnx", action="store_true", help="also write model.onnx and check it with ONNX Runtime")
    add_device_options(parser)
    return parser
