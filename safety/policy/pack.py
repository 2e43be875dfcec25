"""Policy packs: a signed folder that says what may not be spoken, checked whole before a single rule of it is used.

    <pack>/pack.json              name, version, languages, thresholds, clauses (id -> the sentence a refusal cites)
    <pack>/terms/<language>.json      lists of phrases by name; a list may have a part in every language
    <pack>/patterns/<language>.json   regular expressions by name (RE2)
    <pack>/features.json          what the text says: ``text.<name>``, in order; one may use those before it
    <pack>/rules/*.json           what follows: conditions over facts, with outcome, clause and examples
    <pack>/signature.json         Ed25519, over the canonical bytes of all of the above (see `safety.policy.signing`)

Features alone read the text, rules see facts alone; so a decision can be made again from its facts. Every rule
carries sentences it must match and sentences it must not, and a pack whose own sentences fail does not load: an edit
that blinds a rule is found before it reaches a person.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from safety.detectors.lexicon import Lexicon, PhraseTooShort, Regex, RegexRefused
from safety.policy import signing
from safety.policy.errors import ExpressionInvalid, PackInvalid, PatternInvalid
from safety.policy.expressions import Node, Scope, compile_condition, compile_feature
from safety.policy.facts import BUILT_IN, CLASSIFIER_PREFIX, Classifier, Kind, Value

MAX_FILE_BYTES: Final = 1_000_000
"""A file of a pack is written by people; a larger one is a mistake or an attack."""
MAX_FILES: Final = 200
MAX_PACK_BYTES: Final = 4_000_000

RuleOutcome = Literal["allow_with_label", "ask_owner", "hold", "refuse"]
OUTCOMES: Final = ("allow", "allow_with_label", "ask_owner", "hold", "refuse")
"""From the mildest to the strongest. Of the rules that fire, the strongest decides."""

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Sentence = Annotated[str, StringConstraints(min_length=2, max_length=400, strip_whitespace=True)]
Written = Annotated[str, StringConstraints(min_length=1, max_length=80, strip_whitespace=True)]
Condition = Annotated[str, StringConstraints(min_length=1, max_length=8_000)]

Model = TypeVar("Model", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Examples(_Strict):
    """``facts``: what is known beside the text in these examples, ``clean_facts`` of the innocent ones where that
    differs; everything else is neutral."""

    match: list[Sentence] = Field(min_length=1, max_length=100)
    clean: list[Sentence] = Field(min_length=1, max_length=100)
    facts: dict[str, bool | int | float | str] = Field(default_factory=dict)
    clean_facts: dict[str, bool | int | float | str] | None = None


class RuleSource(_Strict):
    """One rule as written. ``severity`` orders the moderators' queue: 1 ordinary, 2 harm to a person, 3 at once.

    ``label``: the note an output carries, of rules that allow with a label and of no others.
    """

    id: Slug
    when: Condition
    clause: Slug
    outcome: RuleOutcome
    severity: int = Field(ge=1, le=3)
    label: str = Field(default="", max_length=80)
    examples: Examples

    @model_validator(mode="after")
    def _labelled(self) -> Self:
        if (self.outcome == "allow_with_label") != bool(self.label):
            raise ValueError(f"rule {self.id}: 'allow_with_label' needs a label, and nothing else has one")
        return self


class FeatureSource(_Strict):
    """``value`` is an expression over terms, patterns, facts of the text and the features before it.

    One that is places in the text (hits) is a fact as whether there are any, and stays places for later features.
    """

    name: Name
    value: Condition


class _RuleFile(_Strict):
    rules: list[RuleSource] = Field(min_length=1, max_length=200)


class _FeatureFile(_Strict):
    features: list[FeatureSource] = Field(max_length=200)


class _TermFile(_Strict):
    terms: dict[Name, Annotated[list[Written], Field(min_length=1, max_length=2_000)]]


class _PatternFile(_Strict):
    patterns: dict[Name, str]


class PackHead(_Strict):
    name: Slug
    version: Slug
    languages: list[Slug] = Field(min_length=1, max_length=50)
    thresholds: dict[Name, int | float] = Field(default_factory=dict, max_length=100)
    clauses: dict[Slug, Sentence]


class PackSource(_Strict):
    """The whole pack as data; its canonical bytes are what a decision's hash names and what is signed."""

    head: PackHead
    terms: dict[Slug, dict[Name, list[Written]]]
    patterns: dict[Slug, dict[Name, str]]
    features: list[FeatureSource]
    rules: list[RuleSource] = Field(min_length=1, max_length=2_000)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ids = [rule.id for rule in self.rules]
        names = [feature.name for feature in self.features]
        if len(set(ids)) != len(ids) or len(set(names)) != len(names):
            raise ValueError("two rules share an id, or two features a name")
        for rule in self.rules:
            if rule.clause not in self.head.clauses:
                raise ValueError(f"rule {rule.id} cites the unknown clause {rule.clause}")
        if not {*self.terms, *self.patterns} <= set(self.head.languages):
            raise ValueError("terms or patterns of a language the pack does not cover")
        return self

    def canonical(self) -> bytes:
        """UTF-8 JSON, keys sorted, no spaces: the same bytes for the same pack wherever it is loaded."""
        data = self.model_dump(mode="json")
        return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    clause: str
    outcome: RuleOutcome
    severity: int
    label: str
    condition: Node
    examples: Examples


