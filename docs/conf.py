"""Sphinx settings. The build needs no network: no inventory is fetched unless on Read the Docs."""

from __future__ import annotations

import importlib
import inspect
import os

import dtp_scvi

project = "dtp_scvi"
author = "The dtp_scvi developers"
copyright = f"2026, {author}"
version = release = dtp_scvi.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]
templates_path = ["_templates"]
# The function that the class template calls, at the end of this file, can't be cached.
suppress_warnings = ["config.cache"]

html_theme = "sphinx_book_theme"
html_title = "dtp_scvi"
html_theme_options = {"show_toc_level": 2, "home_page_in_toc": True}
html_show_sphinx = False

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath", "html_image"]
myst_heading_anchors = 3
# tests/test_tutorials.py runs the notebooks; the build only shows them.
nb_execution_mode = "off"
nb_number_source_lines = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_typehints_format = "short"
napoleon_google_docstring = False
napoleon_include_init_with_doc = False
napoleon_use_rtype = False
napoleon_use_ivar = True

intersphinx_mapping = {
    name: (f"https://{host}/", None)
    for name, host in {
        "anndata": "anndata.readthedocs.io/en/stable",
        "mudata": "mudata.readthedocs.io/en/latest",
        "numpy": "numpy.org/doc/stable",
        "pandas": "pandas.pydata.org/pandas-docs/stable",
        "python": "docs.python.org/3",
        "scanpy": "scanpy.readthedocs.io/en/stable",
        "scipy": "docs.scipy.org/doc/scipy",
        "scvi-tools": "docs.scvi-tools.org/en/stable",
        "sklearn": "scikit-learn.org/stable",
    }.items()
    if os.environ.get("READTHEDOCS")
}

# A broken link to a name of this package stops the build; names of other libraries resolve only
# where their inventories can be fetched.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!dtp_scvi\b).*"),
    # Base classes that users never name.
    (r"py:class", r"dtp_scvi\.model\._\w+\.\w+"),
]


def own_members(fullname: str) -> dict[str, list[str]]:
    """Return the public methods and properties that dtp_scvi, not scvi-tools, defines for a class."""
    module, _, name = fullname.rpartition(".")
    cls = getattr(importlib.import_module(module), name)
    found: dict[str, list[str]] = {"methods": [], "properties": []}
    for member in dir(cls):
        owner = next((base for base in cls.__mro__ if member in vars(base)), None)
        if member.startswith("_") or owner is None or not owner.__module__.startswith("dtp_scvi"):
            continue
        value = inspect.getattr_static(cls, member)
        if isinstance(value, property):
            found["properties"].append(member)
        elif inspect.isroutine(value) or isinstance(value, classmethod | staticmethod):
            found["methods"].append(member)
    return found


autosummary_context = {"own_members": own_members}
