"""Training: tasks, the trainer, its state, logs and validation; knows nothing of command lines."""

__all__ = ["Inpainter"]


def __getattr__(name: str):
    if name == "Inpainter":  # under the name it has had; see the package inpainting
        from inpainting import Inpainter

        return Inpainter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
