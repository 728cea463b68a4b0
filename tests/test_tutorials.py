"""Every tutorial runs from its first cell to its last, in small."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TUTORIALS = Path(__file__).resolve().parents[1] / "docs" / "tutorials"
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# What stands in for the cell tagged "sizes", so that a run fits into a test.
SMALL = {
    "score_quickstart": (
        "n_cells, n_genes, n_donors = 600, 500, 6\nn_panel, max_epochs, n_folds = 100, 3, 2\n"
    ),
}


def code_cells(text: str) -> list[tuple[list[str], str]]:
    """Tags and source of each code cell of a MyST notebook."""
    cells = []
    for body in CELL.findall(text):
        options, source = [], body
        while (line := re.match(r":(\w+): ?(.*)\n", source)) is not None:
            options += re.findall(r"\w+", line[2]) if line[1] == "tags" else []
            source = source[line.end() :]
        cells.append((options, source))
    return cells


def tutorials() -> list[str]:
    return sorted(file.stem for file in TUTORIALS.glob("*.md") if file.stem != "index")


def test_every_tutorial_has_small_sizes():
    assert tutorials() == sorted(SMALL)
    for name in tutorials():
        cells = code_cells((TUTORIALS / f"{name}.md").read_text(encoding="utf-8"))
        (sizes,) = [source for tags, source in cells if "sizes" in tags]
        assigned = re.findall(r"\w+(?=[^=\n]*=)", sizes)
        assert assigned == re.findall(r"\w+(?=[^=\n]*=)", SMALL[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", tutorials())
def test_tutorial_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (TUTORIALS / f"{name}.md").read_text(encoding="utf-8")
    namespace = {"__name__": "__main__"}
    for number, (tags, source) in enumerate(code_cells(text), start=1):
        code = SMALL[name] if "sizes" in tags else source
        exec(compile(code, f"{name}, cell {number}", "exec"), namespace)
