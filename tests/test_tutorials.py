"""Tutorials run from their first cell to their last, in small; pages agree with the code."""

from __future__ import annotations

import re
import shlex
import textwrap
from pathlib import Path

import pytest
import typer

from dtp_scvi.cli import app

ROOT = Path(__file__).resolve().parents[1]
TUTORIALS = ROOT / "docs" / "tutorials"
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted((ROOT / "docs" / "user_guide").glob("*.md"))

# What stands in for the cell tagged "sizes", so that a run fits into a test.
SMALL = {
    "score_quickstart": (
        "n_cells, n_genes, n_donors = 600, 500, 6\nn_panel, max_epochs, n_folds = 100, 3, 2\n"
    ),
    "cohort": "n_cells, n_patients, n_resamples = 800, 80, 50\n",
    "drug_transfer": ("n_lines, n_cells, n_genes = 100, 120, 60\nmax_epochs, n_boot = 20, 20\n"),
    "leaks": ("n_patients, n_epochs, n_permutations, n_boot = (28, 51, 7, 121), 1, 2, 20\n"),
    "mechanism": (
        "n_cells, n_genes, n_donors, max_epochs = 900, 300, 6, 2\n"
        "n_rows, n_patients, n_resamples, n_shuffles = 60, 40, 50, 2\n"
    ),
    "perturbation": "n_drugs, n_genes, n_epochs, n_boot = 20, 30, 1, 10\n",
    "trust": (
        "n_cells, n_genes, n_donors = 900, 300, 12\nn_panel, max_epochs, n_folds = 100, 2, 2\n"
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
# What one of them is about.
@pytest.mark.filterwarnings("ignore:The metrics are optimistic", "ignore:.*rows do not sum to 1")
@pytest.mark.parametrize("name", tutorials())
def test_tutorial_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (TUTORIALS / f"{name}.md").read_text(encoding="utf-8")
    namespace = {"__name__": "__main__"}
    for number, (tags, source) in enumerate(code_cells(text), start=1):
        code = SMALL[name] if "sizes" in tags else source
        exec(compile(code, f"{name}, cell {number}", "exec"), namespace)


def fenced(page: Path, language: str) -> list[str]:
    """Blocks of a page in one language, a block inside a list included."""
    pattern = rf"^( *)```{language}\n(.*?)^\1```$"
    blocks = re.findall(pattern, page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(body) for _, body in blocks]


def shell_lines() -> list[tuple[str, str]]:
    """Calls of ``dtp`` on all pages, each with the name of its page."""
    return [
        (page.name, call[call.index("dtp ") :])
        for page in PAGES
        for block in fenced(page, "bash")
        for line in block.splitlines()
        for call in line.split("&&")
        if call.strip().startswith("dtp ")
    ]


def commands() -> dict[str, typer.core.TyperCommand]:
    return typer.main.get_command(app).commands


def test_pages_show_every_command():
    assert {shlex.split(line, comments=True)[1] for _, line in shell_lines()} == set(commands())


@pytest.mark.parametrize(("page", "line"), shell_lines())
def test_shell_lines_are_understood(page, line):
    _, name, *arguments = shlex.split(line, comments=True)
    # Parsing alone: an unknown or a missing option is an error, the command does not run.
    context = commands()[name].make_context(name, arguments)
    assert not context.args


def test_command_line_page_names_every_option():
    text = (ROOT / "docs" / "user_guide" / "cli.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
    options = {
        option
        for command in commands().values()
        for param in command.params
        for option in (*param.opts, *param.secondary_opts)
        if option.startswith("--")
    }
    assert named - {"--help", "--version"} == options - {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_are_python(page):
    for number, block in enumerate(fenced(page, "python"), start=1):
        compile(block, f"{page.name}, block {number}", "exec")


def test_readme_commands_are_one_line_each():
    first, second, *_ = fenced(ROOT / "README.md", "bash")
    assert first.count("\n") == second.count("\n") == 1
    assert first.endswith("dtp demo --out demo\n")
    assert second.endswith("pytest\n")
