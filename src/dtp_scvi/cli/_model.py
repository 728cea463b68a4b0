"""Open the model that a command names: a folder, or a bundled model by its name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dtp_scvi.model import ExpressionClassifier, ResponseBase

HELP: Final = "Folder of a saved model, or the name of a bundled one (dtp models)"


def open_model(named: str | None) -> ExpressionClassifier | ResponseBase:
    """Open a folder or a bundled model; ``None`` is the default of tl.score. Say which it is."""
    from dtp_scvi._constants import DEFAULT_MODEL
    from dtp_scvi.cli._screen import say
    from dtp_scvi.hub import available, load
    from dtp_scvi.model import load_predictor

    if named is None:
        model = load(DEFAULT_MODEL)
        say(f"No --model: the bundled {DEFAULT_MODEL} is used. {_sentence(model.worth_)}")
        return model
    folder = find_folder(named)
    if folder is not None:
        return load_predictor(folder)
    model = load(named)
    say(f"Bundled model {model.name_}, version {available().loc[model.name_, 'version']}")
    return model


def find_folder(named: str) -> Path | None:
    """Return the folder that ``named`` is, ``None`` for a bundled model; raise for neither."""
    from dtp_scvi.cli._outputs import MODEL_FILE
    from dtp_scvi.cli._screen import complain
    from dtp_scvi.hub import available

    versions = available()["version"]
    plain, folder = named.partition("@")[0], Path(named)
    is_bundled = plain in versions.index
    # A folder that happens to bear the name, such as one of results, is no model.
    if folder.exists() and (not is_bundled or (folder / MODEL_FILE).is_file()):
        if is_bundled:
            complain(
                "warning",
                f"{named} is the folder of that name, not the bundled model; the other is "
                f"{plain}@{versions[plain]}.",
            )
        return folder
    if is_bundled:
        return None
    raise FileNotFoundError(_neither(named, list(versions.index)))


def _neither(named: str, bundled: list[str]) -> str:
    from dtp_scvi._validate import near_matches, problem
    from dtp_scvi.cli._outputs import MODEL_FILE

    parent = Path(named).parent
    saved = sorted(str(file.parent) for file in parent.glob(f"*/{MODEL_FILE}"))
    return problem(
        "a folder of a saved model or the name of a bundled one",
        f"{named!r}, which is neither",
        f"{near_matches(named, [*bundled, *saved])} The command dtp models lists the bundled ones.",
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
