"""What the page shows of a result or a mistake, in the client's language: data and Markdown, nothing of Gradio."""

import traceback

import numpy as np

from inpainting.views import for_viewing
from utils.errors import InputError
from web.texts import Told, say
from web.worker import Filled

PAINTED = 32  # of 255: from this alpha on a pixel of the strokes counts


def strokes_of(editor: dict | None) -> np.ndarray | None:
    """Where the editor was painted on: bool [h, w] of the preview's size; None for nothing."""
    layers = (editor or {}).get("layers") or []
    painted = [layer[..., 3] >= PAINTED for layer in layers if layer.ndim == 3 and layer.shape[2] == 4]
    return np.logical_or.reduce(painted) if painted else None


def summary(filled: Filled, language: str) -> str:
    """What was done, in Markdown of a few lines."""
    height, width = filled.before.size
    seconds, share = f"{filled.seconds:.1f}", f"{filled.share:.1%}"
    lines = [
        say(language, "done", seconds=seconds, share=share, width=width, height=height, model=filled.model),
        *(say(language, "note", note=note) for note in filled.notes),
    ]
    if filled.is_large:
        lines.append(say(language, "large_hole", share=f"{filled.share:.0%}"))
    if not filled.encoding.lossless:
        lines.append(say(language, "lossy", format=filled.encoding.format.upper()))
    return "\n\n".join(map(escape, lines))


def views(filled: Filled, language: str) -> list:
    """Before and after, the file, and the three pictures, shrunk to a screen's size."""
    before, hole, after = for_viewing(filled.before.pixels, filled.hole, filled.after.pixels)
    mask = np.repeat(np.where(hole, np.uint8(255), np.uint8(0))[..., None], 3, axis=2)
    captions = (say(language, key) for key in ("input", "hole", "result"))
    return [(before, after), str(filled.path), list(zip((before, mask, after), captions, strict=True))]


def in_words(error: Exception, language: str) -> str:
    """An error for the one whose mistake it is; of a bug, the traceback goes to the console."""
    if isinstance(error, Told):
        return escape(error.in_language(language))
    if isinstance(error, InputError):
        return escape(say(language, "bad_value", reason=error))
    traceback.print_exception(error)
    return say(language, "bug")


def escape(text: str) -> str:
    """Text as Markdown and HTML show it, letter by letter.

    Example:
        >>> escape("<b>*a*</b>_[x](y)")
        '&lt;b&gt;&#42;a&#42;&lt;/b&gt;&#95;&#91;x&#93;(y)'
    """
    signs = {"&": "&amp;", "<": "&lt;", ">": "&gt;", **{sign: f"&#{ord(sign)};" for sign in "*_`[]\\#|~$"}}
    return "".join(signs.get(letter, letter) for letter in text)
