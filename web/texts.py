"""What the server answers to mistakes, in English and Chinese. The page's own texts are in ``static/texts.json``."""

import json
import re
from pathlib import Path

from utils.errors import InputError, one_line

LANGUAGES = ("en", "zh")  # the first is for whoever prefers neither

# Status of HTTP, English, Chinese
MISTAKES: dict[str, tuple[int, str, str]] = json.loads(Path(__file__).with_name("mistakes.json").read_text("utf-8"))


class Told(InputError):
    """A mistake of the user's, told in the user's language.

    Args:
        key: of ``MISTAKES``.
        values: what its text names.
    """

    def __init__(self, key: str, **values: object):
        self.key, self.values = key, {name: str(value) for name, value in values.items()}
        super().__init__(self.in_language("en"))

    @property
    def status(self) -> int:
        """Of HTTP."""
        return MISTAKES[self.key][0]

    def in_language(self, language: str) -> str:
        text = MISTAKES[self.key][1 + LANGUAGES.index(language)]
        return one_line(text.format(**self.values), 1000)


def language_of(accepted: str | None) -> str:
    """The language that an Accept-Language header likes best, of those that there are texts in.

    Example:
        >>> language_of("zh-CN,zh;q=0.9,en;q=0.8"), language_of("fr, en;q=0.5, zh;q=0.4"), language_of(None)
        ('zh', 'en', 'en')
    """
    liked: dict[str, float] = {}
    for part in (accepted or "")[:1000].split(","):
        if found := re.fullmatch(r"\s*([A-Za-z]{1,8})(?:-[\w-]*)?\s*(?:;\s*q=([01](?:\.[0-9]{0,3})?))?\s*", part):
            language = found[1].lower()
            liked[language] = max(liked.get(language, 0.0), float(found[2] or 1))
    return max(LANGUAGES, key=lambda language: liked.get(language, 0.0))
