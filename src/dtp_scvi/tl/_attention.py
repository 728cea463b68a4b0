"""Write where a perturbation model looks into an AnnData."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dtp_scvi._constants import ATTENTION_KEY, CONTROL_ROLE_KEY, SIMULATION_KEY
from dtp_scvi._docs import docs
from dtp_scvi._labels import text_column
from dtp_scvi._validate import check_key, check_one_of, problem, shorten
from dtp_scvi.data import check_object, get_drug_table
from dtp_scvi.model import XPert, load_model, versions
from dtp_scvi.tl._attention_groups import compare_groups, summary, units_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from anndata import AnnData


@docs.dedent
def attention(
    adata: AnnData,
    model: XPert | str | Path,
    *,
    of: Literal["atoms", "genes"] = "atoms",
    groupby: str | None = None,
    groups: Sequence[str] | None = None,
    unit_key: str | None = None,
    batch_size: int = 16,
    key_added: str = ATTENTION_KEY,
) -> pd.DataFrame:
    """Store where XPert looks: at which atoms of a drug, or at which genes of the control.

    Attention is not effect. It has no sign, it need not change the prediction, and in a model that
    predicts badly it means nothing.

    Parameters
    ----------
    %(adata)s
        Treated rows with paired controls. For atoms, ``adata.uns["drugs"]`` holds their drugs.
    model
        Trained :class:`dtp_scvi.model.XPert`, or the directory of a saved one.
    of
        ``"atoms"`` or ``"genes"``, see :meth:`dtp_scvi.model.XPert.get_attention`.
    groupby
        With genes: column of ``adata.obs`` whose groups are compared gene by gene, for example
        response of patients.
    groups
        Two groups of it, the first against the second; may be left out where there are two.
    unit_key
        With genes: column with what is independent, such as the patient; its rows are averaged.
        By default each distinct control profile counts once, as rows that share one have the same
        attention to genes, whatever their drug.
    %(batch_size)s
    key_added
        Key of ``adata.uns``.

    Returns
    -------
    Drugs x atoms, see :meth:`dtp_scvi.model.XPert.get_attention`; or genes by falling mean, with
    ``mean``, ``sd``, ``q10``, ``q25``, ``median``, ``q75`` and ``q90`` over units and, with
    ``groupby``, ``mean_first``, ``mean_second``, ``log2_ratio``, ``t``, ``p`` (Welch's test over
    units) and ``q`` (Benjamini-Hochberg over genes). ``adata.uns["dtp_attention"][of]`` gets
    ``"table"``, ``"params"`` and, with atoms, ``"structures"``; the other entry stays.

    Raises
    ------
    RuntimeError
        When the model was not trained.
    TypeError, KeyError, ValueError
        Another model, no such column or group, fewer than three units in a group, units in both
        groups, or drugs whose structure is not in ``adata.uns["drugs"]`` as in training.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> wells = dtp.datasets.simulate_perturbation(2, n_drugs=10, n_genes=20)
    >>> dtp.model.XPert.setup_anndata(
    ...     wells, drug_key="drug", smiles_key="smiles", cell_key="cell", control_label="DMSO"
    ... )
    >>> dtp.pp.split_perturbation(wells, "drug")
    >>> model = dtp.model.XPert(wells, d_model=16, n_heads=2, treated=("cross",), untreated=1)
    >>> model.train(max_epochs=1)
    >>> dtp.tl.attention(wells, model).index[:2].tolist()
    ['drug_01', 'drug_02']
    >>> dtp.tl.attention(wells, model, of="genes").shape
    (20, 7)
    """
    check_object(adata)
    check_one_of(of, ("atoms", "genes"), "of")
    given = load_model(model) if isinstance(model, str | Path) else model
    if not isinstance(given, XPert):
        msg = problem("a trained XPert", type(given).__name__, "Other models show no attention.")
        raise TypeError(msg)
    params: dict[str, Any] = {
        "model": type(given).__name__,
        "simulated": SIMULATION_KEY in adata.uns,
        "versions": versions(),
    }
    if of == "atoms":
        for name, value in (("groupby", groupby), ("groups", groups), ("unit_key", unit_key)):
            if value is not None:
                msg = problem(f'no `{name}` with of="atoms"', repr(value), "Leave it out.")
                raise ValueError(msg)
        table = given.get_attention(adata, of="atoms", batch_size=batch_size)
        result = {"table": table, "structures": _structures(adata, table), "params": params}
    else:
        # Read first, as attention takes longer than a wrong column.
        obs = _treated(adata)
        pair = _two_groups(obs, groupby, groups)
        units = units_of(adata[obs.index], unit_key)
        found = given.get_attention(adata, of="genes", batch_size=batch_size)
        table = summary(found, units)
        unit = "control profile" if unit_key is None else unit_key
        params |= {"n_units": len(set(units.tolist())), "unit": unit, "n_rows": len(found)}
        if groupby is not None:
            labels = text_column(obs, groupby, "groupby")
            other, sizes = compare_groups(found, units, labels, pair)
            params |= {"groupby": groupby, "groups": list(pair), "n_in_groups": list(sizes)}
            table = table.join(other)
        result = {"table": table, "params": params}
    adata.uns[key_added] = {**adata.uns.get(key_added, {}), of: result}
    return table


def _treated(adata: AnnData) -> pd.DataFrame:
    check_key(adata.obs, CONTROL_ROLE_KEY, "adata.obs", "the role of controls")
    return adata.obs[adata.obs[CONTROL_ROLE_KEY].astype(str) == "treated"]


def _two_groups(
    obs: pd.DataFrame, groupby: str | None, groups: Sequence[str] | None
) -> tuple[str, str]:
    if groupby is None:
        if groups is not None:
            msg = problem("`groupby` with `groups`", "none", "Name the column of the groups.")
            raise ValueError(msg)
        return ("", "")
    names = sorted(set(text_column(obs, groupby, "groupby").tolist()))
    chosen = [str(name) for name in (names if groups is None else groups)]
    unknown = [name for name in chosen if name not in names]
    if len(chosen) != 2 or len(set(chosen)) != 2 or unknown:
        msg = problem(
            f"two groups of adata.obs[{groupby!r}] ({shorten(names)})",
            shorten(chosen),
            "Name them: groups=[first, second].",
        )
        raise ValueError(msg)
    return chosen[0], chosen[1]


def _structures(adata: AnnData, table: pd.DataFrame) -> pd.DataFrame:
    """Return the SMILES whose atoms the columns are, by drug."""
    drugs = get_drug_table(adata).table
    lacking = [name for name in table.index if name not in drugs.index]
    if lacking:
        msg = problem(
            "the structure of each drug in adata.uns['drugs']",
            f"{len(lacking):,} that have none ({shorten(lacking)})",
            "Run dtp.pp.encode_drugs with the options of training.",
        )
        raise KeyError(msg)
    drugs = drugs.loc[table.index]
    seen = table.notna().sum(axis=1).to_numpy()
    atoms = drugs["n_atoms"].to_numpy()
    # A cut molecule fills every column; any other has as many weights as atoms.
    wrong = (seen != atoms) & ~((seen == table.shape[1]) & (atoms > seen))
    if wrong.any():
        msg = problem(
            "as many atoms in adata.uns['drugs'] as the model was given",
            f"others in {int(wrong.sum()):,} drugs ({shorten(table.index[wrong])})",
            "Run dtp.pp.encode_drugs with the options of training.",
        )
        raise ValueError(msg)
    return drugs[["smiles", "n_atoms"]].copy()
