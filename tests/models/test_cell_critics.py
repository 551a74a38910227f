"""Critics that judge cells: the spectral norm against a singular value decomposition, shapes, state."""

import numpy as np
import paddle

from models.cell_critics import ProjectedCritic, SpectralConv2D


def test_filters_are_divided_by_their_largest_singular_value():
    paddle.seed(0)
    layer = SpectralConv2D(3, 6, 3, padding=1)
    x = paddle.rand([2, 3, 8, 8])
    for _ in range(50):
        out = layer(x)
    largest = np.linalg.svd(layer.weight.numpy().reshape(6, -1), compute_uv=False)[0]
    expected = paddle.nn.functional.conv2d(x, layer.weight / float(largest), layer.bias, padding=1)
    np.testing.assert_allclose(out.numpy(), expected.numpy(), atol=1e-4)


def test_only_training_moves_the_vectors_and_they_are_saved():
    layer, x = SpectralConv2D(3, 6, 3), paddle.rand([2, 3, 8, 8])
    layer.eval()
    before = layer.u.numpy()
    layer(x)
    assert np.array_equal(layer.u.numpy(), before)
    layer.train()
    layer(x)
    assert not np.array_equal(layer.u.numpy(), before) and set(layer.state_dict()) == {"weight", "bias", "u", "v"}
    other = SpectralConv2D(3, 6, 3)
    other.set_state_dict(layer.state_dict())
    assert np.array_equal(other(x).numpy(), layer(x).numpy())


def test_each_head_judges_cells_and_sees_where_the_hole_is():
    critic = ProjectedCritic([8, 4])
    critic.eval()
    features = [paddle.rand([2, 8, 32, 32]), paddle.rand([2, 4, 16, 16])]
    first, second = (critic(features, hole) for hole in (paddle.zeros([2, 1, 64, 64]), paddle.ones([2, 1, 64, 64])))
    assert [list(t.shape) for t in first] == [[2, 1, side, side] for side in (16, 8)]
    assert all(float((a - b).abs().max()) > 0 for a, b in zip(first, second, strict=True))
