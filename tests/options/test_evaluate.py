"""The options of eval.py."""

from options.bounds import BOUNDS

import options
from inpainting.classical import CLASSICAL
from inpainting.enlarging import INTERPOLATIONS
from metrics.image_quality import SSIM_WINDOW
from metrics.protocols import PROTOCOLS
from options import evaluate


def test_what_is_offered_is_what_there_is():
    assert set(evaluate.METHOD_NAMES) == set(CLASSICAL) and evaluate.INTERPOLATIONS == INTERPOLATIONS
    assert tuple(PROTOCOLS) == evaluate.PROTOCOLS
    assert PROTOCOLS["edge_connect"].window == evaluate.EDGE_CONNECT_WINDOW
    assert BOUNDS["size"].least == SSIM_WINDOW


def test_samples_have_a_size_and_pictures_their_own():
    sizes = [options.parse_evaluate(arguments).size for arguments in ([], ["--size", "64"], ["--images", "somewhere"])]
    assert sizes == [evaluate.SAMPLE_SIZE, 64, None]


def test_workers_are_chosen_or_given():
    given = [options.parse_evaluate(arguments).num_workers for arguments in ([], ["--num_workers", "5"])]
    assert given == [None, 5]
