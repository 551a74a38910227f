"""Sanity checks of a run: early signs that it goes wrong, each a line that says what to look at."""

from collections.abc import Mapping, Sequence

# Raw terms at the first iteration, pictures in [0, 1]: three networks, 64 to 256 px, untrained and trained, gave up to
# 0.6 (valid, hole, tv), 50 (perceptual) and 6.5 (style); on the 0-255 scale at least 7.9, 4.8, 1200 and 3400.
AT_START = {"valid": (0, 4), "hole": (0, 4), "perceptual": (0.3, 300), "style": (0, 150), "tv": (0, 4)}
MEAN_FILL_AFTER = 1000  # iterations after which painting should beat filling with the mean colour


def loss_at_start(terms: Mapping[str, float]) -> list[str]:
    """Loss terms of the first iteration that are far from any correct set-up."""
    return [
        f"L_{name} starts at {terms[name]:.3g}, expected {low:g} to {high:g}: are the pictures in [0, 1], and are "
        "--vgg_weights a VGG16's?"
        for name, (low, high) in AT_START.items()
        if name in terms and not low <= terms[name] <= high
    ]


def worse_than_mean_fill(iteration: int, psnr: float | None, mean_fill_psnr: float | None) -> str | None:
    """A network that is still worse than filling with the mean colour; PSNR is None if all pairs are identical."""
    if iteration < MEAN_FILL_AFTER or psnr is None or mean_fill_psnr is None or psnr >= mean_fill_psnr:
        return None
    return (
        f"after {iteration} iterations validation gives {psnr:.2f} dB, and filling holes with the picture's mean "
        f"colour {mean_fill_psnr:.2f} dB: lower --lr, or check masks and pictures"
    )


def holes_left(coverage: Sequence[float]) -> str | None:
    """Holes that the encoder does not close; ``coverage`` is the valid share of each stage's mask."""
    if not coverage or coverage[-1] >= 1:
        return None
    return (
        f"{1 - coverage[-1]:.2%} of the deepest mask is still hole: the network cannot see across such holes; "
        "a larger --depth can"
    )
