"""The TRIPOD+AI checklist, filled in as far as a trained model can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dtp_scvi.stats import METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping

# Item, topic, and the note that answers it; items with "" are answered from the card alone.
_ITEMS: Final = (
    ("1", "Title", "title"),
    ("3b", "Intended purpose and users", "intended_use"),
    ("5a", "Source of the data", "data_source"),
    ("5b", "Dates of the data", "dates"),
    ("6a", "Setting and population", "population"),
    ("6b", "Eligibility", "eligibility"),
    ("6c", "Treatments", "treatments"),
    ("7", "Data preparation", ""),
    ("8a", "Outcome", "label"),
    ("9a", "Predictors", ""),
    ("10", "Sample size", "sample_size"),
    ("11", "Missing data", ""),
    ("12a", "Partition of the data", ""),
    ("12c", "Type of model and its building", ""),
    ("12d", "Heterogeneity between clusters", ""),
    ("12e", "Measures of performance", ""),
    ("12f", "Updating", ""),
    ("13", "Class imbalance", ""),
    ("14", "Fairness", "fairness"),
    ("15", "Output", ""),
    ("17", "Ethical approval", "ethics"),
    ("18a", "Funding", "funding"),
    ("18b", "Conflicts of interest", "conflicts"),
    ("18c", "Protocol", "protocol"),
    ("18d", "Registration", "registration"),
    ("18e", "Data sharing", "data_availability"),
    ("18f", "Code sharing", ""),
    ("19", "Patient and public involvement", "involvement"),
    ("20b", "Participants: characteristics", ""),
    ("21", "Rows and events", ""),
    ("22", "Full specification", ""),
    ("23a", "Performance with intervals", ""),
    ("25", "Interpretation", "interpretation"),
    ("26", "Limitations", ""),
    ("27a", "Input data of poor quality or missing", ""),
)


def tripod_items(card: Mapping[str, Any]) -> list[dict[str, str]]:
    """
    List the items that concern a model with the text that answers each.

    Parameters
    ----------
    card
        Sections of a model card.

    Returns
    -------
    ``item``, ``topic``, ``text`` and ``note``, the name that ``describe`` takes for it. An empty
    text is one that nobody has filled in.

    Notes
    -----
    Collins et al., BMJ 2024, doi:10.1136/bmj-2023-078378. Items on a manuscript (abstract,
    background, objectives, flow of participants) are left to it.
    """
    measured = _measured(card)
    return [
        {
            "item": item,
            "topic": topic,
            "text": " ".join(
                part for part in (card["notes"].get(note, ""), measured.get(item, "")) if part
            ),
            "note": note,
        }
        for item, topic, note in _ITEMS
    ]


def _measured(card: Mapping[str, Any]) -> dict[str, str]:
    data, label, model = card["data"], card["label"], card["model"]
    counts = ", ".join(f"{n:,} {name}" for name, n in data.get("classes", {}).items())
    donors = data.get("n_donors")
    who = "donors not given" if donors is None else f"{donors:,} donors"
    return {
        "7": f"Expression on the scale {data.get('scale')}, layer {data.get('layer') or 'X'}; "
        "depth normalised to 10,000 and log1p inside the model.",
        "8a": f"obs[{label['labels_key']!r}], positive class {label['positive']!r}.",
        "9a": f"Expression of {model['n_genes']:,} genes, matched by name.",
        "11": "No missing value is accepted in training; a gene that a query lacks stands at its "
        "training mean, and coverage is reported.",
        "12a": _partition(card),
        "12c": f"{model['class']} {model['id']}; settings, seed and versions are in the card.",
        "12d": f"Whole donors are held out and resampled ({who})."
        if donors
        else "Not assessed: no donors were given.",
        "12e": ", ".join(METRICS) + ".",
        "12f": "dtp.tl.recalibrate, on request and recorded.",
        "13": f"Rows are weighed as trained: {counts}.",
        "15": "Log-odds, calibrated probability, rank, call at the threshold "
        f"{card['threshold'].get('value', float('nan')):.3f} ({card['threshold'].get('rule')}).",
        "18f": "Package dtp_scvi, BSD-3-Clause.",
        "20b": counts + f"; {who}.",
        "21": f"{data.get('n_rows', 0):,} rows, of these {counts}; {who}.",
        "22": f"Weights (model.safetensors) and settings (model.json), id {model['id']}.",
        "23a": _performance(card),
        "26": " ".join(card["limits"]),
        "27a": "Refused below half of the genes, on an unknown scale, and with NaN or infinite "
        "values; calls are withheld where the transfer check says so.",
    }


def _partition(card: Mapping[str, Any]) -> str:
    params = card["evaluation"].get("params")
    inner = card["protocol"].get("held_out")
    text = f"Training held out a part of the {inner}s." if inner else ""
    return f"Cross-validated: {params['protocol']}. {text}".strip() if params else text


def _performance(card: Mapping[str, Any]) -> str:
    evaluation = card["evaluation"]
    rows = [
        f"{row['metric']} {row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
        for row in evaluation.get("metrics", [])
        if row["model"] == evaluation.get("column") and row["low"] is not None
    ]
    return f"{'; '.join(rows)}." if rows else ""
