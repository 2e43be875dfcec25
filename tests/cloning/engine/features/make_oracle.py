"""Makes `transformers_oracle.npz`, what the transformers library computes from the folders of `mounts`.

It takes ten seconds to import, so tests read its results: `uv run --with transformers==5.23.0 python -m
tests.cloning.engine.features.make_oracle` writes them again.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers

from tests.cloning.engine.features.mounts import ORACLE, SENTENCES, wave, write_bert, write_hubert


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch, torch.no_grad():
        folder = Path(scratch)
        write_hubert(folder / "hubert")
        write_bert(folder / "bert")
        hubert = transformers.HubertModel.from_pretrained(folder / "hubert").eval()
        bert = transformers.BertForMaskedLM.from_pretrained(folder / "bert").eval()
        tokenizer = transformers.BertTokenizer.from_pretrained(folder / "bert")
        ids = [tokenizer(text).input_ids for text in SENTENCES]
        state = bert(torch.tensor(ids[:1]), output_hidden_states=True).hidden_states[-3]
        np.savez_compressed(
            ORACLE,
            hubert=hubert(wave()).last_hidden_state.numpy(),
            bert=state.numpy(),
            **{f"ids{number}": np.array(row) for number, row in enumerate(ids)},
        )


if __name__ == "__main__":
    main()
