"""A stand-in for the network, in the worker process: fills with the negative, and does what the first pixel says."""

import os
import time
from pathlib import Path

import numpy as np

SLOW, DEADLY, GREEDY, BROKEN = ([250, 1, n] for n in range(4))  # colours of the first pixel


def fill(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    first = picture[0, 0].tolist()
    if first == SLOW:
        time.sleep(60)
    if first == DEADLY:
        os._exit(1)
    if first == GREEDY:
        raise MemoryError
    if first == BROKEN:
        raise KeyError("secret")
    return np.where(hole[..., None], 255 - picture, picture)


def prepare(*_):
    return {"general": Path("general"), "other": Path("other")}, lambda directory: {None: fill, True: fill, False: fill}
