"""The twin's critic, its losses and measures. Runs where PyTorch is; ``--noconftest`` where Paddle is not."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from experiments.torch_twin import train_deepfill  # noqa: E402
from experiments.torch_twin.adversarial import (  # noqa: E402
    CRITIC_ALONE,
    TAPS,
    THICK,
    THIN,
    Judged,
    depth_of,
    edge_l1,
    low_l1,
    style,
    teacher_terms,
    thinness,
)
from experiments.torch_twin.network import TwinUNet  # noqa: E402
from experiments.torch_twin.samples import Samples  # noqa: E402
from experiments.torch_twin.surface import surfaces  # noqa: E402
from experiments.torch_twin.surface_tensors import surfaces_of  # noqa: E402
from experiments.torch_twin.train_adversarial import make_network  # noqa: E402


@pytest.mark.parametrize("shape", [(32, 32), (33, 47)])
def test_surfaces_in_tensors_are_those_of_one_picture(shape):
    rng = np.random.default_rng(0)
    picture, mask = rng.random((*shape, 3), dtype=np.float32), (rng.random(shape) > 0.4).astype(np.float32)
    mask[8:20, 5:25] = 0
    ours = surfaces_of(torch.tensor(picture).permute(2, 0, 1)[None], torch.tensor(mask)[None, None])
    for expected, tensor in zip(surfaces(picture, mask), ours, strict=True):
        np.testing.assert_allclose(tensor[0].permute(1, 2, 0).numpy(), expected, atol=1e-5)


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


def test_the_teacher_gives_layout_and_leaves_texture_to_the_critic():
    hole = torch.ones(1, 1, 64, 64)
    checkers = torch.zeros(1, 3, 64, 64)
    checkers[..., ::2, ::2] = checkers[..., 1::2, 1::2] = 1
    grey = torch.full_like(checkers, 0.5)
    terms = teacher_terms(checkers, grey, hole, thinness(hole))
    assert (terms["thin"].item(), terms["low"].item()) == (0, pytest.approx(0, abs=1e-6))
    assert teacher_terms(checkers, grey + 0.25, hole, thinness(hole))["low"].item() == pytest.approx(0.25)
    hole[:, :, :8] = hole[:, :, 24:] = 0
    assert teacher_terms(checkers, grey, hole, thinness(hole))["thin"].item() == pytest.approx(0.5)


def test_a_hole_is_thin_where_nothing_near_is_deep():
    hole = np.zeros((64, 96), np.uint8)
    hole[5:35, 10:40] = hole[:, 60:70] = 1
    depth = np.minimum(cv2.distanceTransform(np.pad(hole, 1, constant_values=1), cv2.DIST_C, 3)[1:-1, 1:-1], 14)
    deepest = cv2.dilate(depth, np.ones((29, 29), np.uint8))
    expected = np.clip((14 - deepest) / 6, 0, 1)
    assert {0, 1} < set(np.unique(expected))
    assert (thinness(_batch(hole))[0, 0].numpy() == expected).all()


def test_a_stroke_is_as_thin_in_a_larger_picture():
    hole = np.zeros((128, 128), np.uint8)
    hole[10:60, 10:60] = hole[20:80, 90:110] = hole[90:110, 10:50] = 1
    small, large = thinness(_batch(hole)), thinness(_batch(np.kron(hole, np.ones((2, 2), np.uint8))))
    assert {0, 1} < set(small.unique().tolist())
    assert (large[..., ::2, ::2] - small).abs().max() <= 1 / (THICK - THIN)


def _batch(hole):
    return torch.tensor(hole, dtype=torch.float32)[None, None]


def test_a_network_grows_without_a_change_of_its_output():
    torch.manual_seed(0)
    options, small = SimpleNamespace(base_channels=4, depth=3, device="cpu"), TwinUNet(4, 3)
    torch.nn.init.normal_(small.decoder[-1].conv.weight)
    grown = make_network(options, small.state_dict(), residual=True)
    inputs = torch.rand(3, 1, 3, 32, 32)
    outputs = [network(inputs[0], torch.ones(1, 1, 32, 32) - 0.5, inputs[1], inputs[2]) for network in (small, grown)]
    assert torch.equal(*outputs)
    outputs[1].mean().backward()
    assert make_network(options, grown.state_dict()).state_dict().keys() == grown.state_dict().keys()
    assert all(stage.branch.weight.grad.any() for stage in grown.encoder)


def test_style_compares_means_and_deviations_over_the_hole():
    """Against positions picked one by one; where they stand does not matter, and nor does what is known."""
    real, fake = torch.rand(2, 2, 5, 8, 8, generator=torch.manual_seed(0)).unbind()
    hole = torch.zeros(2, 1, 16, 16)
    hole[0, :, :8, 4:] = hole[1, :, 6:, 2:8] = 1
    expected = []
    for r, f, h in zip(real.numpy(), fake.numpy(), hole.numpy()[:, 0, ::2, ::2] > 0, strict=True):
        r, f = r[:, h], f[:, h]
        expected.append(((f.mean(1) - r.mean(1)) ** 2 + (f.std(1) - r.std(1)) ** 2).sum() / r.var(1).sum())
    assert style(Judged([real], [fake], hole)).item() == pytest.approx(np.mean(expected), rel=5e-3)
    fake = torch.where(hole[:, :, ::2, ::2] > 0, real, fake)
    assert style(Judged([real], [fake], hole)).item() == 0
    fake[0, :, :4, 2:] = fake[0, :, :4, 2:].flip(1)
    assert style(Judged([real], [fake], hole)).item() == pytest.approx(0, abs=1e-6)


def test_large_holes_are_drawn_more_often(tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((32, 32, 3), 128, np.uint8))

    def share_over_40_percent(large_holes: bool) -> float:
        samples = Samples([(tmp_path, 1)], 32, 120, np.random.default_rng(0), large_holes=large_holes)
        return np.mean([np.unpackbits(hole, axis=1).mean() > 0.4 for hole in samples.holes])

    assert share_over_40_percent(False) < 0.4 < 0.5 < share_over_40_percent(True)


class Pyramid(torch.nn.Module):
    """Stands in for the features of EfficientNet-lite0: means of cells, in as many channels."""

    def forward(self, picture):
        means = (torch.nn.functional.avg_pool2d(picture, 2 ** (i + 1)) for i in range(len(TAPS)))
        return [mean.repeat(1, -(-c // 3), 1, 1)[:, :c] for mean, c in zip(means, TAPS.values(), strict=True)]


def test_deepfill_learns_after_its_projected_critic(tmp_path, monkeypatch):
    monkeypatch.setattr(train_deepfill, "LiteFeatures", Pyramid)
    arguments = ["--pictures", "unused=1", "--run", "unused", "--critic", "projected"]
    sizes = ["--size", "32", "--batch_size", "2", "--base_channels", "4"]
    training = train_deepfill.ProjectedTraining(train_deepfill.build_parser().parse_args(arguments + sizes), tmp_path)
    rng = np.random.default_rng(0)
    samples = SimpleNamespace(rng=rng, picture=lambda: rng.random((32, 32, 3), dtype=np.float32))

    def step_changes() -> list[bool]:
        parts = training.model.coarse[0].weight, training.model.joining[0].weight, next(training.critics.parameters())
        before = [part.detach().clone() for part in parts]
        training.step(samples)
        return [not torch.equal(old, new) for old, new in zip(before, parts, strict=True)]

    assert step_changes() == [False, False, True]
    training.done = CRITIC_ALONE + 1
    assert step_changes() == [True, True, True]
