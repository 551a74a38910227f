"""The grain that a fill lacks, carried into the hole from where the picture looks alike.

A network that answers for its mean error paints what it is sure of, which is smooth. What is missing is looked for in
the known picture, as in contextual residual aggregation (Yi et al. 2020, arXiv:2005.09704), here with no attention and
nothing learnt: each place of the hole takes one place outside whose blurred surroundings are likest its own, neighbours
preferring to take neighbours (Ashikhmin 2001), and copies from there what blurring took away, in the wavelengths up to
``SIGMA`` pixels at the scale of the search and in each finer octave. The colours of the fill stay; so does its edge,
where the network knows best.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree

from inpainting.boxes import box_around, hole_boxes
from inpainting.surface import smooth_surface

SIGMA = 3.0  # pixels: what is finer than this blur is grain
STRENGTH = 0.4  # of the grain: in holes of 30 to 60 % this costs 0.06 dB and 0.004 of SSIM, 0.8 costs 0.23 and 0.013
EDGE = (2, 10)  # pixels inside the hole between which the grain comes in
STEP = 4  # pixels between the places that are looked for
AROUND = 128  # pixels around holes that are looked at
REACH = 5  # pixels around a source that must be known
SURROUNDINGS = 4  # pixels between the nine samples of a place's surroundings
DIMENSIONS = 10  # that the surroundings' 27 numbers are brought to
BY_PLACE = 0.02  # what a pixel of distance counts beside a difference of one grey level
BY_ROUGHNESS = 6.0  # what a grey level of difference between the grain around source and place does
COHERENCE, SWEEPS = 1.5, 4  # a neighbour's source may fit so many times worse
PLACES, SOURCES = 8_000, 16_000  # at most, of a group of holes
STRIP = 256  # rows


def add_detail(filled: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The filled picture with grain in its hole; nothing else is changed.

    Shape:
        filled: uint8 [H, W, 3].   hole: bool [H, W].   Returns uint8 [H, W, 3].
    """
    result = filled.copy()
    for box, _ in hole_boxes(hole):
        part, holes = result[box.slices], hole[box.slices]
        near = box_around(holes).grown(AROUND, *holes.shape).slices
        _detail(part[near], holes[near])
    return result


