"""Tiny random checkpoints in the formats of Geneformer and scFoundation, written by the tests."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

N_GENES = 12
GENES = [f"G{i}" for i in range(N_GENES)]
CONFIG = {
    "model": "mae_autobin",
    "model_config": {
        "mae_autobin": {
            "encoder": {
                "hidden_dim": 8,
                "depth": 2,
                "heads": 2,
                "dim_head": 4,
                "module_type": "transformer",
                "norm_first": False,
            },
            "decoder": {"hidden_dim": 4, "depth": 1, "heads": 2, "module_type": "performer"},
            "bin_num": 5,
            "bin_alpha": 1.0,
            "pad_token_id": 103,
            "mask_token_id": 102,
        }
    },
    "dataset_config": {"rnaseq": {"seq_len": N_GENES + 2, "num_tokens": 13}},
}


def random_state(rng, dim=8, bins=5, depth=2):
    """Tensors under the names of the published file, decoder and unused embeddings included."""
    shapes = {
        "token_emb.mlp.weight": (bins, 1),
        "token_emb.mlp.bias": (bins,),
        "token_emb.mlp2.weight": (bins, bins),
        "token_emb.mlp2.bias": (bins,),
        "token_emb.emb.weight": (bins, dim),
        "token_emb.emb_mask.weight": (1, dim),
        "token_emb.emb_pad.weight": (1, dim),
        "pos_emb.weight": (N_GENES + 3, dim),
        "encoder.norm.weight": (dim,),
        "encoder.norm.bias": (dim,),
        "decoder_embed.weight": (4, dim),
        "decoder.layers.0.w": (3, 3),
        "norm.weight": (4,),
        "to_final.weight": (1, 4),
    }
    for i in range(depth):
        layer = f"encoder.transformer_encoder.{i}."
        shapes |= {
            layer + "self_attn.in_proj_weight": (3 * dim, dim),
            layer + "self_attn.in_proj_bias": (3 * dim,),
            layer + "self_attn.out_proj.weight": (dim, dim),
            layer + "self_attn.out_proj.bias": (dim,),
            layer + "linear1.weight": (4 * dim, dim),
            layer + "linear1.bias": (4 * dim,),
            layer + "linear2.weight": (dim, 4 * dim),
            layer + "linear2.bias": (dim,),
            **{layer + f"norm{k}.{part}": (dim,) for k in (1, 2) for part in ("weight", "bias")},
        }
    return {
        f"model.{name}": torch.from_numpy(rng.normal(0, 0.5, shape).astype(np.float32))
        for name, shape in shapes.items()
    }


@pytest.fixture(scope="session")
def config():
    return CONFIG


@pytest.fixture(scope="session")
def state():
    return random_state(np.random.default_rng(0))


@pytest.fixture(scope="session")
def checkpoint(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("scfoundation") / "models.ckpt"
    other = random_state(np.random.default_rng(1))
    torch.save(
        {
            "rde": {"config": CONFIG, "state_dict": state},
            "cell": {"config": CONFIG, "state_dict": other},
        },
        path,
    )
    return path


@pytest.fixture
def cells():
    rng = np.random.default_rng(2)
    counts = rng.poisson(rng.gamma(0.6, 3.0, (11, N_GENES)))
    counts[:, :2] += 1
    obs = pd.DataFrame(index=[f"c{i}" for i in range(11)])
    return ad.AnnData(counts.astype(np.float32), obs=obs, var=pd.DataFrame(index=GENES))