@dataclass(frozen=True, slots=True)
class Pack:
    """A loaded pack. ``rules`` are ordered strongest first, so the first that fires is the verdict.

    ``features``: (fact name, expression) in order. ``reading``: SHA-256 of what reads the text (terms, patterns,
    features): two packs that share it find the same features in every text.
    """

    name: str
    version: str
    sha256: str
    reading: str
    languages: frozenset[str]
    clauses: dict[str, str]
    lexicon: Lexicon
    patterns: dict[str, Regex]
    features: tuple[tuple[str, Node], ...]
    classifiers: frozenset[str]
    rules: tuple[Rule, ...]
    source: bytes

    @property
    def label(self) -> str:
        return f"{self.name}@{self.version}"


def load(folder: Path, *, trusted: Mapping[str, bytes], classifiers: Mapping[str, Classifier] | None = None) -> Pack:
    """The signed pack in ``folder``. ``trusted``: public keys (32 bytes) by name; ``classifiers``: those at hand.

    Raises PackUnsigned, PackInvalid (and by name what is wrong); never returns a part of a pack.
    """
    source = read(folder)
    signing.verify(folder, source.canonical(), trusted)
    return compile_pack(source, classifiers)


def read(folder: Path) -> PackSource:
    """The pack as written, its signature not looked at: for its author. Raises PackInvalid."""
    head = _read(folder / "pack.json", PackHead)
    files = sorted((folder / "rules").glob("*.json"))
    if not 0 < len(files) <= MAX_FILES:
        raise PackInvalid(f"{folder.name}: {len(files)} rule files (1 to {MAX_FILES} wanted)")
    rules = [rule for file in files for rule in _read(file, _RuleFile).rules]
    terms = {file.stem: _read(file, _TermFile).terms for file in _by_language(folder / "terms")}
    patterns = {file.stem: _read(file, _PatternFile).patterns for file in _by_language(folder / "patterns")}
    features = _read(folder / "features.json", _FeatureFile).features
    try:
        return PackSource(head=head, terms=terms, patterns=patterns, features=features, rules=rules)
    except ValidationError as error:
        raise PackInvalid(f"{head.name}: {_said(error)}") from error


def parse(canonical: bytes) -> PackSource:
    """A pack from its canonical bytes, as a deployment keeps it. Raises PackInvalid."""
    if len(canonical) > MAX_PACK_BYTES:
        raise PackInvalid(f"larger than {MAX_PACK_BYTES} bytes")
    try:
        return PackSource.model_validate_json(canonical)
    except ValidationError as error:
        raise PackInvalid(_said(error)) from error


