"""Policy packs: a folder of JSON that says what may not be spoken, checked whole before a single rule of it is used.

    <pack>/pack.json        name, version, languages, clauses (id -> the sentence a refusal cites)
    <pack>/rules/*.json     one file per subject, each a list of rules

A rule names its clause, its outcome, and groups of phrases; it matches where every group has one phrase in the window
(see ``safety.detectors.patterns``). Every rule carries sentences it must match and sentences it must not, and a pack
whose own sentences fail does not load: an edit that blinds a rule is found before it reaches a person.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from safety.detectors.normalise import Stream, normalise
from safety.detectors.patterns import Pattern, PhraseTooShort

MAX_FILE_BYTES: Final = 1_000_000
"""A rule file is written by people; a larger one is a mistake or an attack."""
MAX_FILES: Final = 200
DEFAULT_WINDOW: Final = 240
"""Letters one match may span: some five English sentences, so that a novel's chapter one and nine do not add up."""

Outcome = Literal["hold", "refuse"]
SEVERITY_OF: Final[dict[str, int]] = {"allow": 0, "hold": 1, "refuse": 2}

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Sentence = Annotated[str, StringConstraints(min_length=2, max_length=400, strip_whitespace=True)]
Written = Annotated[str, StringConstraints(min_length=1, max_length=80, strip_whitespace=True)]

Model = TypeVar("Model", bound=BaseModel)


class PackInvalid(ValueError):
    """The pack does not load; the message says which file and why."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Examples(_Strict):
    match: list[Sentence] = Field(min_length=1, max_length=100)
    clean: list[Sentence] = Field(min_length=1, max_length=100)


class RuleSource(_Strict):
    """One rule as written. ``severity`` orders the moderators' queue: 1 ordinary, 2 harm to a person, 3 at once."""

    id: Slug
    clause: Slug
    outcome: Outcome
    severity: int = Field(ge=1, le=3)
    languages: list[Slug] = Field(min_length=1, max_length=20)
    within: int | None = Field(default=DEFAULT_WINDOW, ge=10, le=5_000)
    all_of: list[Annotated[list[Written], Field(min_length=1, max_length=500)]] = Field(min_length=1, max_length=5)
    examples: Examples


class RuleFile(_Strict):
    rules: list[RuleSource] = Field(min_length=1, max_length=200)


class PackHead(_Strict):
    name: Slug
    version: Slug
    languages: list[Slug] = Field(min_length=1, max_length=50)
    clauses: dict[Slug, Sentence]


class PackSource(_Strict):
    """The whole pack as data; its canonical bytes are what a decision's hash names."""

    head: PackHead
    rules: list[RuleSource] = Field(min_length=1, max_length=2_000)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ids = [rule.id for rule in self.rules]
        if len(set(ids)) != len(ids):
            raise ValueError("two rules share an id")
        for rule in self.rules:
            if rule.clause not in self.head.clauses:
                raise ValueError(f"rule {rule.id} cites the unknown clause {rule.clause}")
            if not set(rule.languages) <= set(self.head.languages):
                raise ValueError(f"rule {rule.id} names a language the pack does not cover")
        return self

    def canonical(self) -> bytes:
        """UTF-8 JSON, keys sorted, no spaces: the same bytes for the same rules wherever they are loaded."""
        data = self.model_dump(mode="json")
        return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    clause: str
    outcome: Outcome
    severity: int
    pattern: Pattern
    examples: Examples


@dataclass(frozen=True, slots=True)
class Pack:
    """A loaded pack. ``rules`` are ordered strongest first, so the first match is the verdict."""

    name: str
    version: str
    sha256: str
    languages: frozenset[str]
    clauses: dict[str, str]
    rules: tuple[Rule, ...]

    @property
    def label(self) -> str:
        return f"{self.name}@{self.version}"

    def first_match(self, streams: tuple[Stream, ...]) -> Rule | None:
        return next((rule for rule in self.rules if rule.pattern.matches(streams)), None)


def load(folder: Path) -> Pack:
    """Reads and checks the pack in ``folder``. Raises PackInvalid; never returns a part of a pack."""
    head = _read(folder / "pack.json", PackHead)
    files = sorted((folder / "rules").glob("*.json"))
    if not 0 < len(files) <= MAX_FILES:
        raise PackInvalid(f"{folder.name}: {len(files)} rule files (1 to {MAX_FILES} wanted)")
    rules = [rule for file in files for rule in _read(file, RuleFile).rules]
    return compile_pack(head, rules)


def compile_pack(head: PackHead, sources: list[RuleSource]) -> Pack:
    """Checks rules against their head and against their own examples. Raises PackInvalid."""
    try:
        source = PackSource(head=head, rules=sources)
        rules = [_compile(rule) for rule in source.rules]
    except (ValidationError, PhraseTooShort) as error:
        raise PackInvalid(f"{head.name}: {error}") from error
    rules.sort(key=lambda rule: (-SEVERITY_OF[rule.outcome], -rule.severity))
    for rule in rules:
        _prove(rule)
    return Pack(
        name=head.name,
        version=head.version,
        sha256=hashlib.sha256(source.canonical()).hexdigest(),
        languages=frozenset(head.languages),
        clauses=dict(head.clauses),
        rules=tuple(rules),
    )


def _compile(rule: RuleSource) -> Rule:
    pattern = Pattern.of(rule.all_of, within=rule.within)
    return Rule(rule.id, rule.clause, rule.outcome, rule.severity, pattern, rule.examples)


def _prove(rule: Rule) -> None:
    for sentence in rule.examples.match:
        if not rule.pattern.matches(normalise(sentence)):
            raise PackInvalid(f"rule {rule.id} misses its own example: {sentence}")
    for sentence in rule.examples.clean:
        if rule.pattern.matches(normalise(sentence)):
            raise PackInvalid(f"rule {rule.id} matches its own innocent example: {sentence}")


def _read(file: Path, model: type[Model]) -> Model:
    try:
        with file.open("rb") as handle:
            data = handle.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise PackInvalid(f"{file.name}: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise PackInvalid(f"{file.name}: larger than {MAX_FILE_BYTES} bytes")
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise PackInvalid(f"{file.name}: {error}") from error
