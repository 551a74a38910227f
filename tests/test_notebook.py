"""The notebook is clean, speaks both languages and defines nothing.

Its commands are parsed in tests/test_docs.py; .ci/run executes it.
"""

import ast
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = nbformat.read(ROOT / "notebooks/aistudio.ipynb", as_version=4)
CODE = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code"]
TEXT = [cell.source for cell in NOTEBOOK.cells if cell.cell_type == "markdown"]


def python_of(cell):
    """A code cell without its shell lines and magics."""
    return re.sub(r"^\s*[!%].*$", "", cell.source, flags=re.MULTILINE)


def test_it_is_a_valid_notebook():
    nbformat.validate(NOTEBOOK)


def test_no_outputs_are_stored():
    assert [cell.source for cell in CODE if cell.outputs or cell.execution_count is not None] == []


@pytest.mark.parametrize("cell", CODE, ids=lambda cell: cell.id)
def test_it_defines_nothing(cell):
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    assert [node for node in ast.walk(ast.parse(python_of(cell))) if isinstance(node, definitions)] == []


@pytest.mark.parametrize("text", TEXT, ids=lambda text: text.splitlines()[0])
def test_both_languages_stand_side_by_side(text):
    prose = re.sub(r"```.*?```|`.*?`|^#.*?$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert re.search(r"[\u4e00-\u9fff]{4}", prose)
    assert re.search(r"[a-z]{3,} [a-z]{2,} ", prose)


def test_no_path_of_a_machine_but_ai_studios():
    places = re.findall(r"(?<![\w.}\"*])(?:/[a-z]\w*){2,}", "\n".join(cell.source for cell in NOTEBOOK.cells))
    assert [place for place in places if not place.startswith("/home/aistudio/")] == []


def test_links_lead_somewhere():
    links = [link for text in TEXT for link in re.findall(r"\]\((?!https?:)([^)#]+)", text)]
    assert links
    assert [link for link in links if not (ROOT / "notebooks" / link).exists()] == []
