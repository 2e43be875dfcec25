"""The two stages that a recipe asks for, in order."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.config import EngineConfig
from cloning.engine.features.content import ContentEncoder
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.training.acoustic import AcousticStage
from cloning.engine.training.frugal import Shrinking
from cloning.engine.training.memory import recompute
from cloning.engine.training.prepare import Item
from cloning.engine.training.quick import available, narrow, quicken
from cloning.engine.training.recipe import TrainingRecipe
from cloning.engine.training.semantic import SemanticStage
from cloning.engine.training.upstream_acoustic_stage import UpstreamAcousticStage
from cloning.engine.training.upstream_semantic_stage import UpstreamSemanticStage


def build_stages(
    recipe: TrainingRecipe,
    semantic: Text2Semantic,
    acoustic: AcousticModel,
    items: Sequence[Item],
    *,
    config: EngineConfig,
    device: str,
    seed: int,
    critics: Mapping[str, Tensor] | None = None,
    listener: ContentEncoder | None = None,
) -> list[Shrinking]:
    """S1's stage and S2's, on models in training mode (with their adapters, if any, already attached).

    `critics`: weights that S2's critics start from; None: random ones from the seed. `listener`: for a recipe with
    `listening`. How many steps a recipe comes to is the stages' `steps`. Raises TrainingRefused `no_items` when the
    official filters leave nothing.
    """
    half = narrow(recipe.bfloat16, device)
    first = semantic_stage(recipe, semantic, items, config=config, device=device)
    second: Shrinking
    if recipe.official is not None:
        second = UpstreamAcousticStage(
            acoustic, items, recipe.official, bfloat16=half, device=device, seed=seed, critics=critics
        )
    else:
        faster = recipe.adapters.rate if recipe.adapters else 1.0
        rules = dataclasses.replace(recipe.acoustic, learning_rate=recipe.acoustic.learning_rate * faster)
        second = AcousticStage(
            acoustic, items, rules, bfloat16=half, device=device, seed=seed, critics=critics, listener=listener
        )
    for module in second.modules().values():
        equip(module, recipe, device)
    return [first, second]


def semantic_stage(
    recipe: TrainingRecipe, semantic: Text2Semantic, items: Sequence[Item], *, config: EngineConfig, device: str
) -> Shrinking:
    """S1's stage alone, as `build_stages` makes it."""
    stage: Shrinking
    if recipe.official is not None:
        stage = UpstreamSemanticStage(
            semantic,
            items,
            recipe.official,
            code_rate=config.code_rate,
            bfloat16=narrow(recipe.bfloat16, device),
            device=device,
        )
    else:
        faster = recipe.adapters.rate if recipe.adapters else 1.0
        rules = dataclasses.replace(recipe.semantic, learning_rate=recipe.semantic.learning_rate * faster)
        stage = SemanticStage(semantic, items, rules, bfloat16=narrow(recipe.bfloat16, device), device=device)
    for module in stage.modules().values():
        equip(module, recipe, device)
    return stage


def equip(module: nn.Module, recipe: TrainingRecipe, device: str) -> None:
    """Give a model or critics the forms that the recipe asks for and this device gains by."""
    if recipe.quick and recipe.bfloat16 and available(device):
        quicken(module)
    if recipe.recompute:
        recompute(module)
