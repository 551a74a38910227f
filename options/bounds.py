"""How large and how small an option may be, for every command, and why.

Numbers beyond these are slips of the keyboard or what a machine cannot hold; told at once they cost nothing, and later
an hour or the memory of the machine. What depends on the machine and on several options together, as memory does, is
for ``inpainting.memory``.
"""

from typing import NamedTuple


class Bound(NamedTuple):
    """The least and the most that an option may be, both included, and the reason."""

    least: float
    most: float
    why: str


_COUNT = Bound(0, 1_000_000_000, "a run of a thousand iterations a second would take eleven days")
_WEIGHT = Bound(0, 1e6, "float32 adds terms of so different a size with the loss of the smaller one")
_SIDE = "a picture of that side alone takes a gigabyte in float32"
_CHANNELS = Bound(1, 2048, "filters grow with its square: gigabytes for each layer")
_PROCESSES = "each is a process with memory of its own"

BOUNDS = {
    # data
    "image_size": Bound(16, 8192, f"smaller holes cannot be drawn, and {_SIDE}"),
    "size": Bound(11, 8192, f"SSIM looks through a window of 11 pixels, and {_SIDE}"),
    "sizes": Bound(8, 8192, _SIDE),
    "local_size": Bound(1, 8192, _SIDE),
    "dilate": Bound(0, 1024, "a hole grown by as much covers most pictures"),
    "num_workers": Bound(0, 256, _PROCESSES),
    "val_count": Bound(1, 10_000, "all of them are kept in memory"),
    "count": Bound(1, 10_000_000, "a folder holds no more files in good order"),
    "per_bucket": Bound(1, 100_000, "of twelve kinds, a folder holds no more files in good order"),
    "variations": Bound(0, 1000, "a pair of frames does not look different any more"),
    "gap": Bound(1, 100, "frames that far apart show different scenes, and all between them are in memory"),
    "every": Bound(1, 1_000_000, "nine hours of video have as many frames"),
    "pairs": Bound(1, 1_000_000, "no evaluation of the papers has more than a few ten thousand"),
    "limit": Bound(1, 1_000_000_000, "no evaluation has so many pairs"),
    "first": Bound(0, 1_000_000_000, "nobody has tried so many files"),
    "minutes": Bound(0.001, 100_000, "it is more than two months"),
    "seed": Bound(0, 2**32 - 1, "random numbers of 64 bits are drawn from seed and iteration together"),
    # network
    "base_channels": _CHANNELS,
    "critic_channels": _CHANNELS,
    "depth": Bound(1, 10, "the size is halved as often, and 1024 pixels are one then"),
    # schedule
    "lr": Bound(0, 10, "Adam moves each weight by about as much in every step"),
    "batch_size": Bound(1, 4096, "all pictures of a batch are in memory at once"),
    "accumulate": Bound(1, 4096, "an iteration has so many batches"),
    "critic_steps": Bound(1, 1000, "an iteration has so many updates of the critics"),
    **dict.fromkeys(("max_iters", "warmup_iters", "style_warmup_iters"), _COUNT),
    **dict.fromkeys(("log_every", "val_every", "save_every", "keep"), _COUNT),
    "clip_norm": Bound(0, 1e9, "no gradient is as long"),
    "ema_decay": Bound(0, 1, "it is a share"),
    "share": Bound(0, 1, "it is a share"),
    "discount": Bound(0, 1, "it is a share"),
    # losses
    **dict.fromkeys((f"{term}_weight" for term in ("valid", "hole", "perceptual", "style", "tv")), _WEIGHT),
    **dict.fromkeys(
        (f"{term}_weight" for term in ("adversarial", "discounted", "known", "coarse", "penalty")), _WEIGHT
    ),
    # runs
    "threads": Bound(1, 1024, "no machine has as many cores"),
    "super_resolution": Bound(2, 16, "of more than 256 pixels but one has to be made up"),
    "scales": Bound(1, 16, "the first scale is 1/2^15 of the size: one pixel of the largest picture"),
    "repeats": Bound(1, 100_000, "the median is known long before"),
    "port": Bound(0, 65_535, "ports have 16 bits"),
    "max_megapixels": Bound(0.001, 150, "larger pictures are not read"),
    "max_megabytes": Bound(0.001, 1024, "a file is kept in memory while it is read"),
    "max_seconds": Bound(0.001, 86_400, "a browser does not wait for longer than a day"),
}


def beyond(name: str, value: object) -> str | None:
    """In words, where an option's number, or one of several, is out of its bounds; else None.

    Example:
        >>> beyond("threads", 5000)
        'expected 1 to 1024 (no machine has as many cores), got 5000'
        >>> beyond("threads", 2), beyond("threads", None), beyond("hole", "white")
        (None, None, None)
    """
    numbers = value if isinstance(value, list | tuple) else [value]
    bound = BOUNDS.get(name)
    for number in numbers:
        if bound and type(number) in (int, float) and not bound.least <= number <= bound.most:
            return f"expected {bound.least:.12g} to {bound.most:.12g} ({bound.why}), got {number}"
    return None
