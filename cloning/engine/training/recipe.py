"""How long and how hard a voice is trained. Frozen values; the presets say what they are for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cloning.engine.training.adapters import AdapterRecipe
    from cloning.engine.training.early import EarlyStop

#: Largest rank of pairs beside a flow-matching transformer; the official interface offers 16 to 128.
MOST_FLOW_RANK = 128


@dataclass(frozen=True)
class SemanticRecipe:
    """S1, text to codes. AdamW, linear warm-up, a cosine down to `final` of the rate; loss: mean cross entropy.

    Few steps at a low rate: a minute of text teaches pace and habits; more of it unlearns how to read (measured).
    """

    steps: int = 12
    batch: int = 8
    learning_rate: float = 5e-5
    #: Share of batches whose items get another utterance of the same speaker in front, as prompts do in synthesis;
    #: such a batch has half as many items.
    paired: float = 0.5
    warm_up: int = 5
    final: float = 0.1
    #: Gradient norm above which gradients are scaled down.
    clip: float = 1.0
    betas: tuple[float, float] = (0.9, 0.95)
    #: Rate of the text embedding and the BERT projection relative to the rest; 0: frozen.
    text_rate: float = 1.0
    #: Names of further parameters that do not move, by their beginnings ("h.layers.0").
    frozen: tuple[str, ...] = ()
    #: Weight of the preference of each sentence to a spoiled copy of it (DPO); 0: off. Batches are half as large then.
    preference: float = 0.0


@dataclass(frozen=True)
class AcousticRecipe:
    """S2, codes to sound. Spectral losses; with `adversarial_from` also critics from that step on (None: never)."""

    steps: int = 70
    batch: int = 8
    #: Content frames of one batch at most: bounds memory and step time for long utterances.
    batch_frames: int = 1600
    learning_rate: float = 3e-4
    #: Rate of the text and code encoders relative to the rest: they know their job from the base (upstream's 0.4);
    #: 0: frozen.
    text_rate: float = 0.4
    #: Names of further parameters that do not move, by their beginnings ("flow.", "dec.").
    frozen: tuple[str, ...] = ()
    mel_weight: float = 30.0
    resolution_weight: float = 10.0
    #: Weight of `excitation.periodicity_loss`, for models with a source.
    periodicity: float = 20.0
    #: Weight of `losses.listening_loss`: what the base's own content encoder hears. 0: nobody listens.
    listening: float = 0.0
    adversarial_from: int | None = None
    critic_rate: float = 2e-4
    #: Weight of the distance between content vectors and their codes; above 0 the codes are trained as well, from the
    #: gradient that upstream's frozen quantizer never gets. For a base only: the voices of a base share its codes.
    commitment: float = 0.0
    warm_up: int = 5
    final: float = 0.2
    clip: float = 200.0
    betas: tuple[float, float] = (0.8, 0.99)


@dataclass(frozen=True)
class OfficialRecipe:
    """What a person can set in the official fine-tune; all else is fixed in `upstream_semantic_stage` and
    `upstream_acoustic_stage`. The defaults are the official ones, but for the batch, which follows the GPU's memory
    there (GiB / 2)."""

    semantic_epochs: int = 15
    semantic_batch: int = 8
    #: DPO: each sentence preferred to a copy with a repeated stretch, at half the batch.
    preference: bool = False
    acoustic_epochs: int = 8
    acoustic_batch: int = 8
    #: Rate of text embedding, text encoder and MRTE relative to the rest.
    text_low_rate: float = 0.4


@dataclass(frozen=True)
class FlowRecipe:
    """What is trained of S2 in v3 and v4, and how long; all else is fixed in `flow_stage`.

    `rank` None: the whole transformer; else pairs of that rank beside its attention (upstream offers 16, 32, 64, 128),
    in a LoRA file. `parts` "upstream": the bridge and its gated layers are trained whole beside them, 59 MB of the
    file; "lean": of these only the bridge. `epochs`: upstream's batches and rate, 2 to 16 there; None: `steps` batches
    of like length, with a warm-up and a rate that falls. `batch`: upstream takes GiB / 8 of the GPU's memory.
    """

    rank: int | None = 32
    parts: Literal["upstream", "lean"] = "upstream"
    epochs: int | None = None
    steps: int = 100
    batch: int = 4
    learning_rate: float = 1e-4
    warm_up: int = 5

    def __post_init__(self) -> None:
        if self.rank is not None and not 1 <= self.rank <= MOST_FLOW_RANK:
            raise ValueError(f"rank must be 1..{MOST_FLOW_RANK}")
        if self.parts not in ("upstream", "lean"):
            raise ValueError("parts must be upstream or lean")
        if self.batch < 1 or self.steps < 1 or (self.epochs is not None and self.epochs < 1):
            raise ValueError("batch, steps and epochs must be at least 1")


@dataclass(frozen=True)
class TrainingRecipe:
    """Everything `train_voice` may be told about the training itself."""

    semantic: SemanticRecipe = field(default_factory=SemanticRecipe)
    acoustic: AcousticRecipe = field(default_factory=AcousticRecipe)
    #: Threads torch uses. OpenMP spins at every barrier, so one thread more than there are free cores is not a
    #: little slower but much (measured: eight times). One is right everywhere.
    threads: int = 1
    #: bfloat16 matrix products where they are a gain (CUDA, AVX512-BF16, AMX): see `quick.narrow`.
    bfloat16: bool = True
    #: With bfloat16 on a processor that gains by them: the forms of `training.quick`. Same function, same files.
    quick: bool = True
    #: A checkpoint every this many steps.
    checkpoint_every: int = 50
    #: Steps whose loss or gradient is not finite are left out; more than this many end the training.
    most_skipped: int = 10
    #: Gradient checkpointing (Chen et al. 2016): the insides of the large blocks are computed again in the backward
    #: pass instead of kept. Same result, less memory, about a third more time.
    recompute: bool = False
    #: Set: both stages as upstream trains them (compat="upstream"); `semantic` and `acoustic` are not looked at.
    official: OfficialRecipe | None = None
    #: Set: low-rank adapters are trained and the base stays as it is.
    adapters: AdapterRecipe | None = None
    #: S2 of v3 and v4 (`diffusion_voice`); not looked at for other bases.
    flow: FlowRecipe = field(default_factory=FlowRecipe)
    #: Set: training ends when held-out seconds stop getting better.
    early: EarlyStop | None = None

    @classmethod
    def demo(cls) -> TrainingRecipe:
        """One minute of speech in 60 to 90 seconds on one free core with AVX512-BF16, from the starter base."""
        return cls()

    @classmethod
    def thorough(cls) -> TrainingRecipe:
        """About ten times the demo, with critics in the second half: for a machine with a GPU or patience."""
        return cls(
            semantic=SemanticRecipe(steps=40),
            acoustic=AcousticRecipe(steps=800, adversarial_from=400),
            flow=FlowRecipe(steps=400),
            checkpoint_every=100,
        )

    @classmethod
    def upstream(
        cls,
        *,
        semantic_epochs: int = 15,
        acoustic_epochs: int = 8,
        flow_epochs: int = 2,
        batch: int = 8,
        preference: bool = False,
        text_low_rate: float = 0.4,
        bfloat16: bool = True,
    ) -> TrainingRecipe:
        """The official fine-tune with its quirks; the official interface offers 2 to 50 epochs of S1, 1 to 25 of S2, up
        to 16 (`flow_epochs`) in v3 and v4.

        `bfloat16` stands for the half precision that is upstream's default; False is its `is_half=False`.
        """
        return cls(
            bfloat16=bfloat16,
            official=OfficialRecipe(
                semantic_epochs=semantic_epochs,
                semantic_batch=batch,
                preference=preference,
                acoustic_epochs=acoustic_epochs,
                acoustic_batch=batch,
                text_low_rate=text_low_rate,
            ),
            flow=FlowRecipe(epochs=flow_epochs, batch=batch),
        )

    @classmethod
    def tiny(cls) -> TrainingRecipe:
        """A few steps of everything, for tests with the tiny configuration."""
        return cls(
            semantic=SemanticRecipe(steps=4, batch=2, learning_rate=1e-3, warm_up=1),
            acoustic=AcousticRecipe(steps=4, batch=2, learning_rate=1e-3, warm_up=1),
            flow=FlowRecipe(rank=4, parts="lean", steps=3, batch=1, learning_rate=1e-3, warm_up=1),
            threads=1,
            bfloat16=False,
            checkpoint_every=2,
        )
