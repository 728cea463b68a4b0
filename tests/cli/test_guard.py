from __future__ import annotations

import warnings

import pytest
import typer
from typer.testing import CliRunner

from dtp_scvi._validate import check_key
from dtp_scvi.cli._guard import guard, one_line


def command(error: BaseException | None = None, text: str = "") -> typer.Typer:
    app = typer.Typer()

    @app.command()
    def run(ctx: typer.Context, *, layer: str = "", scale: str = "", debug: bool = False) -> None:
        with guard(ctx, debug=debug):
            if text:
                warnings.warn(text, stacklevel=1)
            if error is not None:
                raise error

    return app


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a b"),
        TypeError("a b"),
        KeyError("a b"),
        OSError("a b"),
        RuntimeError("a b"),
        ImportError("a b"),
    ],
)
def test_expected_errors_are_one_line_and_exit_code_2(error):
    done = CliRunner().invoke(command(error), [])
    assert done.exit_code == 2
    assert done.output == "error: a b\n"


def test_debug_lets_the_error_through():
    done = CliRunner().invoke(command(ValueError("a b")), ["--debug"])
    assert isinstance(done.exception, ValueError)
    assert "error:" not in done.output


def test_a_defect_keeps_its_traceback():
    done = CliRunner().invoke(command(AttributeError("a b")), [])
    assert isinstance(done.exception, AttributeError)


@pytest.mark.parametrize(("error", "code"), [(typer.Exit(5), 5), (typer.Abort(), 1), (None, 0)])
def test_exit_codes_of_typer_are_left_alone(error, code):
    assert CliRunner().invoke(command(error), []).exit_code == code


@pytest.mark.parametrize(("code", "expected"), [(None, 143), (0, 143), (3, 3)])
def test_a_signal_is_no_success(code, expected):
    # Lightning raises SystemExit without a code on SIGTERM.
    done = CliRunner().invoke(command(SystemExit(code)), [])
    assert done.exit_code == expected
    assert ("Stopped by a signal" in done.output) == (expected == 143)


def test_a_warning_is_one_line():
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        done = CliRunner().invoke(command(text="mind\n  this"), [])
    assert (done.exit_code, done.output) == (0, "warning: mind this\n")


def test_the_callers_warning_filters_come_back():
    shown = warnings.showwarning
    CliRunner().invoke(command(ValueError("a")), [])
    assert warnings.showwarning is shown


def test_arguments_become_options_where_the_command_has_them():
    with pytest.raises(KeyError) as raised:
        check_key({"state": 0}, "stat", "adata.obs", "labels_key")
    text = one_line(raised.value, {"labels_key"})
    assert text.startswith("Expected --labels-key to name a key of adata.obs; found 'stat'.")
    assert "`labels_key`" in one_line(raised.value, {"layer"})


def test_renamed_arguments_and_assignments_become_options():
    found = one_line(
        ValueError("`n_folds` too high. Pass positive='a', n=3."), {"folds", "positive"}
    )
    assert found == "--folds too high. Pass --positive 'a', n=3."


@pytest.mark.parametrize("end", [", for example:", ":"])
def test_python_lines_give_way_to_options(end):
    error = ValueError(f'Pass the counts{end}\n...setup_anndata(adata, layer="counts")')
    assert one_line(error, {"layer", "scale"}) == "Pass the counts. Options: --layer, --scale."
    assert one_line(error) == "Pass the counts."


def test_other_lines_are_joined():
    assert one_line(ValueError("a\n   b")) == "a b"


def test_an_error_without_text_is_named():
    assert one_line(RuntimeError()) == "RuntimeError"
    assert one_line(MemoryError()) == "Out of memory."
