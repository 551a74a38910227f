"""Both languages say everything, and of the same things."""

import json
import re
from pathlib import Path

from utils.errors import InputError
from web.texts import MISTAKES, Refusal

STATIC = Path(__file__).resolve().parents[2] / "web" / "static"
PAGE = json.loads((STATIC / "texts.json").read_text(encoding="utf-8"))


def names(text):
    return set(re.findall(r"\{(\w+)\}", text))


def test_both_languages_say_the_same_things():
    pairs = [(english, chinese) for _, english, chinese in MISTAKES.values()]
    assert PAGE["en"].keys() == PAGE["zh"].keys()
    pairs += [(PAGE["en"][key], PAGE["zh"][key]) for key in PAGE["en"] if key != "language"]
    for english, chinese in pairs:
        assert names(english) == names(chinese), english
        assert english == "{reason}" or any("\u4e00" <= letter <= "\u9fff" for letter in chinese), english
        assert not any("\u4e00" <= letter <= "\u9fff" for letter in english)


def test_the_page_uses_each_text_and_no_other():
    page = "".join((STATIC / name).read_text(encoding="utf-8") for name in ("index.html", "main.js", "server.js"))
    used = set(re.findall(r'data-(?:text|label)="(\w+)"', page)) | set(re.findall(r'say\("(\w+)"', page))
    assert used | {"title"} == set(PAGE["en"])


def test_a_mistake_is_told_in_each_language_on_one_line():
    told = Refusal("unreadable", reason="a\nb {c} \x1b[31m")
    assert isinstance(told, InputError) and told.status == 400
    assert str(told) == told.in_language("en") == "This photograph cannot be used: a b {c} [31m"
    assert told.in_language("zh") == "这张照片无法使用：a b {c} [31m"
