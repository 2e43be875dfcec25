"""Which golden file is compared by which function, and the run over a whole folder."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from cloning.engine.errors import EngineError
from cloning.engine.parity import acoustic, diffusion, pipeline, semantic, signal, text, training, vocoders, weights
from cloning.engine.parity.folder import Folder, FolderError
from cloning.engine.parity.sheet import Row

Compare = Callable[[Folder, str, str], Row]


class Group(NamedTuple):
    """Files whose whole name matches `pattern` belong to `name`; `compare` None: known, but not implemented."""

    name: str
    pattern: str
    compare: Compare | None


_VERSION = r"(?P<version>v1|v2|v2Pro|v2ProPlus)"
GROUPS = (
    Group("checkpoints", r"s1_\w+\.ckpt(\.xz)?", weights.semantic_file),
    Group("checkpoints", rf"s2_{_VERSION}_small\.pth(\.xz)?", weights.acoustic_file),
    Group("s1_prefill", r"s1_prefill\w*\.npz", semantic.prefill),
    Group("s1_decode", r"s1_decode\w*\.json", semantic.decode),
    Group("s1_decode", r"s1_decode_inputs\w*\.npz", semantic.decode_inputs),
    Group("s1_sampler", r"s1_sampler\w*\.npz", semantic.sampler),
    Group("s2_infer", rf"s2_{_VERSION}_small_infer\.npz", acoustic.inference),
    Group("full_s1", r"full_s1_v\w+\.npz", semantic.full),
    Group("full_s2", rf"full_s2_{_VERSION}\.npz", acoustic.full),
    Group("features", r"mel\w*\.npz", signal.mels),
    Group("features", r"preproc\w*\.npz", signal.preparation),
    Group("features", r"slicer\w*\.json", signal.slicer),
    Group("features", r"sv\w*\.npz", signal.speaker),
    Group("text", r"text_(?P<language>zh|en|ja|ko|yue|v1)\w*\.json", text.readings),
    Group("cuts", r"cuts\w*\.json", text.cuts),
    Group("langseg", r"langseg\w*\.json", text.languages),
    Group("pipeline", r"to_batch\w*\.json", pipeline.batches),
    Group("pipeline", r"pipeline\w*\.npz", pipeline.joining),
    Group("training", r"s1_train_forward\w*\.npz", training.semantic_forward),
    Group("training", r"s1_grads\w*\.json", training.semantic_gradients),
    Group("training", r"s1_scaledadam_\w+\.npz", training.scaled_adam),
    Group("training", r"s1_lr\w*\.json", training.rates),
    Group("training", rf"s2_{_VERSION}_small_train\.(npz|json)", training.acoustic_training),
    Group("v3_v4", r"s2_v[34]_small\.pth(\.xz)?", diffusion.whole_file),
    Group("v3_v4", r"s2_v[34]_lora_small\.pth(\.xz)?", diffusion.lora_file),
    Group("v3_v4", r"s2_v[34]_small_infer\.npz", diffusion.inference),
    Group("v3_v4", r"s2_v[34]_lora_small_merged\.npz", diffusion.merged_lora),
    Group("vocoders", r"v4_vocoder\w*\.pth(\.xz)?", vocoders.v4_file),
    Group("vocoders", r"v4_vocoder\w*\.npz", vocoders.v4_wave),
    Group("vocoders", r"bigvgan\w*\.pt(\.xz)?", vocoders.bigvgan_file),
    Group("vocoders", r"bigvgan\w*\.npz", vocoders.bigvgan_wave),
)


def group_of(name: str) -> Group | None:
    """The group of a file by its name, None for a name nobody knows."""
    return next((group for group in GROUPS if re.fullmatch(group.pattern, name)), None)


def run(folder: Folder, only: Sequence[str]) -> Iterator[Row]:
    """One row for each file of the folder that belongs to `only` (groups or beginnings of file names; empty: all).

    A file that nobody understands, that differs from the manifest or that makes the engine raise is a failed row.
    """
    for name in folder.names():
        group = group_of(name)
        label = group.name if group else "unknown"
        if only and not any(label == wanted or name.startswith(wanted) for wanted in only):
            continue
        yield _row(folder, name, group)


def _row(folder: Folder, name: str, group: Group | None) -> Row:
    label = group.name if group else "unknown"
    failed = Row(name, label, "failed", float("inf"), "")
    try:
        folder.read(name)
        if group is None:
            return dataclasses.replace(failed, where="a file this runner does not understand")
        if group.compare is None:
            return Row(name, label, "not implemented", 0.0, "")
        return group.compare(folder, name, label)
    except FolderError as error:
        return dataclasses.replace(failed, where=str(error))
    except EngineError as error:
        return dataclasses.replace(failed, where=str(error))
    except Exception as error:  # noqa: BLE001  # whatever a strange file breaks is that file's failure, not the run's
        return dataclasses.replace(failed, where=f"{type(error).__name__}: {error}"[:200])
