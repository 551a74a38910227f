"""Hostile and odd inputs to every command: what each must answer, and what must be as it was afterwards.

``python -m pytest tests/hostile -m heavy`` takes the rest of the table, of which the usual run takes a part.

``HOSTILE_REPORT=file python -m pytest tests/hostile`` also writes down every answer.
"""

import json
import os
import shutil

import pytest

from tests.hostile.harness import Zygote, prepare, problems_of, snapshot
from tests.hostile.table import is_usual, table

TABLE = table()
REPORT = os.environ.get("HOSTILE_REPORT")


@pytest.fixture(scope="module")
def zygote(tmp_path_factory):
    zygote = Zygote(tmp_path_factory.mktemp("zygote"))
    yield zygote
    zygote.close()


@pytest.fixture(scope="module")
def user(zygote, tmp_path_factory):
    """A folder of everything that a user has, and how it was."""
    folder = tmp_path_factory.mktemp("user")
    answer = zygote.run("make_world", [str(folder)], folder, seconds=300)
    assert answer["status"] == 0, answer["err"]
    return folder, snapshot(folder)


@pytest.fixture
def place(tmp_path):
    """A folder for what is wrong and for what is written, of which nothing stays."""
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_the_table_is_as_large_as_it_is_said_to_be():
    assert sum(map(is_usual, TABLE)) >= 250


@pytest.mark.parametrize("name", [n if is_usual(n) else pytest.param(n, marks=pytest.mark.heavy) for n in TABLE])
def test_an_input_is_answered_in_one_line_and_harms_nothing(name, zygote, user, place):
    case, (folder, before) = TABLE[name], user
    bad, work = place / "bad", place / "work"
    prepare(case, folder, bad)
    work.mkdir()
    bad_before = snapshot(bad)
    arguments = [word.replace("{user}", str(folder)).replace("{bad}", str(bad)) for word in case.arguments]
    answer = zygote.run(case.command, arguments, work)
    problems = problems_of(case, answer)
    if not case.writes and (left := [*snapshot(work), *(snapshot(bad).items() ^ bad_before.items())]):
        problems.append(f"left behind: {left}")
    if snapshot(folder) != before:
        problems.append("something of the user's changed")
    if REPORT:
        with open(REPORT, "a", encoding="utf-8", errors="backslashreplace") as file:
            print(json.dumps({"name": name, "problems": problems, **answer}), file=file)
    assert not problems, f"{case.command} {arguments}: {problems}\n{answer['err'][-3000:]}"
