"""The twin's critic, its losses and measures. Runs where PyTorch is; ``--noconftest`` where Paddle is not."""

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("numba")

from experiments.torch_twin.adversarial import depth_of, edge_l1, low_l1, over_hole, teacher_terms, thinness  # noqa: E402
from experiments.torch_twin.realism import frechet_distance, gram_difference, laplacian_energy  # noqa: E402
from experiments.torch_twin.samples import split  # noqa: E402
from experiments.torch_twin.surface import surfaces  # noqa: E402
from experiments.torch_twin.surface_tensors import surfaces_of  # noqa: E402


@pytest.mark.parametrize("shape", [(32, 32), (33, 47)])
def test_surfaces_in_tensors_are_the_compiled_ones(shape):
    rng = np.random.default_rng(0)
    picture, mask = rng.random((*shape, 3), dtype=np.float32), (rng.random(shape) > 0.4).astype(np.float32)
    mask[8:20, 5:25] = 0
    ours = surfaces_of(torch.tensor(picture).permute(2, 0, 1)[None], torch.tensor(mask)[None, None])
    for compiled, tensor in zip(surfaces(picture, mask), ours, strict=True):
        np.testing.assert_allclose(tensor[0].permute(1, 2, 0).numpy(), compiled, atol=1e-5)


def box(size=16):
    hole = torch.zeros(1, 1, size, size)
    hole[:, :, 4:12, 4:12] = 1
    return hole


def test_a_loss_over_the_hole_sees_no_cell_beside_it():
    cells = torch.zeros(1, 1, 4, 4)
    cells[:, :, 1:3, 1:3] = 3
    assert over_hole(cells, box()).item() == 3
    cells[:, :, 0] = 1000
    assert over_hole(cells, box()).item() == 3


def test_measures_of_equal_pictures_are_0_and_of_others_not():
    features = torch.rand(500, 8, generator=torch.manual_seed(0))
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(features + 1, features) > 1
    taps = features.reshape(1, 8, 20, 25)
    hole = torch.ones(1, 1, 40, 50)
    assert gram_difference(taps, taps, hole).item() == 0 < gram_difference(2 * taps, taps, hole).item()


def test_blur_lowers_the_laplacian_energy():
    picture = torch.rand(1, 3, 32, 32, generator=torch.manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(picture, 5, stride=1, padding=2)
    hole = torch.ones(1, 1, 32, 32)
    assert laplacian_energy(blurred, hole) < 0.1 * laplacian_energy(picture, hole)


def test_held_out_pictures_are_in_no_training():
    files = list(range(10))
    assert set(split(files, 3)) | set(split(files, -3)) == set(files) and not set(split(files, 3)) & set(
        split(files, -3)
    )
    assert split(files, 0) == files


def test_cells_of_the_hole_count_by_their_weight():
    cells = torch.full((1, 1, 4, 4), 3.0)
    weight = box() / 2
    assert over_hole(cells, box(), weight).item() == 1.5


def test_l1_at_the_edge_is_weighted_by_the_distance_to_it():
    hole = torch.zeros(1, 1, 32, 32)
    hole[:, :, 4:28, 6:26] = 1
    depth = cv2.distanceTransform(hole[0, 0].numpy().astype(np.uint8), cv2.DIST_C, 3)
    weight = torch.tensor(np.where(depth > 0, np.clip(1 - (depth - 1) / 8, 0, 1), 0))
    assert (depth_of(hole, 9)[0, 0].numpy() == np.minimum(depth, 9)).all()
    output, truth = torch.rand(2, 1, 3, 32, 32, generator=torch.manual_seed(0)).unbind()
    expected = ((output - truth).abs().mean(1) * weight).sum() / hole.sum()
    assert edge_l1(output, truth, hole).item() == pytest.approx(expected.item(), rel=1e-5)


def test_l1_of_means_leaves_texture_alone():
    hole = torch.ones(1, 1, 16, 16)
    checkers = torch.zeros(1, 3, 16, 16)
    checkers[..., ::2, ::2] = checkers[..., 1::2, 1::2] = 1
    assert low_l1(checkers, torch.full_like(checkers, 0.5), hole).item() == pytest.approx(0, abs=1e-6)
    assert low_l1(checkers, torch.zeros_like(checkers), hole).item() == pytest.approx(0.5)


def test_holes_are_thin_by_their_deepest_pixel_nearby():
    hole = torch.zeros(1, 1, 128, 128)
    hole[:, :, 4:20] = 1  # 8 pixels deep
    hole[:, :, 80:120, 40:100] = 1  # 20 pixels deep
    thin = thinness(hole)
    assert (thin[:, :, 4:20] == 1).all()
    assert (thin[:, :, 80:120, 40:100] == 0).all()


def test_the_teacher_gives_layout_and_leaves_texture_to_the_critic():
    hole = torch.ones(1, 1, 64, 64)
    checkers = torch.zeros(1, 3, 64, 64)
    checkers[..., ::2, ::2] = checkers[..., 1::2, 1::2] = 1
    grey = torch.full_like(checkers, 0.5)
    terms = teacher_terms(checkers, grey, hole)
    assert (terms["thin"].item(), terms["low"].item()) == (0, pytest.approx(0, abs=1e-6))
    assert teacher_terms(checkers, grey + 0.25, hole)["low"].item() == pytest.approx(0.25)
    hole[:, :, :8] = hole[:, :, 24:] = 0
    assert teacher_terms(checkers, grey, hole)["thin"].item() == pytest.approx(0.5)
