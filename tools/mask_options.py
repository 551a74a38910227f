"""Shared by the tools for masks: options, checks of output paths, contact sheet."""

import argparse
from pathlib import Path

from datasets.images import SUFFIXES, write_picture
from datasets.mask_survey import Survey
from options import check_file, check_folder, count_int, positive_int
from utils.errors import InputError
from utils.files import kind_of


def add_mask_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--size", default=512, metavar="PX", type=positive_int, help="height and width of each mask")
    add(
        "--hole",
        default="white",
        choices=("white", "black"),
        help="colour of the hole in the files; give the same to test.py and eval.py",
    )
    add("--seed", default=0, metavar="N", type=count_int, help="of the random numbers")
    add("--contact_sheet", metavar="FILE", help="a picture of the first masks of each kind, a new file")


def check_places(options: argparse.Namespace) -> None:
    """Refuse a folder that is not empty or cannot be written, and a contact sheet that exists.

    Raises:
        InputError: naming the option.
    """
    output = Path(options.output)
    check_folder("--output", output)
    if output.is_dir() and any(output.iterdir()):
        raise InputError(f"expected a new or empty folder for --output, but {output} has files: choose another")
    if options.contact_sheet:
        check_file("--contact_sheet", options.contact_sheet, SUFFIXES)
        if kind_of(options.contact_sheet):
            raise InputError(
                f"--contact_sheet: expected a new file, got {options.contact_sheet}, which is there; choose another"
            )


def show(survey: Survey, options: argparse.Namespace) -> None:
    """Write the contact sheet, if wanted."""
    if options.contact_sheet:
        write_picture(options.contact_sheet, survey.sheet())
        print(f"{options.contact_sheet} shows the first of each kind")
