"""Pictures and masks brought to the network's size: as they are for measuring, varied at random for training."""

import math

import cv2
import numpy as np

AUTHORS_SIDE = 512  # px, the side of the masks for which the authors give their kernel sizes
DILATION = (9, 49)  # px at that side


def center_resize(picture: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """The largest part in the middle of the wanted shape, resized; a picture of that size is unchanged.

    Args:
        size: side of a square, or height and width, in pixels.
    Shape:
        uint8 [H, W, 3] to [height, width, 3].
    """
    height, width = (size, size) if isinstance(size, int) else size
    scale = min(picture.shape[0] / height, picture.shape[1] / width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (picture.shape[0] - rows) // 2, (picture.shape[1] - columns) // 2
    return _resize(picture[top : top + rows, left : left + columns], (height, width))


def random_crop(
    picture: np.ndarray, size: int, rng: np.random.Generator, scale: tuple[float, float] = (0.85, 1.0)
) -> np.ndarray:
    """A random square, resized: uint8 [H, W, 3] to [size, size, 3].

    Args:
        scale: least and greatest side of the square, as a share of the picture's shorter side.
    """
    shorter = min(picture.shape[:2])
    side = max(1, round(shorter * rng.uniform(*scale)))
    top, left = rng.integers(np.array(picture.shape[:2]) - side, endpoint=True)
    return _resize(picture[top : top + side, left : left + side], (size, size))


def random_window(picture: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A square cut out at the picture's own resolution; of a picture too small for it ``random_crop``'s."""
    height, width = picture.shape[:2]
    if min(height, width) < size:
        return random_crop(picture, size, rng)
    top, left = rng.integers([height - size, width - size], endpoint=True)
    return picture[top : top + size, left : left + size]


def center_window(picture: np.ndarray, size: int) -> np.ndarray:
    """The square in the middle at the picture's own resolution; of a picture too small for it ``center_resize``'s."""
    height, width = picture.shape[:2]
    if min(height, width) < size:
        return center_resize(picture, size)
    top, left = (height - size) // 2, (width - size) // 2
    return picture[top : top + size, left : left + size]


def random_flip(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Left and right swapped half the time."""
    return picture[:, ::-1] if rng.random() < 0.5 else picture


def load_training_picture(picture: np.ndarray, size: int, rng: np.random.Generator, shrink: bool = True) -> np.ndarray:
    """A random crop and flip of a picture for training: uint8 [H, W, 3] to [size, size, 3].

    Args:
        shrink: False cuts it out at the picture's own resolution.
    """
    return random_flip((random_crop if shrink else random_window)(picture, size, rng), rng)


def augment_mask(mask: np.ndarray, rng: np.random.Generator, size: int, dilate: bool = True) -> np.ndarray:
    """The authors' variation of a training mask: the hole dilated, then turned, shifted, cropped and flipped at random.

    What comes in from outside is valid. Sampled once, by nearest pixel, so that {0, 1} stays {0, 1}.

    Args:
        mask: float32 [H, W] of any size.
        size: side of the result in pixels.
        dilate: False for masks whose holes are broad enough already (the published test masks are).
    Shape:
        Returns float32 [size, size].
    Source:
        Liu et al. 2018, arXiv:1804.07723; the recipe is on the authors' page of the mask dataset: kernels of 9 to 49 px
        at 512 px, scaled with the mask here.
    """
    hole = (mask == 0).astype(np.uint8)
    if dilate:
        hole = _dilate(hole, rng)
    matrix = _random_view(hole.shape, size, rng)
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(hole, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return (1 - moved).astype(np.float32)


def _resize(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if picture.shape[:2] == size:
        return picture
    method = cv2.INTER_AREA if picture.shape[0] > size[0] else cv2.INTER_CUBIC
    return cv2.resize(picture, size[::-1], interpolation=method)


def _dilate(hole: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    kernel = rng.integers(*DILATION, endpoint=True) * min(hole.shape) / AUTHORS_SIDE
    side = max(1, round(kernel))
    return cv2.dilate(hole, np.ones([side, side], np.uint8))


def _random_view(shape: tuple[int, ...], size: int, rng: np.random.Generator) -> np.ndarray:
    """float64 [2, 3]: where in the mask (x, y) each pixel (x, y) of a size x size view lies."""
    height, width = shape
    side = min(height, width) * rng.uniform(0.7, 1.0)
    angle = rng.uniform(0, 2 * math.pi)
    flip = rng.choice([-1, 1])
    cosine, sine = math.cos(angle) * side / size, math.sin(angle) * side / size
    turn = np.array([[flip * cosine, -sine], [flip * sine, cosine]])
    center = np.array([(width - 1) / 2, (height - 1) / 2]) + rng.uniform(-0.2, 0.2, 2) * [width, height]
    middle = np.full(2, (size - 1) / 2)
    return np.hstack([turn, (center - turn @ middle)[:, None]])
