"""Both languages say everything, and of the same things."""

import string

import pytest

from utils.errors import InputError
from web.texts import PAGE, SERVER, Told, language_of, page_texts, say


def fields(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize(("key", "texts"), [*PAGE.items(), *SERVER.items()])
def test_texts_are_there_in_both_languages_and_name_the_same(key, texts):
    english, chinese = texts
    assert english.strip() and chinese.strip()
    assert fields(english) == fields(chinese)
    assert english.isascii()
    assert key == "bad_value" or any("\u4e00" <= letter <= "\u9fff" for letter in chinese)


def test_page_and_server_share_no_key():
    assert not PAGE.keys() & SERVER.keys() and page_texts("zh").keys() == PAGE.keys()


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("zh", "zh"),
        ("zh-TW", "zh"),
        ("ZH-cn;q=0.3", "zh"),
        ("en-GB,zh;q=0.9", "en"),
        ("de,zh;q=0.8,en;q=0.7", "zh"),
        ("de", "en"),
        ("zh;q=0", "en"),
        ("", "en"),
        (";;,q=1," * 10000 + "zh", "en"),
        ("zh;q=9e99", "en"),
    ],
)
def test_the_language_that_is_liked_best_is_taken(header, language):
    assert language_of(header) == language


def test_a_mistake_is_told_in_each_language_on_one_line():
    told = Told("unreadable", reason="a\nb {c} \x1b[31m")
    assert isinstance(told, InputError)
    assert str(told) == told.in_language("en") == "This photograph cannot be used: a b {c} [31m"
    assert told.in_language("zh") == say("zh", "unreadable", reason="a b {c} [31m") != str(told)
