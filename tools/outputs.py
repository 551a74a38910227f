"""Shared by the tools that write a folder: a check of it, and the options of masks."""

import argparse
from pathlib import Path

from options import check_folder, count_int, positive_int
from options.shared import adder
from utils.errors import InputError


def add_mask_options(parser: argparse.ArgumentParser) -> None:
    add = adder(parser)
    add("--size", positive_int, "height and width of each mask", 512, metavar="PX")
    add("--hole", ("white", "black"), "colour of the hole in the files; give the same to test.py and eval.py", "white")
    add("--seed", count_int, "of the random numbers", 0)


def check_output(output: Path) -> None:
    """Raise InputError for a folder that is not empty or cannot be written."""
    check_folder("--output", output)
    if output.is_dir() and any(output.iterdir()):
        raise InputError(f"expected a new or empty folder for --output, but {output} has files: choose another")
