from __future__ import annotations

import pytest

from dtp_scvi.cli._outputs import new_file, new_folder


def names(folder):
    return sorted(item.name for item in folder.iterdir())


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_appears_with_all_it_holds(tmp_path, there):
    out = tmp_path / "out"
    if there:
        out.mkdir()
    with new_folder(out, overwrite=False, holds="a") as room:
        (room / "a").write_text("1")
        assert not (out / "a").exists()
    assert names(tmp_path) == ["out"]
    assert names(out) == ["a"]


def test_a_folder_that_fails_leaves_nothing(tmp_path):
    def fill():
        with new_folder(tmp_path / "out", overwrite=False, holds="a") as room:
            (room / "a").write_text("1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fill()
    assert names(tmp_path) == []


def make(out, *inside):
    out.mkdir()
    for name in inside:
        (out / name).write_text("old")


def enter(manager):
    with manager:
        pass


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    make(tmp_path / "out", "a")
    with pytest.raises(FileExistsError, match=r"new or empty; found a\. .*--overwrite"):
        enter(new_folder(tmp_path / "out", overwrite=False, holds="a"))


def test_overwrite_replaces_an_earlier_result_only(tmp_path):
    make(tmp_path / "result", "a", "b")
    make(tmp_path / "home", "thesis")
    with new_folder(tmp_path / "result", overwrite=True, holds="a") as room:
        (room / "a").write_text("new")
    assert names(tmp_path / "result") == ["a"]
    assert (tmp_path / "result" / "a").read_text() == "new"
    with pytest.raises(FileExistsError, match="found thesis, and no 'a'"):
        enter(new_folder(tmp_path / "home", overwrite=True, holds="a"))
    assert names(tmp_path) == ["home", "result"]


def test_overwrite_that_fails_keeps_the_earlier_result(tmp_path):
    make(tmp_path / "out", "a")

    def fill():
        with new_folder(tmp_path / "out", overwrite=True, holds="a"):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fill()
    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out" / "a").read_text() == "old"


def test_a_folder_can_not_take_the_place_of_a_file(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(
        FileExistsError, match="Expected the output to be a folder; found the file"
    ):
        enter(new_folder(tmp_path / "out", overwrite=True, holds="a"))


def test_a_file_appears_whole(tmp_path):
    out = tmp_path / "out.csv.gz"
    out.write_text("old")
    with new_file(out, (".csv", ".csv.gz")) as part:
        assert part.name.endswith(".csv.gz")
        part.write_text("new")
        assert out.read_text() == "old"
    assert out.read_text() == "new"
    assert names(tmp_path) == ["out.csv.gz"]


def test_a_file_that_fails_keeps_what_was_there(tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("old")

    def fill():
        with new_file(out, (".csv",)) as part:
            part.write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fill()
    assert out.read_text() == "old"
    assert names(tmp_path) == ["out.csv"]


def test_endings_are_checked(tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.h5ad or \.csv; found out\.txt"):
        enter(new_file(tmp_path / "out.txt", (".h5ad", ".csv")))


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(IsADirectoryError, match="to be a file; found the folder"):
        enter(new_file(tmp_path / "out.csv", (".csv",)))


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_the_parent_has_to_be_a_folder(tmp_path, kind):
    if kind == "file":
        (tmp_path / "x").write_text("")
    with pytest.raises(
        NotADirectoryError, match=f"found {'the file' if kind == 'file' else 'no'}"
    ):
        enter(new_file(tmp_path / "x" / "out.csv", (".csv",)))
    with pytest.raises(NotADirectoryError, match="Create the folder first"):
        enter(new_folder(tmp_path / "x" / "out", overwrite=False, holds="a"))


def test_a_place_without_permission_is_named(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    # Permissions do not bind the superuser, under whom tests may run.
    monkeypatch.setattr("pathlib.Path.touch", refuse)
    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    for manager in (
        new_file(tmp_path / "out.csv", (".csv",)),
        new_folder(tmp_path / "out", overwrite=False, holds="a"),
    ):
        with pytest.raises(
            PermissionError, match=r"allowed to write to .*; found Permission denied"
        ):
            enter(manager)
