"""Each sanity check warns of what it is there for and of nothing else."""

import pytest

from engine import sanity_checks

USUAL = {"valid": 0.4, "hole": 0.4, "perceptual": 40.0, "style": 5.0, "tv": 0.5}


def test_sound_values_ring_nothing():
    assert not sanity_checks.loss_at_start(USUAL) and not sanity_checks.loss_at_start({"valid": 0.4, "hole": 0.4})
    assert sanity_checks.worse_than_mean_fill(5000, 25.0, 20.0) is None
    assert sanity_checks.worse_than_mean_fill(10, 5.0, 20.0) is None
    assert sanity_checks.holes_left([0.7, 0.9, 1.0]) is None and sanity_checks.holes_left([]) is None


@pytest.mark.parametrize(
    ("terms", "word"),
    [({"valid": 60.0}, "L_valid"), ({"perceptual": 1600.0}, "L_perceptual"), ({"perceptual": 0.01}, "L_perceptual")],
)
def test_terms_out_of_range(terms, word):
    [message] = sanity_checks.loss_at_start({**USUAL, **terms})
    assert word in message


def test_a_network_that_does_not_paint_and_holes_that_do_not_close():
    assert "19.00 dB" in sanity_checks.worse_than_mean_fill(1000, 19.0, 20.0)
    assert "2.00%" in sanity_checks.holes_left([0.5, 0.98])
