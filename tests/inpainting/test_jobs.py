"""What is filled, where, and what results are called."""

import numpy as np
import pytest
from PIL import Image

from datasets.holes import Marks
from datasets.photographs import Photograph
from inpainting.jobs import photograph_jobs, with_marks


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    for name in ("a.png", "a.jpg", "B.JPEG", "sub/c.tif", "d.webp"):
        Image.new("RGB", (8, 6)).save(tmp_path / "photos" / name)
    Image.new("RGB", (8, 6)).save(tmp_path / "photos" / "e.png", "JPEG")
    return tmp_path / "photos"


@pytest.mark.parametrize(
    ("how", "files"),
    [
        ((None, False), ["B.JPEG", "a.jpg", "a.png", "d.webp", "e.jpg", "sub/c.tif"]),
        ((None, True), ["B.png", "a.jpg.png", "a.png", "d.png", "e.png", "sub/c.tif"]),
        (("jpeg", False), ["B.jpg", "a.jpg.jpg", "a.png.jpg", "d.jpg", "e.jpg", "sub/c.jpg"]),
    ],
)
def test_results_have_the_pictures_names_and_their_own_suffixes(folder, how, files):
    jobs = photograph_jobs(folder, *how)
    assert sorted(job.file for job in jobs) == files
    assert all(job.read().size == (6, 8) for job in jobs)


def test_holes_are_marked_or_generated(folder):
    jobs = photograph_jobs(folder)
    photograph = Photograph(np.zeros([64, 48, 3], np.uint8))
    generated = with_marks(jobs, Marks(), seed=3)
    first, second = (job.hole(photograph)[0] for job in generated[:2])
    assert all(job.is_generated for job in generated)
    assert 0.1 < first.mean() <= 0.2 < second.mean() <= 0.3
    assert np.array_equal(first, with_marks(jobs, Marks(), seed=3)[0].hole(photograph)[0])
    grown = with_marks(jobs, Marks(dilate=2), seed=3)[0].hole(photograph)[0]
    assert grown[first].all() and grown.sum() > first.sum()
    marked = with_marks(jobs, Marks(boxes=[(1, 2, 3, 4)]))
    assert not any(job.is_generated for job in marked) and marked[4].hole(photograph)[0].sum() == 12
