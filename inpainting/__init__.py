"""Filling pictures: networks, exported models, classical methods, weights on disk; knows nothing of command lines."""

__all__ = ["Inpainter"]


def __getattr__(name: str):
    # Classical methods are evaluated without Paddle, whose import takes seconds.
    if name == "Inpainter":
        from inpainting.inpainter import Inpainter

        return Inpainter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
