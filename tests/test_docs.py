"""The documents name what exists, and the commands that they and the notebook show are understood as they stand."""

import argparse
import importlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import options

ROOT = Path(__file__).resolve().parent.parent
READMES = ["README.md", "README_CN.md", "weights/README.md"]
NOTEBOOK = "notebooks/aistudio.ipynb"
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/*.md"))
DOCUMENTS = [*READMES, "CHANGELOG.md", "CONTRIBUTING.md", *PAGES]
WITH_VARIABLES = {"docs/results.md", "docs/experiments.md"}  # their commands share options in shell variables
SCRIPTS = {
    "train.py": options.parse_train,
    "test.py": options.parse_fill,
    "export.py": options.export_parser().parse_args,
    "app.py": options.app_parser().parse_args,
    "eval.py": options.parse_evaluate,
}


def read(name):
    return re.sub(r"<!--.*?-->", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.DOTALL)


def fenced(name, language):
    """The text of a document's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", read(name), flags=re.DOTALL | re.MULTILINE)


def notebook_lines():
    """The notebook's shell lines, with the strings that its cells put into them."""
    cells = json.loads((ROOT / NOTEBOOK).read_text(encoding="utf-8"))["cells"]
    lines = [line for cell in cells if cell["cell_type"] == "code" for line in "".join(cell["source"]).splitlines()]
    strings = dict(re.findall(r'(\w+) = "([^"]*)"', "\n".join(lines)))
    known = {"sys.executable": "python", **strings}
    return [re.sub(r"\{([\w.]+)\}", lambda field: known[field[1]], line[1:]) for line in lines if line.startswith("!")]


def command_lines(name):
    lines = notebook_lines() if name == NOTEBOOK else "\n".join(fenced(name, "bash")).splitlines()
    return [command.strip() for line in lines for command in line.split("#")[0].split("&&") if command.strip()]


COMMANDS = sorted({(name, line) for name in {*DOCUMENTS, NOTEBOOK} - WITH_VARIABLES for line in command_lines(name)})


@pytest.mark.parametrize(("name", "line"), COMMANDS)
def test_commands_shown_are_understood(name, line, monkeypatch):
    monkeypatch.chdir(ROOT)
    program, *arguments = shlex.split(line)
    for file in re.findall(r"(?:requirements|configs/)[\w-]*\.\w+", line):
        assert (ROOT / file).is_file()
    if program != "python" or arguments[:2] in (["-m", "pytest"], ["-m", "pip"]):
        assert program in ("python", "pip", "visualdl", "awk", "curl", "ruff", ".ci/run"), (
            f"{name} shows a command of another kind: {line}"
        )
        return
    if arguments[:2] == ["-m", "paddle.distributed.launch"]:
        arguments = arguments[arguments.index("train.py") :]
    if arguments[0] == "-m":
        parse = importlib.import_module(arguments.pop(1)).build_parser().parse_args
    else:
        parse = SCRIPTS[arguments[0]]
    assert isinstance(parse(arguments[1:]), (argparse.Namespace, tuple))


def headings(path):
    """The names by which a document's headings can be linked to."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    """To a file or folder that is there, and to a heading that it has."""
    wrong = []
    for link, heading in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", read(name)):
        target = (ROOT / name).parent / link if link else ROOT / name
        if not target.exists() or (heading and heading not in headings(target)):
            wrong.append(f"{link}#{heading}")
    assert not wrong


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert f'\nversion = "{citation["version"]}"\n' in (ROOT / "pyproject.toml").read_text()


def test_both_readmes_show_the_same_commands():
    english, chinese = ([line for name, line in COMMANDS if name == readme] for readme in ("README.md", "README_CN.md"))
    assert english == chinese


def test_overview_names_every_file_and_no_other():
    named = set(re.findall(r"^\| (.*?) \|", read("docs/overview.md"), flags=re.MULTILINE))
    named = {file for cell in named for file in re.findall(r"`([^`]+)`", cell)}
    packages = [init.parent for init in ROOT.glob("*/__init__.py")]
    sources = [
        *ROOT.glob("*.py"),
        *ROOT.glob("configs/**/*.yaml"),
        *(file for folder in packages for file in folder.rglob("*.py")),
    ]
    assert {file.relative_to(ROOT).as_posix() for file in sources} - named == set()
    assert [file for file in named if not (ROOT / file).exists()] == []


def test_python_in_the_readme_runs():
    """In a process of its own, as a reader would run it."""
    [source] = fenced("README.md", "python")
    assert [source] == fenced("README_CN.md", "python")
    source += "\nassert filled.shape == picture.shape and (filled[~hole] == picture[~hole]).all()"
    done = subprocess.run([sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
