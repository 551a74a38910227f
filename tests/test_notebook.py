"""The notebook is valid and clean, and its links lead somewhere.

Its commands are parsed in tests/test_docs.py; .ci/run executes it.
"""

import re
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = nbformat.read(ROOT / "notebooks/aistudio.ipynb", as_version=4)
CODE = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code"]
TEXT = [cell.source for cell in NOTEBOOK.cells if cell.cell_type == "markdown"]


def test_it_is_a_valid_notebook():
    nbformat.validate(NOTEBOOK)


def test_no_outputs_are_stored():
    assert [cell.source for cell in CODE if cell.outputs or cell.execution_count is not None] == []


def test_no_path_of_a_machine_but_ai_studios():
    places = re.findall(r"(?<![\w.}\"*])(?:/[a-z]\w*){2,}", "\n".join(cell.source for cell in NOTEBOOK.cells))
    assert [place for place in places if not place.startswith("/home/aistudio/")] == []


def test_links_lead_somewhere():
    links = [link for text in TEXT for link in re.findall(r"\]\((?!https?:)([^)#]+)", text)]
    assert links
    assert [link for link in links if not (ROOT / "notebooks" / link).exists()] == []
