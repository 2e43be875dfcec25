"""How long and how hard a voice is trained. Frozen values; the presets say what they are for."""

from __future__ import annotations

from dataclasses import dataclass, field


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


@dataclass(frozen=True)
class AcousticRecipe:
    """S2, codes to sound. Spectral losses; with `adversarial_from` also critics from that step on (None: never)."""

    steps: int = 70
    batch: int = 8
    #: Content frames of one batch at most: bounds memory and step time for long utterances.
    batch_frames: int = 1600
    learning_rate: float = 3e-4
    #: Rate of the text and code encoders relative to the rest: they know their job from the base (upstream's 0.4).
    text_rate: float = 0.4
    mel_weight: float = 30.0
    resolution_weight: float = 10.0
    adversarial_from: int | None = None
    critic_rate: float = 2e-4
    warm_up: int = 5
    final: float = 0.2
    clip: float = 200.0
    betas: tuple[float, float] = (0.8, 0.99)


@dataclass(frozen=True)
class TrainingRecipe:
    """Everything `train_voice` may be told about the training itself."""

    semantic: SemanticRecipe = field(default_factory=SemanticRecipe)
    acoustic: AcousticRecipe = field(default_factory=AcousticRecipe)
    #: Threads torch uses. OpenMP spins at every barrier, so one thread more than there are free cores is not a
    #: little slower but much (measured: eight times). One is right everywhere.
    threads: int = 1
    #: bfloat16 matrix products, for processors with AVX512-BF16, AMX or CUDA; others are slower with it.
    bfloat16: bool = True
    #: A checkpoint every this many steps.
    checkpoint_every: int = 50
    #: Steps whose loss or gradient is not finite are left out; more than this many end the training.
    most_skipped: int = 10

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
            checkpoint_every=100,
        )

    @classmethod
    def tiny(cls) -> TrainingRecipe:
        """A few steps of everything, for tests with the tiny configuration."""
        return cls(
            semantic=SemanticRecipe(steps=4, batch=2, learning_rate=1e-3, warm_up=1),
            acoustic=AcousticRecipe(steps=4, batch=2, learning_rate=1e-3, warm_up=1),
            threads=1,
            bfloat16=False,
            checkpoint_every=2,
        )
