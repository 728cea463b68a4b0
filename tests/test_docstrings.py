"""Guards over the public docstrings: complete, rendered, and their examples run."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from enum import Enum
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from dtp_scvi._docs import docs

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ["data", "datasets", "hub", "model", "pl", "pp", "stats", "tl"]
FIRST_LINE = 88
EXAMPLES = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def public_objects() -> list[tuple[str, object]]:
    """Functions and classes in the ``__all__`` of the public folders, with their own methods."""
    found = []
    for folder in FOLDERS:
        module = importlib.import_module(f"dtp_scvi.{folder}")
        for name in getattr(module, "__all__", ()):
            item = getattr(module, name)
            if not callable(item):
                continue
            found.append((f"{folder}.{name}", item))
            if inspect.isclass(item):
                found += [(f"{folder}.{name}.{method}", f) for method, f in own_methods(item)]
    return found


def own_methods(cls: type) -> list[tuple[str, object]]:
    """Public methods of ``cls`` that this package defines, inherited ones included."""
    methods = inspect.getmembers(cls, lambda m: inspect.isfunction(m) or inspect.ismethod(m))
    return [
        (name, method)
        for name, method in methods
        if not name.startswith("_") and method.__module__.startswith("dtp_scvi")
    ]


OBJECTS = public_objects()
IDS = [name for name, _ in OBJECTS]
every_public_object = pytest.mark.parametrize(("name", "item"), OBJECTS, ids=IDS)


def section(text: str, title: str) -> str:
    """Body of a numpydoc section, or nothing."""
    pattern = rf"^{title}\n-{{{len(title)}}}\n(.*?)(?=^\S[^\n]*\n-{{3,}}$|\Z)"
    match = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    return match[1] if match else ""


def documented_parameters(text: str) -> set[str]:
    """Names at the left margin of the parameter sections; one line may hold several."""
    body = section(text, "Parameters") + section(text, "Other Parameters")
    if not body:
        body = section(text, "Attributes")
    lines = [line.split(" : ")[0] for line in body.splitlines() if re.match(r"\S", line)]
    return {name.strip().lstrip("*") for line in lines for name in line.split(",")}


def parameters_of(item: object) -> set[str]:
    if inspect.isclass(item) and (issubclass(item, Enum) or item.__init__ is object.__init__):
        return set()
    return set(inspect.signature(item).parameters) - {"self", "cls"}


def test_something_is_public():
    assert len(OBJECTS) > 10


@every_public_object
def test_shared_texts_are_rendered(name, item):
    assert not re.search(r"%\(\w+\)s", inspect.getdoc(item) or "")


@every_public_object
def test_first_line_is_short_and_a_sentence(name, item):
    doc = inspect.getdoc(item)
    assert doc, f"{name} has no docstring"
    first, *rest = doc.splitlines()
    assert 0 < len(first) <= FIRST_LINE
    assert not rest or rest[0] == "", f"{name}: the summary runs over its first line"
    assert first.endswith(".")


@every_public_object
def test_every_parameter_is_described(name, item):
    expected = parameters_of(item)
    assert expected <= documented_parameters(inspect.getdoc(item) or ""), name


@every_public_object
def test_no_parameter_is_described_that_is_gone(name, item):
    doc = inspect.getdoc(item) or ""
    if section(doc, "Parameters"):
        assert documented_parameters(doc) <= parameters_of(item), name


def with_examples() -> list[pytest.param]:
    """One case per public object whose docstring holds a ``>>>``."""
    finder, cases = doctest.DocTestFinder(recurse=False), []
    for name, item in OBJECTS:
        module = inspect.getmodule(item)
        tests = finder.find(item, name, module=False, globs=dict(vars(module)))
        cases += [pytest.param(test, id=name) for test in tests if test.examples]
    return cases


@pytest.mark.parametrize("test", with_examples())
def test_examples_run(test, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = []
    runner = doctest.DocTestRunner(optionflags=EXAMPLES)
    runner.run(test, out=report.append)
    plt.close("all")
    assert runner.failures == 0, "".join(report)


def test_api_page_lists_every_public_name():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\s*((?:\w+\.)+\w+)$", page, re.MULTILINE))
    public = {name for name in IDS if name.count(".") == 1}
    assert public <= listed, f"add to docs/api.md: {sorted(public - listed)}"
    assert listed <= set(IDS), f"docs/api.md lists what is gone: {sorted(listed - set(IDS))}"


def test_shared_text_fills_in_and_keeps_percent_signs():
    def function(adata):
        """Keep (5 %) of the rows.

        Parameters
        ----------
        %(adata)s
        """

    assert docs.dedent(function) is function
    assert "Keep (5 %) of" in function.__doc__
    assert documented_parameters(function.__doc__) == {"adata"}


def test_unknown_shared_text_is_an_error():
    def function():
        """Do nothing with %(adatta)s."""

    with pytest.raises(KeyError, match=r"found 'adatta'.*Did you mean adata"):
        docs.dedent(function)