@dataclass(frozen=True)
class Sources:
    """Where each place of a grid over the picture takes its grain from.

    Args:
        offsets: int32 [h, w, 2], rows and columns from a place, which stands at multiples of ``step``, to its source.
        step: pixels.
    """

    offsets: np.ndarray
    step: int

    def finer(self) -> "Sources":
        """The same at twice the size."""
        return Sources(2 * self.offsets, 2 * self.step)

    def carry(self, grain: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Grain at pixels [n], as the four places around each take it, by their nearness: [n, C].

        Args:
            grain: [H, W, C], of the picture that the places are in.
        """
        height, width, channels = grain.shape
        flat = grain.reshape(-1, channels)
        carried = np.zeros([len(rows), channels], np.float32)
        (above, below_it), (left, right_of_it) = (np.divmod(pixels, self.step) for pixels in (rows, columns))
        last = np.array(self.offsets.shape[:2]) - 1
        for y, x in np.ndindex(2, 2):
            offset = self.offsets[np.minimum(above + y, last[0]), np.minimum(left + x, last[1])]
            source = np.clip(rows + offset[:, 0], 0, height - 1) * width
            source += np.clip(columns + offset[:, 1], 0, width - 1)
            nearness = np.abs(1 - y - below_it / self.step) * np.abs(1 - x - right_of_it / self.step)
            carried += nearness.astype(np.float32)[:, None] * flat.take(source, axis=0)
        return carried


def _detail(picture: np.ndarray, hole: np.ndarray) -> None:
    """``add_detail`` of one group of holes, in place."""
    pictures, holes = [picture], [hole]
    while np.count_nonzero(holes[-1]) > PLACES * STEP**2:
        pictures.append(_halved(pictures[-1].astype(np.float32)))
        holes.append(_halved(holes[-1].astype(np.float32)) > 0)
    coarsest = pictures[-1].astype(np.float32)
    sources = find_sources(coarsest, holes[-1])
    if sources is None:
        return
    base, grain = cv2.GaussianBlur(coarsest, (0, 0), SIGMA), np.zeros_like(coarsest)
    for scale in reversed(range(len(pictures))):
        fine = np.subtract(pictures[scale], base, out=base)
        for top, strip in _strips(holes[scale]):
            rows, columns = np.nonzero(strip)
            grain[rows + top, columns] += sources.carry(fine, rows + top, columns)
        if scale > 0:
            base, grain = (_enlarged(a, pictures[scale - 1].shape) for a in (pictures[scale], grain))
            sources = sources.finer()
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)
    for top, strip in _strips(hole):
        at = slice(top, top + len(strip))
        share = STRENGTH * np.clip((depth[at][strip] - EDGE[0]) / (EDGE[1] - EDGE[0]), 0, 1)
        picture[at][strip] = np.rint(np.clip(picture[at][strip] + share[:, None] * grain[at][strip], 0, 255))


def _strips(hole: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """A hole in strips of rows, each with its first row: what is worked out of all its pixels at once takes room."""
    for top in range(0, len(hole), STRIP):
        yield top, hole[top : top + STRIP]


def find_sources(picture: np.ndarray, hole: np.ndarray) -> Sources | None:
    """For places in and beside the hole the likest known ones; None where there is none to choose from.

    Shape:
        picture: float32 [H, W, 3] in [0, 255], its hole filled.   hole: bool [H, W].
    """
    height, width = hole.shape
    usable = cv2.dilate(hole.astype(np.uint8), np.ones([2 * REACH + 1] * 2, np.uint8)) == 0
    usable[:REACH] = usable[height - REACH :] = usable[:, :REACH] = usable[:, width - REACH :] = False
    known = np.argwhere(usable)
    if len(known) == 0:
        return None
    if len(known) > SOURCES:
        known = known[np.random.default_rng(0).choice(len(known), SOURCES, replace=False)]
    places = np.stack(np.mgrid[0 : height + STEP : STEP, 0 : width + STEP : STEP], axis=2)
    wanted = cv2.dilate(hole.astype(np.uint8), np.ones([2 * STEP + 1] * 2, np.uint8)) > 0
    wanted = wanted[np.minimum(places[..., 0], height - 1), np.minimum(places[..., 1], width - 1)]
    describe = _describer(picture, _roughness(picture, hole), known)
    here = describe(places[wanted])
    distance, nearest = cKDTree(describe(known)).query(here)
    offsets = np.zeros(places.shape, np.int32)
    offsets[wanted] = known[nearest] - places[wanted]
    _make_coherent(
        offsets, places, wanted, usable, lambda at, i: np.linalg.norm(describe(at) - here[i], axis=1), distance
    )
    return Sources(offsets, STEP)


def _roughness(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """How strong the grain is around each pixel, in grey levels; in the hole, where a fill has none, as a membrane
    through what it is at the hole's edge: [H, W]."""
    known = (~hole).astype(np.float32)
    grain = ((picture - cv2.GaussianBlur(picture, (0, 0), SIGMA)) ** 2).mean(axis=2) * known
    around, weight = (cv2.GaussianBlur(a, (0, 0), 2 * SIGMA) for a in (grain, known))
    strength = np.sqrt(around / np.maximum(weight, 1e-6)) * known
    return smooth_surface(strength[..., None], known, order=1, steps=10)[..., 0]


def _describer(picture: np.ndarray, roughness: np.ndarray, known: np.ndarray):
    """A function of positions [n, 2] to [n, DIMENSIONS + 3]: blurred colours around them, grain, and where they are."""
    blurred = cv2.GaussianBlur(picture, (0, 0), 2 * SIGMA)
    last = np.array(picture.shape[:2]) - 1
    around = SURROUNDINGS * (np.indices([3, 3]).reshape(2, 9).T - 1)

    def samples(at):
        return np.concatenate([blurred[tuple(np.clip(at + step, 0, last).T)] for step in around], axis=1)

    some = samples(known[:: max(1, len(known) // 2000)])
    mean = some.mean(axis=0)
    axes = np.linalg.svd(some - mean, full_matrices=False)[2][:DIMENSIONS].T

    def describe(at):
        rough = roughness[tuple(np.clip(at, 0, last).T)][:, None]
        return np.concatenate([(samples(at) - mean) @ axes, BY_ROUGHNESS * rough, BY_PLACE * at], axis=1)

    return describe


def _make_coherent(offsets, places, wanted, usable, misfit, distance) -> None:
    """Places take their neighbours' offsets where that fits hardly worse than what fits best; in place, at random.

    Args:
        offsets, places: [h, w, 2].   wanted: bool [h, w], n of them True.   usable: bool [H, W].
        misfit: (sources [m, 2], numbers [m] of the wanted places that would take them) to [m].
        distance: what it is for the best source of each wanted place, [n].
    """
    rng = np.random.default_rng(0)
    height, width = usable.shape
    number = np.full(wanted.shape, -1)
    number[wanted] = np.arange(len(distance))
    for _ in range(SWEEPS):
        for step in ((1, 0), (0, 1), (-1, 0), (0, -1)):
            theirs = np.roll(offsets, step, axis=(0, 1))
            at = places + theirs
            inside = (at >= 0).all(axis=2) & (at[..., 0] < height) & (at[..., 1] < width)
            open_to = wanted & np.roll(wanted, step, axis=(0, 1)) & inside & (rng.random(wanted.shape) < 0.5)
            open_to[open_to] = usable[tuple(at[open_to].T)]
            i = number[open_to]
            fits = misfit(at[open_to], i) <= COHERENCE * distance[i]
            open_to[open_to] = fits
            offsets[open_to] = theirs[open_to]


def _halved(array: np.ndarray) -> np.ndarray:
    height, width = array.shape[:2]
    return cv2.resize(array, (-(-width // 2), -(-height // 2)), interpolation=cv2.INTER_AREA)


def _enlarged(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return cv2.resize(array, shape[1::-1], interpolation=cv2.INTER_CUBIC)
