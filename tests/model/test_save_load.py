"""A model directory holds all that scoring needs, nothing about cells, and no code."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

import dtp_scvi.model._bundle as bundle
from dtp_scvi.model import DTPStudent, DTPTransformer, load_model
from dtp_scvi.model._bundle import meta_hash

both = pytest.mark.parametrize("name", ["teacher", "student"])


@pytest.fixture
def model(name, request):
    return request.getfixturevalue(name)


@pytest.fixture
def saved(teacher, tmp_path):
    teacher.save(tmp_path / "model")
    return tmp_path / "model"


def strict(text):
    def refuse(value):
        msg = f"{value} is no JSON"
        raise ValueError(msg)

    return json.loads(text, parse_constant=refuse)


@both
def test_round_trip(model, query, tmp_path):
    model.save(tmp_path / "m")
    for found in (type(model).load(tmp_path / "m"), load_model(str(tmp_path / "m"))):
        assert type(found) is type(model)
        pd.testing.assert_frame_equal(found.predict_logits(query), model.predict_logits(query))
        np.testing.assert_array_equal(found.genes_, model.genes_)
        np.testing.assert_array_equal(found.importance_, model.importance_)
        assert (found.classes_, found.positive_) == (model.classes_, model.positive_)
        assert (found.scale_, found.threshold_) == (model.scale_, model.threshold_)
        assert (found.seed_, found.id_) == (model.seed_, model.id_)
        pd.testing.assert_frame_equal(found.history_table_, model.history_table_)


def test_what_belongs_to_one_class(teacher, student, tmp_path):
    teacher.save(tmp_path / "t")
    student.save(tmp_path / "s")
    found = load_model(tmp_path / "t")
    assert found.program_names_ == teacher.program_names_
    assert found.protocol_ == teacher.protocol_
    found = load_model(tmp_path / "s")
    pd.testing.assert_frame_equal(found.panel_, student.panel_)
    assert found.fidelity_ == student.fidelity_
    assert found.stability_ == student.stability_
    assert found.teacher_id_ == teacher.id_


@both
def test_a_loaded_model_saves_itself_unchanged(model, query, tmp_path):
    model.save(tmp_path / "a")
    load_model(tmp_path / "a").save(tmp_path / "b")
    for file in ("model.json", "model.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_fresh_process_has_the_classes_at_the_top_and_gives_the_same_scores(
    student, query, tmp_path
):
    student.save(tmp_path / "m")
    query.write_h5ad(tmp_path / "query.h5ad")
    code = (
        # Before anything else has loaded the model folder.
        "from dtp_scvi import DTPStudent, DTPTransformer\n"
        "import sys, anndata, dtp_scvi\n"
        "assert DTPStudent is dtp_scvi.model.DTPStudent\n"
        "assert DTPTransformer is dtp_scvi.model.DTPTransformer\n"
        "model = dtp_scvi.model.load_model(sys.argv[1])\n"
        "found = model.predict_logits(anndata.read_h5ad(sys.argv[2]))\n"
        "found.to_csv(sys.argv[3])\n"
    )
    paths = [str(tmp_path / name) for name in ("m", "query.h5ad", "out.csv")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code, *paths], check=True, env=environment)
    found = pd.read_csv(tmp_path / "out.csv", index_col=0)
    np.testing.assert_allclose(found, student.predict_logits(query), rtol=1e-9)


@both
def test_the_directory_holds_plain_files(model, tmp_path):
    model.save(tmp_path / "m")
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == [
        "card.json",
        "card.md",
        "model.json",
        "model.safetensors",
    ]
    meta = strict((tmp_path / "m" / "model.json").read_text())
    assert meta["format"] == 1
    assert meta["class"] == type(model).__name__
    assert "research use only" in meta["research_use"].lower()
    assert set(meta["versions"]) == {"dtp_scvi", "scvi-tools", "torch", "python"}
    for file in (tmp_path / "m").iterdir():
        # Protocol 2 and later start with this opcode, zip archives of torch with PK.
        assert file.read_bytes()[:1] != b"\x80"
        assert file.read_bytes()[:2] != b"PK"
    assert (tmp_path / "m").stat().st_mode & 0o777 == 0o755


@both
def test_no_cell_and_no_donor_is_saved(model, cells, tmp_path):
    model.save(tmp_path / "m")
    text = b"".join(p.read_bytes() for p in (tmp_path / "m").iterdir())
    for name in [*cells.obs_names, *cells.obs["donor"].astype(str).unique()]:
        assert name.encode() not in text


def test_load_with_training_data_goes_on(saved, cells, query, teacher):
    adata = cells.copy()
    model = DTPTransformer.load(saved, adata)
    pd.testing.assert_frame_equal(model.predict_logits(query), teacher.predict_logits(query))
    student = model.distill(n_genes=30, max_epochs=1, mixtures=0, verbose=False)
    assert len(student.genes_) == 30
    model.train(max_epochs=1, verbose=False)
    assert model.history_table_["epoch"].max() == 0


def test_other_training_data_are_refused(saved, cells):
    shuffled = cells[:, ::-1].copy()
    with pytest.raises(ValueError, match="the same genes in another order"):
        DTPTransformer.load(saved, shuffled)
    with pytest.raises(ValueError, match="299 other genes"):
        DTPTransformer.load(saved, cells[:, 1:].copy())
    relabelled = cells.copy()
    relabelled.obs["state"] = np.where(
        relabelled.obs["state"] == "sensitive", "zensitive", "drug_tolerant"
    )
    before = relabelled.obs.copy()
    with pytest.raises(ValueError, match=r"the classes drug_tolerant, sensitive.*zensitive"):
        DTPTransformer.load(saved, relabelled)
    pd.testing.assert_frame_equal(relabelled.obs, before)
    with pytest.raises(KeyError, match=r"`donor_key` to name a key of adata.obs"):
        DTPTransformer.load(saved, ad.AnnData(cells.X, var=cells.var))


def test_an_untrained_model_is_not_saved(cells, tmp_path):
    with pytest.raises(RuntimeError, match=r"Run train\(\) first"):
        DTPTransformer(cells).save(tmp_path / "m")
    assert not any(tmp_path.iterdir())


def test_overwrite(saved, teacher, student):
    before = {p.name: p.read_bytes() for p in saved.iterdir()}
    with pytest.raises(FileExistsError, match="overwrite=True"):
        student.save(saved)
    assert {p.name: p.read_bytes() for p in saved.iterdir()} == before
    student.save(saved, overwrite=True)
    assert isinstance(load_model(saved), DTPStudent)
    assert [p.name for p in saved.parent.iterdir()] == ["model"]


def test_overwrite_deletes_nothing_but_a_model(saved, student):
    (saved / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"1 other names \(notes.txt\)"):
        student.save(saved, overwrite=True)
    assert (saved / "notes.txt").read_text() == "mine"
    assert isinstance(load_model(saved), DTPTransformer)


def test_new_parents_and_existing_empty_directories(teacher, tmp_path):
    teacher.save(tmp_path / "a" / "b")
    assert isinstance(load_model(tmp_path / "a" / "b"), DTPTransformer)
    (tmp_path / "empty").mkdir()
    teacher.save(tmp_path / "empty", overwrite=True)
    assert isinstance(load_model(tmp_path / "empty"), DTPTransformer)


def test_a_file_is_in_the_way(teacher, tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(FileExistsError, match="found the file"):
        teacher.save(file, overwrite=True)
    with pytest.raises(NotADirectoryError, match="a directory at"):
        teacher.save(file / "m")
    assert file.read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_directory_that_may_not_be_written(teacher, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    with pytest.raises(PermissionError, match="to be allowed to write"):
        teacher.save(closed / "m")


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("step", ["weights", "json"])
def test_a_failed_save_leaves_nothing(teacher, student, tmp_path, monkeypatch, exists, step):
    if exists:
        student.save(tmp_path / "m")
    before = {str(p): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    def fail(*args, **kwargs):
        msg = "disk full"
        raise OSError(msg)

    if step == "weights":
        monkeypatch.setattr(bundle, "save_file", fail)
    else:
        monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(OSError, match="disk full"):
        teacher.save(tmp_path / "m", overwrite=True)
    assert {str(p): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == (["m"] if exists else [])


def test_the_old_model_comes_back_when_the_last_step_fails(
    teacher, student, tmp_path, monkeypatch
):
    student.save(tmp_path / "m")
    replace = Path.replace

    def fail(self, target):
        meta = self / "model.json"
        coming = Path(target) == tmp_path / "m" and meta.exists()
        if coming and "DTPTransformer" in meta.read_text():
            msg = "no"
            raise OSError(msg)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no"):
        teacher.save(tmp_path / "m", overwrite=True)
    assert isinstance(load_model(tmp_path / "m"), DTPStudent)
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def flip_weights(path):
    data = bytearray(path.read_bytes())
    data[-8] ^= 0xFF
    path.write_bytes(bytes(data))


def flip_header(path):
    data = bytearray(path.read_bytes())
    data[9] ^= 0xFF
    path.write_bytes(bytes(data))


def other_weights(path):
    state = load_file(path)
    state["linear_bias"] = state["linear_bias"] + 1
    save_file(state, path)


@pytest.mark.parametrize("harm", [truncate, empty, flip_weights, flip_header, other_weights])
def test_damaged_weights(saved, harm):
    harm(saved / "model.safetensors")
    with pytest.raises(ValueError, match=r"a damaged file|another checksum"):
        DTPTransformer.load(saved)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", "a damaged file"),
        ("", "a damaged file"),
        ("[1]", "found 'list'"),
        ('{"format": 2}', "Expected format 1.*found 2. Update dtp_scvi"),
        ('{"class": "DTPTransformer"}', "Expected format 1.*found None"),
        ('{"format": 1, "class": "DTPTransformer"}', "registry.*an incomplete file"),
    ],
)
def test_damaged_json(saved, text, match):
    (saved / "model.json").write_text(text)
    with pytest.raises(ValueError, match=match):
        load_model(saved)


def test_bytes_that_are_no_text(saved):
    (saved / "model.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="a damaged file"):
        load_model(saved)


def changed(saved, *, signed, **values):
    meta = json.loads((saved / "model.json").read_text()) | values
    if signed:
        meta["sha256_meta"] = meta_hash(meta)
    (saved / "model.json").write_text(json.dumps(meta))


def test_a_changed_number_is_found(saved):
    changed(saved, signed=False, seed=7)
    with pytest.raises(ValueError, match=r"as it was written; found another checksum"):
        load_model(saved)


def test_other_classes(saved):
    with pytest.raises(ValueError, match=r"a DTPStudent in .* found a DTPTransformer"):
        DTPStudent.load(saved)
    changed(saved, signed=True, **{"class": "os.system"})
    with pytest.raises(ValueError, match=r"found 'os.system'"):
        load_model(saved)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_missing_file(saved, name):
    (saved / name).unlink()
    with pytest.raises(
        ValueError, match=r"model.safetensors and model.json in .*; found card\.json, "
    ):
        load_model(saved)


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a model directory.*nothing at"):
        load_model(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="found an empty directory"):
        load_model(tmp_path / "empty")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="found a file"):
        load_model(tmp_path / "file")


class Malice:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


@pytest.mark.parametrize("name", ["model.pt", "attr.pkl", "model.safetensors", "model.json"])
def test_a_pickle_is_never_opened(saved, query, tmp_path, name):
    target = tmp_path / "opened"
    (saved / name).write_bytes(pickle.dumps(Malice(target)))
    if name in ("model.pt", "attr.pkl"):
        load_model(saved).predict_logits(query)
    else:
        with pytest.raises(ValueError, match="a damaged file"):
            load_model(saved)
    assert not target.exists()
    pickle.loads((saved / name).read_bytes())  # The trap works.
    assert target.exists()
