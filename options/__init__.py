"""Command-line options: a file for each command, and what they share. Nothing here imports Paddle."""

# ruff: noqa: F401  what the commands import

from options.app import app_parser
from options.evaluate import parse_evaluate
from options.export import export_parser
from options.fill import fill_parser, parse_fill
from options.shared import (
    DEFAULT_WEIGHTS,
    Parser,
    add_device_options,
    check_folder,
    count_int,
    detail_of,
    flip_of,
    positive_float,
    positive_int,
    setup_device,
    share_float,
)
from options.train import (
    MODEL_NAMES,
    factors_of,
    is_deepfill,
    parse_train,
    train_parser,
)
