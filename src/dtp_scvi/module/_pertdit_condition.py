"""The condition of PertDiT: tokens of drug, dose and time, or the one token of no condition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from dtp_scvi.nn import AmountToken

if TYPE_CHECKING:
    from dtp_scvi.module._drugs import Drugs, DrugSizes


class Condition(nn.Module):
    """Tokens that a profile is generated under.

    Slots are: no condition, dose, time, molecule, then the drug's own tokens. A row whose
    condition is dropped shows the first slot alone, in training and in sampling alike.

    Parameters
    ----------
    drugs
        Shape of the drug table.
    d_model
        Width of a token.
    use_dose, use_time
        Add a token of log10(dose + 1), of log10(time + 1).
    scale_by_dose
        Multiply the molecule's vector by log10(dose + 1), as the published fingerprint is.
    """

    def __init__(
        self,
        drugs: DrugSizes,
        d_model: int,
        *,
        use_dose: bool = True,
        use_time: bool = False,
        scale_by_dose: bool = False,
    ) -> None:
        super().__init__()
        self.scale_by_dose, self.n_tokens = scale_by_dose, drugs.n_tokens
        self.none = nn.Parameter(0.02 * torch.randn(d_model))
        self.dose = AmountToken(d_model) if use_dose else None
        self.time = AmountToken(d_model) if use_time else None
        self.molecule = (
            nn.Linear(drugs.vector_features, d_model) if drugs.vector_features else None
        )
        self.token = nn.Linear(drugs.token_features, d_model) if drugs.n_tokens else None

    def names(self) -> list[str]:
        """Return what each token is: ``none``, ``dose``, ``time``, ``molecule``, ``token 0``, ..."""
        parts = {"dose": self.dose, "time": self.time, "molecule": self.molecule}
        names = ["none", *(name for name, part in parts.items() if part is not None)]
        return names + [f"token {index}" for index in range(self.n_tokens)]

    def forward(
        self, drugs: Drugs, dose: Tensor, time: Tensor, dropped: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return tokens, (n_rows, n_tokens, d_model), and which of them are real.

        Parameters
        ----------
        drugs
            The drugs of the batch.
        dose, time
            µM and hours, (n_rows,).
        dropped
            True where the condition is withheld, bool, (n_rows,).
        """
        single = [self.none.expand(len(dose), -1)]
        if self.dose is not None:
            single.append(self.dose(dose))
        if self.time is not None:
            single.append(self.time(time))
        if self.molecule is not None:
            vector = drugs.vector
            if self.scale_by_dose:
                vector = vector * torch.log10(dose + 1)[:, None]
            single.append(self.molecule(vector))
        tokens = torch.stack(single, dim=1)
        mask = (~dropped)[:, None].repeat(1, len(single))
        mask[:, 0] = dropped
        if self.token is not None:
            tokens = torch.cat([tokens, self.token(drugs.tokens)], dim=1)
            mask = torch.cat([mask, drugs.mask & ~dropped[:, None]], dim=1)
        return tokens, mask
