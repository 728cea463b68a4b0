"""Rules of the house that no linter knows: what an import costs and who may import what."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

import dtp_scvi

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "dtp_scvi"
FILES = sorted(SOURCE.rglob("*.py"))
HEAVY = ("torch", "scvi", "lightning", "anndata", "scanpy", "sklearn", "matplotlib")

# What the functions of a folder take first.
FIRST = {
    "tl": {"adata"},
    "pl": {"adata", "data", "table"},  # an AnnData, what a tool stored in it, or a history
}
NOT_ADATA_FIRST = {
    "embedding_vs_network",  # takes a model or a table of gene vectors
    "gene_map",  # as well
    "compare_attributions",  # takes several results
    "compare_transfer",  # takes the lines, then the cells
    "attribution_stability",  # takes the model class, then adata
    "cross_validate",  # takes the model class, then adata
    "evaluate_perturbation",  # takes models or predictions, then adata
    "essentiality",  # takes the genes, then the screen
    "permutation_control",  # likewise
    "over_representation",  # takes a list of genes
}


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


def imported_modules(file: Path) -> set[str]:
    """Every module that ``file`` imports, also inside functions and for type checking."""
    names = set()
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_source_is_found():
    assert SOURCE / "__init__.py" in FILES
    assert (SOURCE / "py.typed").is_file()


def test_import_is_light():
    code = (
        "import sys, time; start = time.perf_counter(); import dtp_scvi; "
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]; "
        "print(time.perf_counter() - start, *loaded)"
    )
    answers = [run_python(code).split() for _ in range(3)]
    assert {tuple(loaded) for _, *loaded in answers} == {()}
    # The fastest of three: the other ones may have waited for a core.
    assert min(float(seconds) for seconds, *_ in answers) < 0.3


def test_lower_layers_load_neither_torch_nor_scvi():
    code = (
        "import sys, dtp_scvi\n"
        "for name in ('data', 'stats', 'datasets', 'pp'):\n"
        "    getattr(dtp_scvi, name).__all__\n"
        "    print(name, *[n for n in ('torch', 'scvi', 'lightning') if n in sys.modules])\n"
    )
    # What one folder loads stays for the next, so the first line that is longer names it.
    assert run_python(code).splitlines() == ["data", "stats", "datasets", "pp"]


def test_lazy_names_are_listed_and_real():
    assert set(dtp_scvi.__all__) <= set(dir(dtp_scvi))
    for name in dtp_scvi.__all__:
        assert getattr(dtp_scvi, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        dtp_scvi.no_such_name  # noqa: B018


@pytest.mark.parametrize("name", ["module", "nn", "train"])
def test_an_inner_folder_exports_what_it_has(name):
    module = importlib.import_module(f"dtp_scvi.{name}")
    assert len(set(module.__all__)) == len(module.__all__)
    assert [public for public in module.__all__ if not hasattr(module, public)] == []


@pytest.mark.parametrize("name", ["data", "datasets", "hub", "model", "pl", "pp", "stats", "tl"])
def test_all_names_what_a_folder_exports(name):
    module = importlib.import_module(f"dtp_scvi.{name}")
    assert module.__doc__
    assert len(set(module.__all__)) == len(module.__all__)
    for public in module.__all__:
        defined_in = getattr(getattr(module, public), "__module__", module.__name__)
        assert defined_in.startswith("dtp_scvi."), f"{public} comes from {defined_in}"


@pytest.mark.parametrize(
    ("folder", "banned"),
    [
        ("stats", {"anndata", "mudata", "scanpy", "scvi", "torch", "lightning"}),
        ("data", {"scvi", "torch", "lightning"}),
        ("datasets", {"scvi", "torch", "lightning"}),
        ("pp", {"scvi", "torch", "lightning"}),
        ("nn", {"anndata", "mudata", "scanpy", "scvi", "lightning"}),
        ("pl", {"scvi", "torch", "lightning", "sklearn"}),
    ],
)
def test_folder_does_without(folder, banned):
    files = [file for file in FILES if SOURCE / folder in file.parents]
    assert files
    found = {
        str(file.relative_to(SOURCE)): sorted(hits)
        for file in files
        if (hits := {name.split(".")[0] for name in imported_modules(file)} & banned)
    }
    assert found == {}


@cache
def private_names_of_scvi() -> frozenset[str]:
    """Names with one leading underscore on the classes of scvi-tools that we build on."""
    from scvi.data import AnnDataManager
    from scvi.model.base import BaseModelClass

    names = {name for cls in (AnnDataManager, BaseModelClass) for name in vars(cls)}
    return frozenset(name for name in names if re.match(r"_(?!_)", name))


def test_private_scvi_names_stay_in_one_file():
    private = private_names_of_scvi()
    assert "_validate_anndata" in private
    found = []
    for file in FILES:
        if file.name == "_scvi.py":
            continue
        where = file.relative_to(SOURCE)
        found += [
            f"{where}: imports {name}"
            for name in imported_modules(file)
            if name.startswith("scvi.") and any(part.startswith("_") for part in name.split("."))
        ]
        # A name that the class itself defines is an override, not a use.
        ours = {node.name for node in ast.walk(tree(file)) if isinstance(node, ast.FunctionDef)}
        found += [
            f"{where}:{node.lineno}: uses .{node.attr}"
            for node in ast.walk(tree(file))
            if isinstance(node, ast.Attribute) and node.attr in private - ours
        ]
    assert found == []


@pytest.mark.parametrize("folder", ["tl", "pl"])
def test_functions_take_adata_first_and_few_positional(folder):
    module = importlib.import_module(f"dtp_scvi.{folder}")
    functions = {name: getattr(module, name) for name in module.__all__}
    functions = {name: f for name, f in functions.items() if inspect.isfunction(f)}
    assert functions
    wrong = []
    for name, function in functions.items():
        parameters = list(inspect.signature(function).parameters.values())
        positional = [p for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        if len(positional) > 3:
            wrong.append(f"{name}: {len(positional)} positional parameters")
        if parameters[0].name not in FIRST[folder] and name not in NOT_ADATA_FIRST:
            wrong.append(f"{name}: starts with {parameters[0].name}")
    assert wrong == []


def requirement_names(lines: list[str]) -> set[str]:
    return {re.match(r"[\w.-]+", line)[0].lower().replace("_", "-") for line in lines}


def test_what_is_imported_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = requirement_names(project["dependencies"])
    distribution = {"scvi": "scvi-tools", "sklearn": "scikit-learn", "lazy_loader": "lazy-loader"}
    # What scvi-tools and anndata cannot be installed without.
    carried = {"h5py", "lightning", "torchmetrics"}
    found = {
        name.split(".")[0]: str(file.relative_to(SOURCE))
        for file in FILES
        for name in imported_modules(file)
    }
    foreign = set(found) - set(sys.stdlib_module_names) - {"dtp_scvi"}
    missing = {
        name: found[name]
        for name in foreign - carried
        if distribution.get(name, name).lower() not in declared
    }
    assert missing == {}


def test_extras_that_are_asked_for_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {
        node.args[1].value
        for file in FILES
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "require"
        and len(node.args) == 2
        and isinstance(node.args[1], ast.Constant)
    }
    assert asked <= set(project["optional-dependencies"])


def test_version_is_the_installed_and_the_released_one():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## {dtp_scvi.__version__}" in changelog
    assert re.search(rf"^version: {re.escape(dtp_scvi.__version__)}$", citation, re.MULTILINE)
