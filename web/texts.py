"""What the server answers to mistakes, in English and Chinese. The page's own texts are in ``static/texts.json``."""

import errno
import json
import traceback
from functools import partial
from pathlib import Path

from utils.errors import InputError, is_out_of_memory, one_line

LANGUAGES = ("en", "zh")  # the first is for those who read neither

# Status of HTTP, English, Chinese
MISTAKES: dict[str, tuple[int, str, str]] = json.loads(Path(__file__).with_name("mistakes.json").read_text("utf-8"))


class Refusal(InputError):
    """A mistake of the user's, answered in the user's language.

    Args:
        key: of ``MISTAKES``.
        values: what its text names.
    """

    def __init__(self, key: str, **values: object):
        self.key, self.values = key, {name: str(value) for name, value in values.items()}
        super().__init__(self.in_language("en"))

    def __reduce__(self) -> tuple:
        return partial(Refusal, self.key, **self.values), ()  # for the pipe from the worker

    @property
    def status(self) -> int:
        """Of HTTP."""
        return MISTAKES[self.key][0]

    def in_language(self, language: str) -> str:
        text = MISTAKES[self.key][1 + LANGUAGES.index(language)]
        return one_line(text.format(**self.values), 1000)


def refusal_of(error: Exception) -> Refusal:
    """How an error is answered; the console gets a bug's traceback."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, InputError):
        return Refusal("bad_value", reason=error)
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return Refusal("full")
    if is_out_of_memory(error):
        return Refusal("memory")
    traceback.print_exception(error)
    return Refusal("bug")


def language_of(accepted: str | None) -> str:
    """The first language of an Accept-Language header that there are texts in; browsers put what they like best first.

    Example:
        >>> language_of("zh-CN,zh;q=0.9,en;q=0.8"), language_of("fr, en;q=0.5, zh;q=0.4"), language_of(None)
        ('zh', 'en', 'en')
    """
    tags = (tag.strip()[:2].lower() for tag in (accepted or "").split(","))
    return next((tag for tag in tags if tag in LANGUAGES), LANGUAGES[0])
