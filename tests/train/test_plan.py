"""What every training plan shares."""

import pytest

import dtp_scvi as dtp
from dtp_scvi.train._plan import KeepBestPlan


def _teacher(cells):
    dtp.model.DTPTransformer.setup_anndata(
        cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    )
    model = dtp.model.DTPTransformer(cells, n_programs=4)
    model.train(max_epochs=2, verbose=False)
    return model


def _student(cells):
    _teacher(cells).distill(n_genes=50, max_epochs=2, verbose=False)


def _amu(cells):
    dtp.model.AMU.setup_anndata(
        cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    )
    dtp.model.AMU(cells, n_blocks=1).train(max_epochs=2, verbose=False)


@pytest.mark.parametrize("fit", [_teacher, _student, _amu])
def test_held_out_losses_are_taken_in_evaluation_mode(fit, monkeypatch):
    """Dropout has no part in choosing an epoch, and batch norm learns nothing from held-out rows."""
    cells = dtp.datasets.simulate_cells(200, 100, n_donors=4)
    validating, training = [], []
    finish = KeepBestPlan.finish_epoch

    def watch(plan, *args, **kwargs):
        validating.append(any(part.training for part in plan.network.modules()))
        finish(plan, *args, **kwargs)

    def start(plan, *args):
        training.append(all(part.training for part in plan.network.modules()))

    monkeypatch.setattr(KeepBestPlan, "finish_epoch", watch)
    monkeypatch.setattr(KeepBestPlan, "on_train_batch_start", start, raising=False)
    fit(cells)
    assert validating
    assert not any(validating)
    assert training
    assert all(training)
