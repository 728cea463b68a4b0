"""A model card as a page of Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SHOWN = ("auroc", "auprc", "brier", "ece", "mcc")
UNFILLED = "*not filled in*"


def as_markdown(card: Mapping[str, Any]) -> str:
    """
    Lay out a card.

    Parameters
    ----------
    card
        What ``ModelCard.to_dict`` returns.
    """
    title = card["notes"].get("title") or f"{card['model']['class']} {card['model']['id']}"
    return page(
        title,
        card["research_use"],
        {
            "Limits": bullets(card["limits"]),
            "What it is": _model(card),
            "What it was trained on": _data(card["data"]),
            "Audit of the training data": _audit(card["audit"]),
            "What it is worth": _evaluation(card["evaluation"]),
            "Calibration and threshold": _calibration(card),
            "What a query needs": _inputs(card),
            "TRIPOD+AI": _tripod(card["tripod"]),
        },
    )


def page(title: str, research_use: str, sections: Mapping[str, Sequence[str]]) -> str:
    """Lay out a title, what the model is not for, and the lines under each heading."""
    parts = [f"# {title}", f"**{research_use}**"]
    for heading, lines in sections.items():
        parts += [f"## {heading}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def bullets(sentences: Sequence[str]) -> list[str]:
    """Return a list, one sentence a line."""
    return [f"- {sentence}" for sentence in sentences]


def pairs(entries: Mapping[str, Any]) -> list[str]:
    """Return a table of names and values."""
    return table(("", ""), list(entries.items()))


def about(notes: Mapping[str, str], topics: Sequence[str]) -> list[str]:
    """Return a table of the notes on some topics, filled in or not."""
    return pairs({topic: notes.get(topic) or UNFILLED for topic in topics})


def listed(versions: Mapping[str, str]) -> str:
    """Return names with their versions in one line."""
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Return the lines of a table."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(_cell(value) for value in line) + " |" for line in lines]


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _range(entry: Mapping[str, Any]) -> str:
    low, high = entry.get("low"), entry.get("high")
    value = _number(entry["value"])
    return value if low is None else f"{value} [{_number(low)}, {_number(high)}]"


def _model(card: Mapping[str, Any]) -> list[str]:
    model, label = card["model"], card["label"]
    rows = [
        ("class", model["class"]),
        ("id", model["id"]),
        ("genes", f"{model['n_genes']:,}"),
        ("positive class", f"{label['positive']} (obs[{label['labels_key']!r}])"),
        ("classes", ", ".join(label["classes"])),
        ("definition of the label", label["definition"] or UNFILLED),
        ("intended use", card["notes"].get("intended_use") or UNFILLED),
        ("seed", model["seed"]),
        ("versions", listed(model["versions"])),
    ]
    return table(("", ""), rows + [(key, value) for key, value in _protocol(card)])


def _protocol(card: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    protocol = card["protocol"]
    if "member_scale" in protocol:
        kept = ", ".join(f"{scale:.0%}" for scale in protocol["member_scale"])
        yield "residual kept, by member", kept
        yield (
            "held out in training",
            f"{protocol['threshold_rows']:,} rows by {protocol['held_out']}",
        )
    if "fidelity" in protocol:
        fidelity = protocol["fidelity"]
        yield "teacher", protocol["teacher"]
        yield (
            "fidelity to it",
            f"Spearman {fidelity['spearman']:.3f}, agreement {fidelity['agreement']:.3f}",
        )


def _data(data: Mapping[str, Any]) -> list[str]:
    if not data:
        return ["Not recorded."]
    donors = data.get("donors_by_class", {})
    classes = [
        (name, f"{count:,}", donors.get(name, "–")) for name, count in data["classes"].items()
    ]
    about = [
        ("rows", f"{data['n_rows']:,}"),
        ("donors", data.get("n_donors", "not given")),
        ("batches", data.get("n_batches", "not given")),
        ("scale", data["scale"]),
        ("layer", data["layer"] or "X"),
        ("simulated", "yes" if data["simulated"] else "no"),
        ("SHA-256 of the expression", f"`{data['sha256_expression']}`"),
        ("SHA-256 of labels and donors", f"`{data['sha256_labels']}`"),
    ]
    return [*table(("", ""), about), "", *table(("class", "rows", "donors"), classes)]


def _audit(audit: Sequence[Mapping[str, Any]]) -> list[str]:
    if not audit:
        return ["Not run. See dtp.pp.audit."]
    bad = [row for row in audit if row["verdict"] not in ("ok", "note")]
    said = f"{len(audit):,} checks, {len(bad):,} with a warning or an error."
    rows = [(row["check"], row["subject"], row["verdict"], row["sentence"]) for row in bad]
    return [said, "", *table(("check", "subject", "verdict", "finding"), rows)] if rows else [said]


def _evaluation(evaluation: Mapping[str, Any]) -> list[str]:
    if not evaluation:
        return ["Not evaluated: cross-validate, then `model.adopt(adata.uns['dtp_cv'])`."]
    params = evaluation["params"]
    said = (
        f"{params['protocol']}; intervals: {params['interval']}; this model is "
        f"`{evaluation['column']}`."
    )
    by_model: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in evaluation["metrics"]:
        by_model.setdefault(row["model"], {})[row["metric"]] = row
    rows = [
        (name, *(_range(found[m]) if m in found else "–" for m in _SHOWN))
        for name, found in by_model.items()
    ]
    return [said, "", *table(("model", *_SHOWN), rows)]


def _calibration(card: Mapping[str, Any]) -> list[str]:
    calibration, threshold, sets = card["calibration"], card["threshold"], card["conformal"]
    rows = [("threshold", f"{_range(threshold)} ({threshold['rule']})")] if threshold else []
    if "calibrator" in calibration:
        about = f"{calibration['calibrator']['kind']} on {calibration['n_labels']:,} held-out rows"
        if calibration["unit"] == "donor":
            about += f" of {calibration['n_groups']} donors"
        rows.append(("calibration", about))
    for name in ("raw", "calibrated"):
        for metric, entry in (calibration.get(name) or {}).items():
            rows.append((f"{metric}, {name}", _range(entry)))
    if sets:
        rows.append(
            (
                "conformal sets",
                f"{sets['level']:.0%} of the cells of a class in a new donor, from "
                f"{min(sets['n_groups'])} donors in the smaller class",
            )
        )
    return table(("", ""), rows)


def _inputs(card: Mapping[str, Any]) -> list[str]:
    needs = card["inputs"]
    return [
        f"- {card['model']['n_genes']:,} genes by name, at least {needs['min_coverage']:.0%} found",
        f"- trained on the scale {needs['training_scale']}; others are recognised and converted",
        f"- judged by `{needs['checked_by']}` before calls are written",
    ]


def _tripod(items: Sequence[Mapping[str, str]]) -> list[str]:
    rows = []
    for entry in items:
        todo = f"{UNFILLED} (`model.describe({entry['note']}=...)`)" if entry["note"] else "–"
        rows.append((entry["item"], entry["topic"], entry["text"] or todo))
    return table(("item", "topic", "answer"), rows)
