"""Averaged weights against the recurrence worked out by hand."""

import numpy as np
import paddle

from engine.ema import WeightAverage


def test_the_average_follows_its_recurrence_and_is_lent_to_the_network():
    layer = paddle.nn.Linear(1, 1)
    layer.weight.set_value(paddle.to_tensor([[1.0]]))
    average = WeightAverage(layer, decay=0.5)
    expected = 1.0
    for n, value in enumerate((3.0, 5.0, -2.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 0.0)):
        layer.weight.set_value(paddle.to_tensor([[value]]))
        average.update()
        d = min(0.5, (1 + n) / (10 + n))
        expected = d * expected + (1 - d) * value
    np.testing.assert_allclose(average.average["weight"].numpy(), [[expected]], rtol=1e-6)
    with average.applied():
        np.testing.assert_allclose(layer.weight.numpy(), [[expected]], rtol=1e-6)
    assert layer.weight.item() == 0.0


def test_running_statistics_are_averaged_and_counters_are_not():
    norm = paddle.nn.BatchNorm2D(2)
    average = WeightAverage(norm, decay=0.9)
    norm.train()
    norm(paddle.rand([4, 2, 3, 3]) + 1)
    average.update()
    assert float(average.state_dict()["_mean"][0]) > 0 and set(average.state_dict()) == set(norm.state_dict())
