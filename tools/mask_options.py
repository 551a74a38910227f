"""Shared by the tools for masks: options, checks of output paths, contact sheet."""

import argparse
from pathlib import Path

from datasets.images import SUFFIXES, write_picture
from datasets.mask_survey import Survey
from options import check_file, check_folder, count_int, positive_int
from options.shared import adder
from utils.errors import InputError
from utils.files import kind_of


def add_mask_options(parser: argparse.ArgumentParser) -> None:
    add = adder(parser)
    add("--size", positive_int, "height and width of each mask", 512, metavar="PX")
    add("--hole", ("white", "black"), "colour of the hole in the files; give the same to test.py and eval.py", "white")
    add("--seed", count_int, "of the random numbers", 0)
    add("--contact_sheet", "FILE", "a picture of the first masks of each kind, a new file")


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
