"""What happens around the models: which sentences go together, and how pieces of sound become one."""

from __future__ import annotations

from typing import Any

import torch

from cloning.engine.parity.folder import Folder, FolderError
from cloning.engine.parity.sheet import Row, Sheet
from cloning.engine.tts.batching import to_batch
from cloning.engine.tts.join import postprocess, sola

SOLA = 1e-5
#: 16-bit sound may be one step away.
ONE_STEP = 1.0
#: What the golden file was made with.
RATE, PAUSE = 32000, 0.01
OVERLAP, OVERLAP_OF_TWO = 400, 200
ORDER = [[2, 0], [1]]


def batches(folder: Folder, name: str, group: str) -> Row:
    """`to_batch.json`: batches of sentence indices from their lengths, exactly."""
    rows = folder.table(name)
    if not isinstance(rows, list) or not rows:
        raise FolderError("is not a list of cases")
    differing: list[dict[str, Any]] = []
    for row in rows:
        got = to_batch(row["lens"], row["batch_size"], row["threshold"], bucket=row["split_bucket"])
        if got != row["batches"]:
            differing.append({**row, "got": got})
    sheet = Sheet({})
    sheet.share("batches", len(rows) - len(differing), len(rows), 1.0)
    return sheet.row(name, group, {"cases": len(rows), "differing": differing})


def joining(folder: Folder, name: str, group: str) -> Row:
    """`pipeline.npz`: overlapping packets joined (SOLA), and fragments laid out as 16-bit sound."""
    golden = folder.arrays(name)
    sheet = Sheet(golden)
    packets = [value.numpy() for value in sheet.take("in0", "in1", "in2")]
    sheet.close("sola_overlap400", torch.from_numpy(sola(packets, OVERLAP)), atol=SOLA)
    sheet.close("sola_overlap200_two", torch.from_numpy(sola(packets[:2], OVERLAP_OF_TWO)), atol=SOLA)
    first, second, third = (value.numpy() for value in sheet.take("frag_0_0", "frag_0_1", "frag_1_0"))
    decoded = [[first, second], [third]]
    bucketed = postprocess(decoded, RATE, ORDER, PAUSE, compat=True)
    plain = postprocess(decoded, RATE, None, 0.0, compat=True)
    sheet.close("post_bucket", torch.from_numpy(bucketed), atol=ONE_STEP)
    sheet.close("post_plain", torch.from_numpy(plain), atol=ONE_STEP)
    return sheet.row(name, group)