def compile_pack(source: PackSource, classifiers: Mapping[str, Classifier] | None = None) -> Pack:
    """Types every expression and has every rule prove its own examples. Raises PackInvalid."""
    lists: dict[str, list[str]] = {}
    for part in source.terms.values():
        for name, phrases in part.items():
            lists.setdefault(name, []).extend(phrases)
    try:
        lexicon = Lexicon(lists)
    except PhraseTooShort as error:
        raise PackInvalid(f"{source.head.name}: too short a phrase: {error}") from error
    patterns = _patterns(source)
    known = {name: fact.kind for name, fact in BUILT_IN.items()}
    at_hand = classifiers or {}
    known |= {f"{CLASSIFIER_PREFIX}{name}": "number" for name in at_hand}
    features = _features(source, known, lexicon, patterns)
    scope = Scope(known, source.head.thresholds)
    rules = []
    for rule in source.rules:
        try:
            condition = compile_condition(rule.when, scope)
        except ExpressionInvalid as error:
            raise type(error)(f"rule {rule.id}: {error}") from error
        rules.append(Rule(rule.id, rule.clause, rule.outcome, rule.severity, rule.label, condition, rule.examples))
    written = " ".join([*(feature.value for feature in source.features), *(rule.when for rule in source.rules)])
    used = {name for name in at_hand if f"{CLASSIFIER_PREFIX}{name}" in written}
    rules.sort(key=lambda rule: (-OUTCOMES.index(rule.outcome), -rule.severity))
    canonical = source.canonical()
    pack = Pack(
        name=source.head.name,
        version=source.head.version,
        sha256=hashlib.sha256(canonical).hexdigest(),
        reading=_reading(source),
        languages=frozenset(source.head.languages),
        clauses=dict(source.head.clauses),
        lexicon=lexicon,
        patterns=patterns,
        features=tuple(features),
        classifiers=frozenset(used),
        rules=tuple(rules),
        source=canonical,
    )
    _prove(pack, at_hand)
    return pack


def _features(
    source: PackSource, known: dict[str, Kind], lexicon: Lexicon, patterns: Mapping[str, Regex]
) -> list[tuple[str, Node]]:
    """Compiles the features in order; each joins ``known`` for those after it."""
    found = []
    places: set[str] = set()
    for feature in source.features:
        name = f"text.{feature.name}"
        if name in BUILT_IN:
            raise PackInvalid(f"feature {feature.name}: this fact is built in")
        of_text = {fact: kind for fact, kind in known.items() if fact.startswith(("text.", CLASSIFIER_PREFIX))}
        scope = Scope(of_text, source.head.thresholds, lexicon.names, frozenset(patterns), frozenset(places))
        try:
            node = compile_feature(feature.value, scope)
        except ExpressionInvalid as error:
            raise type(error)(f"feature {feature.name}: {error}") from error
        if node.kind == "hits":
            places.add(feature.name)
        known[name] = "bool" if node.kind == "hits" else node.kind
        found.append((name, node))
    return found


def _patterns(source: PackSource) -> dict[str, Regex]:
    """Of a name that several languages have, the alternatives are joined."""
    written: dict[str, list[str]] = {}
    for part in source.patterns.values():
        for name, pattern in part.items():
            written.setdefault(name, []).append(pattern)
    found = {}
    for name, alternatives in written.items():
        try:
            for one in alternatives:
                Regex.of(one)
            found[name] = Regex.of("|".join(f"(?:{one})" for one in alternatives))
        except RegexRefused as error:
            raise PatternInvalid(f"pattern {name}: {error}") from error
    return found


def _reading(source: PackSource) -> str:
    data = source.model_dump(mode="json", include={"terms", "patterns", "features"})
    data["thresholds"] = source.head.model_dump(mode="json")["thresholds"]  # a feature may use them
    return hashlib.sha256(json.dumps(data, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def _prove(pack: Pack, classifiers: Mapping[str, Classifier]) -> None:
    from safety.policy.deciding import facts_of, fires

    for rule in pack.rules:
        examples = rule.examples
        clean_facts = examples.facts if examples.clean_facts is None else examples.clean_facts
        for wanted, sentences, known in (
            (True, examples.match, examples.facts),
            (False, examples.clean, clean_facts),
        ):
            given: dict[str, Value] = dict(known)
            for sentence in sentences:
                try:
                    facts = facts_of(sentence, pack, language="", known=given, classifiers=classifiers)
                except ValueError as error:
                    raise PackInvalid(f"rule {rule.id}: {error}") from error
                if fires(rule, facts) is not wanted:
                    says = "misses its own example" if wanted else "matches its own innocent example"
                    raise PackInvalid(f"rule {rule.id} {says}: {sentence}")


def _by_language(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.json"))
    if len(files) > MAX_FILES:
        raise PackInvalid(f"{folder.name}: {len(files)} files (at most {MAX_FILES})")
    return files


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
        raise PackInvalid(f"{file.name}: {_said(error)}") from error


def _said(error: ValidationError) -> str:
    found: list[Any] = error.errors(include_url=False, include_context=False, include_input=False)[:3]
    return "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in found)
