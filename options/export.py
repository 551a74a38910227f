"""The options of export.py."""

import os

from options.shared import DEFAULT_WEIGHTS, Parser, add_device_options, adder


def export_parser() -> Parser:
    """The options of export.py."""
    parser = Parser(
        prog="export.py",
        description="Write a network as a static model for Paddle Inference, and for ONNX with --onnx. Batch size, "
        "height and width are free. test.py and eval.py accept the folder as --weights.",
    )
    add = adder(parser)
    add("--weights", "FILE|DIR", "weights directory or training checkpoint", os.path.relpath(DEFAULT_WEIGHTS))
    add("--output", "DIR", "new or empty folder", "logs/export")
    add("--onnx", bool, "also write model.onnx and check it with ONNX Runtime")
    add_device_options(parser)
    return parser
