"""A scene whose occlusion is known: three bodies of one texture before a background of another, seen twice."""

import cv2
import numpy as np

SIDE, REACH = 256, 32  # px; nothing moves further than REACH
MOTIONS = (((9, -5), (-2, 1)), ((4, 3), (0, 0)), ((14, 2), (0, 0)), ((5, 0), (-5, 0)))  # (x, y) of bodies, background


def moving_scene(seed, bodies, background):
    """Two frames uint8 [SIDE, SIDE] and what only one of them shows, bool: known by where everything went."""
    rng = np.random.default_rng(seed)
    textures, body = [_texture(rng) for _ in range(2)], _bodies()
    first, at_first = _view(textures, body, (0, 0), (0, 0))
    second, at_second = _view(textures, body, background, bodies)
    occluded = ~at_first & _seen_from(at_second, background)
    disoccluded = ~at_second & _seen_from(at_first, (-background[0], -background[1]))
    return first, second, occluded | disoccluded


def _texture(rng):
    whole = SIDE + 2 * REACH
    scales = [(rng.normal(size=(whole, whole)).astype(np.float32), sigma) for sigma in (1, 2, 4, 8)]
    noise = sum(cv2.GaussianBlur(values, (0, 0), sigma) * sigma for values, sigma in scales)
    return np.uint8(255 * (noise - noise.min()) / np.ptp(noise))


def _bodies():
    body = np.zeros([SIDE + 2 * REACH] * 2, np.uint8)
    cv2.ellipse(body, (110, 120), (50, 30), 30, 0, 360, 1, -1)
    cv2.rectangle(body, (180, 160), (230, 250), 1, -1)
    cv2.fillPoly(body, [np.array([[60, 230], [120, 210], [100, 280]])], 1)
    return body > 0


def _view(textures, body, background, bodies):
    """The frame in which everything has moved by so much, and where the bodies are in it."""
    (far, near), shape = textures, _cut(body, bodies)
    return np.where(shape, _cut(near, bodies), _cut(far, background)), shape


def _cut(whole, motion):
    x, y = (REACH - step for step in motion)
    return whole[y : y + SIDE, x : x + SIDE]


def _seen_from(shape, motion):
    """At each pixel what ``shape`` is where that pixel goes to; False outside."""
    x, y = motion
    matrix = np.float32([[1, 0, -x], [0, 1, -y]])
    return cv2.warpAffine(np.uint8(shape), matrix, (SIDE, SIDE), flags=cv2.INTER_NEAREST) > 0
