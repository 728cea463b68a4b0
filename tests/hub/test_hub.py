"""The bundled models are what the registry says, offline and small."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest

import dtp_scvi as dtp
from dtp_scvi.hub import _registry

NAMES = [
    "aml-venetoclax",
    "aml-cytarabine",
    "aml-midostaurin",
    "aml-quizartinib",
    "aml-sorafenib",
    "aml-dasatinib",
    "aml-trametinib",
    "aml-panobinostat",
    "aml-gilteritinib",
    "aml-tolerance",
]


def test_table_holds_all_models_with_their_worth():
    table = dtp.hub.available()
    assert table.index.tolist() == NAMES
    assert table["spearman"].between(table["spearman_low"], table["spearman_high"]).all()
    assert (table["n_training"] > 80).all()
    assert table["licence"].str.contains("CC-BY-4.0").all()
    assert (table["bytes"] < 1_000_000).all()


@pytest.mark.parametrize("name", NAMES)
def test_models_are_the_ones_of_the_registry(name, monkeypatch):
    monkeypatch.setattr(socket, "socket", None)  # offline
    model = dtp.hub.load(name)
    row = dtp.hub.available().loc[name]
    assert (model.name_, model.inputs_, model.target_) == (name, row["inputs"], row["target"])
    assert model.data_["n_rows"] == row["n_training"]
    assert model.evaluation_["spearman"]["value"] == row["spearman"]
    assert len(model.genes_) == 493
    assert not model.data_["simulated"]
    assert "10.1016/j.ccell.2022.07.002" in model.notes_["licence"]
    folder = _registry.MODELS / name
    assert sum(f.stat().st_size for f in folder.iterdir()) == row["bytes"]
    assert {f.name for f in folder.iterdir()} == {
        "model.safetensors",
        "model.json",
        "card.md",
        "card.json",
    }
    page = model.card_.to_markdown()
    assert page == (folder / "card.md").read_text()
    assert "plain ridge" in page
    assert max(a.shape[0] for a in model.fitted_.to_arrays().values()) == 493


def test_one_evaluation_feeds_cards_registry_and_docs():
    found = json.loads((_registry.MODELS / "evaluation.json").read_text())
    assert list(found) == NAMES
    page = Path(__file__).resolve().parents[2] / "docs" / "user_guide" / "bundled_models.md"
    lines = page.read_text(encoding="utf-8").splitlines()
    for name in NAMES:
        assert dtp.hub.load(name).evaluation_ == found[name]
        row = next(line for line in lines if line.startswith(f"| `{name}` |"))
        numbers = [float(n.replace("−", "-")) for n in re.findall(r"[-−]?\d+\.\d+", row)]
        told = [found[name]["spearman"], *found[name]["comparators"].values()]
        told.append(found[name]["minus_plain_ridge"])
        expected = [c[key] for c in told for key in ("value", "low", "high")]
        assert found[name]["interval"].startswith("BCa interval over 2,000 resamples")
        assert numbers == pytest.approx(expected, abs=0.0051)


def test_versions_and_near_names():
    assert dtp.hub.load("aml-venetoclax@1").name_ == "aml-venetoclax"
    with pytest.raises(ValueError, match="a version of aml-venetoclax that ships here; found '2'"):
        dtp.hub.load("aml-venetoclax@2")
    with pytest.raises(
        KeyError, match=r"the name of a bundled model.*Did you mean aml-venetoclax"
    ):
        dtp.hub.load("venetoclax")


def test_changed_files_are_refused(tmp_path, monkeypatch):
    shutil.copytree(_registry.MODELS, tmp_path / "models")
    monkeypatch.setattr(_registry, "MODELS", tmp_path / "models")
    dtp.hub.load("aml-cytarabine")
    weights = tmp_path / "models" / "aml-cytarabine" / "model.safetensors"
    other = tmp_path / "models" / "aml-venetoclax" / "model.safetensors"
    shutil.copy(other, weights)
    with pytest.raises(ValueError, match=r"the weights that model\.json was written with"):
        dtp.hub.load("aml-cytarabine")
    file = tmp_path / "models" / "aml-dasatinib" / "model.json"
    file.write_text(file.read_text().replace("aml-dasatinib", "aml-desatinib"))
    with pytest.raises(ValueError, match="the checksum of the registry for aml-dasatinib"):
        dtp.hub.load("aml-dasatinib")


def test_models_differ():
    digests = {
        hashlib.sha256(np.ascontiguousarray(dtp.hub.load(n).importance_).tobytes()).hexdigest()
        for n in NAMES
    }
    assert len(digests) == len(NAMES)
