"""The language of conditions: parsed by lark, typed when the pack loads, then a tree that is walked once.

    text.family_emergency and requester.account_age_days < threshold.young_account_days
    near(80, terms("kin"), terms("mishap"), unless(12, terms("send"), terms("never")))

Types are bool, int, number (a float; an int is one too), text, and hits (places in the text). It always ends: there
are no loops, no definitions and no recursion, the tree has at most ``MAX_NODES`` nodes, and every function costs at
most a sort of bounded lists. Nothing of a pack is ever run as Python.

``/`` and ``%`` of ints are Python's floor division. A divisor that is always zero is refused at load; one that happens
to be zero raises RuleFailed, and the text is refused by that name.
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import lark

from safety.detectors import spans
from safety.detectors.spans import NOWHERE, Hits
from safety.policy.errors import DividesByZero, ExpressionInvalid, RuleFailed, UnknownFact
from safety.policy.facts import Kind, Value

MAX_CHARS: Final = 8_000
MAX_NODES: Final = 1_000
MAX_DEPTH: Final = 40
MAX_DISTANCE: Final = 5_000

Result = Any
"""bool, int, float, str or Hits, as the node's kind says: the check at load is what makes that true."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a condition may name: facts with their kinds, thresholds, and (in features only) what finds places."""

    facts: Mapping[str, Kind]
    thresholds: Mapping[str, int | float]
    terms: frozenset[str] = frozenset()
    patterns: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()


@dataclass(slots=True)
class World:
    """What a condition is asked about: facts, and where one reading of the text has which terms and patterns.

    ``places`` grows while the features are computed: those that are hits, under their names.
    """

    facts: Mapping[str, Value]
    terms: Mapping[str, Hits]
    patterns: Mapping[str, Hits]
    clauses: Hits = NOWHERE
    places: dict[str, Hits] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Node:
    """``constant`` is None unless the value is the same in every world."""

    kind: Kind
    value: Callable[[World], Result]
    constant: Result | None = None


_parser: Final = lark.Lark(
    (Path(__file__).parent / "grammar.lark").read_text(encoding="utf-8"), parser="lalr", maybe_placeholders=False
)


def compile_condition(source: str, scope: Scope) -> Node:
    """A node of kind bool or hits (which are true where there are any).

    Raises ExpressionInvalid, UnknownFact, DividesByZero.
    """
    return _truth(_compile(source, scope))


def compile_feature(source: str, scope: Scope) -> Node:
    """A node of kind bool, int, number or hits. Raises as `compile_condition`."""
    node = _compile(source, scope)
    if node.kind == "text":
        raise ExpressionInvalid("a feature is a truth, a number, or places in the text")
    return node


def _compile(source: str, scope: Scope) -> Node:
    if len(source) > MAX_CHARS:
        raise ExpressionInvalid(f"longer than {MAX_CHARS} characters")
    # Bounds the parser's own work before it begins: nesting is made of these.
    if source.count("(") + source.count("not ") + source.count("-") > MAX_NODES:
        raise ExpressionInvalid("too complex")
    try:
        tree = _parser.parse(source)
        return _Builder(scope).build(tree, 1)
    except lark.exceptions.UnexpectedInput as error:
        context = error.get_context(source).strip().replace("\n", " ")
        raise ExpressionInvalid(f"does not parse at column {error.column}: {context}") from error
    except lark.exceptions.LarkError as error:
        raise ExpressionInvalid(f"does not parse: {error}") from error


class _Builder:
    """From the parse tree to typed nodes."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._left = MAX_NODES

    def build(self, tree: Any, depth: int) -> Node:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise ExpressionInvalid("too complex")
        make: Callable[[Sequence[Any], int], Node] = getattr(self, f"_{tree.data}")
        return make(tree.children, depth + 1)

    # -- literals and names -------------------------------------------------------------------------------------------

    def _whole(self, parts: Sequence[Any], _: int) -> Node:
        return _constant("int", int(parts[0]))

    def _decimal(self, parts: Sequence[Any], _: int) -> Node:
        return _constant("number", float(parts[0]))

    def _quoted(self, parts: Sequence[Any], _: int) -> Node:
        return _constant("text", parts[0][1:-1])

    def _yes(self, parts: Sequence[Any], _: int) -> Node:
        return _constant("bool", True)

    def _no(self, parts: Sequence[Any], _: int) -> Node:
        return _constant("bool", False)

    def _fact(self, parts: Sequence[Any], _: int) -> Node:
        name = str(parts[0])
        if name.startswith("threshold."):
            value = self._scope.thresholds.get(name.removeprefix("threshold."))
            if value is None:
                raise UnknownFact(f"there is no {name}")
            return _constant("int" if isinstance(value, int) else "number", value)
        kind = self._scope.facts.get(name)
        if kind is None:
            raise UnknownFact(f"there is no fact {name}")
        return Node(kind, lambda world: world.facts[name])

    # -- logic and arithmetic -----------------------------------------------------------------------------------------

    def _either(self, parts: Sequence[Any], depth: int) -> Node:
        nodes = [_truth(self.build(part, depth)) for part in parts]
        return Node("bool", lambda world: any(node.value(world) for node in nodes))

    def _both(self, parts: Sequence[Any], depth: int) -> Node:
        nodes = [_truth(self.build(part, depth)) for part in parts]
        return Node("bool", lambda world: all(node.value(world) for node in nodes))

    def _denied(self, parts: Sequence[Any], depth: int) -> Node:
        node = _truth(self.build(parts[0], depth))
        return Node("bool", lambda world: not node.value(world))

    def _comparison(self, parts: Sequence[Any], depth: int) -> Node:
        left, right = self.build(parts[0], depth), self.build(parts[2], depth)
        sign = str(parts[1])
        numbers = _is_number(left) and _is_number(right)
        same = left.kind == right.kind and left.kind in ("bool", "text")
        if not (numbers or (same and sign in ("==", "!="))):
            raise ExpressionInvalid(f"'{left.kind} {sign} {right.kind}' has no meaning")
        compare = _COMPARE[sign]
        return Node("bool", lambda world: bool(compare(left.value(world), right.value(world))))

    def _member(self, parts: Sequence[Any], depth: int) -> Node:
        node = self.build(parts[0], depth)
        if node.kind != "text":
            raise ExpressionInvalid("'in' asks about a text")
        choices = frozenset(str(item)[1:-1] for item in parts[1].children)
        return Node("bool", lambda world: node.value(world) in choices)

    def _negative(self, parts: Sequence[Any], depth: int) -> Node:
        node = _number(self.build(parts[0], depth), "-")
        value = None if node.constant is None else -node.constant
        return Node(node.kind, lambda world: -node.value(world), value)

    def _sum(self, parts: Sequence[Any], depth: int) -> Node:
        return self._chain(parts, depth)

    def _product(self, parts: Sequence[Any], depth: int) -> Node:
        return self._chain(parts, depth)

    def _chain(self, parts: Sequence[Any], depth: int) -> Node:
        node = _number(self.build(parts[0], depth), str(parts[1]))
        for at in range(1, len(parts), 2):
            node = _arithmetic(str(parts[at]), node, _number(self.build(parts[at + 1], depth), str(parts[at])))
        return node

    # -- functions ----------------------------------------------------------------------------------------------------

    def _call(self, parts: Sequence[Any], depth: int) -> Node:
        name = str(parts[0])
        make = getattr(self, f"_f_{name}", None)
        if make is None:
            raise UnknownFact(f"there is no function {name}")
        if (len(parts) == 1) != (name == "clause"):
            raise ExpressionInvalid(f"{name}() has the wrong number of arguments")
        node: Node = make([self.build(part, depth) for part in parts[1:]])
        return node

    def _f_terms(self, args: list[Node]) -> Node:
        name = _name(args, "terms", self._scope.terms)
        return Node("hits", lambda world: world.terms.get(name, NOWHERE))

    def _f_pattern(self, args: list[Node]) -> Node:
        name = _name(args, "pattern", self._scope.patterns)
        return Node("hits", lambda world: world.patterns.get(name, NOWHERE))

    def _f_place(self, args: list[Node]) -> Node:
        name = _name(args, "place", self._scope.places)
        return Node("hits", lambda world: world.places.get(name, NOWHERE))

    def _f_clause(self, args: list[Node]) -> Node:
        return Node("hits", lambda world: world.clauses)

    def _f_weigh(self, args: list[Node]) -> Node:
        places, points = args[1::2], args[2::2]
        distance, places = _distance([args[0], *places], "weigh", 1, 160)
        if len(points) != len(places) or any(one.kind != "int" or one.constant is None for one in points):
            raise ExpressionInvalid("weigh() takes a distance, then places and points by turns")
        pairs = [(place, int(one.constant or 0)) for place, one in zip(places, points, strict=True)]
        return Node("int", lambda world: spans.weigh(distance, [(hit.value(world), one) for hit, one in pairs]))

    def _f_points(self, args: list[Node]) -> Node:
        if len(args) != 2 or args[1].kind != "int" or args[1].constant is None:
            raise ExpressionInvalid("points() takes a truth and a whole number")
        truth, number = _truth(args[0]), args[1].constant
        return Node("int", lambda world: number if truth.value(world) else 0)

    def _f_any(self, args: list[Node]) -> Node:
        _all_hits(args, "any")
        return Node("hits", lambda world: spans.union([arg.value(world) for arg in args]))

    def _f_near(self, args: list[Node]) -> Node:
        distance, hits = _distance(args, "near", 2, 6)

        def value(world: World) -> Hits:
            found: list[Hits] = []
            for hit in hits:
                found.append(hit.value(world))
                if not found[-1]:  # most often: the others need not be looked for
                    return NOWHERE
            return spans.near(distance, found)

        return Node("hits", value)

    def _f_before(self, args: list[Node]) -> Node:
        distance, (first, then) = _distance(args, "before", 2, 2)
        return Node("hits", lambda world: spans.before(distance, first.value(world), then.value(world)))

    def _f_unless(self, args: list[Node]) -> Node:
        distance, (hits, guards) = _distance(args, "unless", 2, 2)
        return Node("hits", lambda world: spans.unless(distance, hits.value(world), guards.value(world)))

    def _f_apart(self, args: list[Node]) -> Node:
        distance, (hits, guards) = _distance(args, "apart", 2, 2)
        return Node("hits", lambda world: spans.apart(distance, hits.value(world), guards.value(world)))

    def _f_count(self, args: list[Node]) -> Node:
        _all_hits(args, "count")
        return Node("int", lambda world: sum(len(arg.value(world)) for arg in args))

    def _f_min(self, args: list[Node]) -> Node:
        return _extreme(min, args)

    def _f_max(self, args: list[Node]) -> Node:
        return _extreme(max, args)


_COMPARE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
}


def _constant(kind: Kind, value: Result) -> Node:
    return Node(kind, lambda world: value, value)


def _is_number(node: Node) -> bool:
    return node.kind in ("int", "number")


def _number(node: Node, sign: str) -> Node:
    if not _is_number(node):
        raise ExpressionInvalid(f"'{sign}' wants numbers, not {node.kind}")
    return node


def _truth(node: Node) -> Node:
    if node.kind == "bool":
        return node
    if node.kind == "hits":
        return Node("bool", lambda world: bool(node.value(world)))
    raise ExpressionInvalid(f"a truth is wanted, not {node.kind}")


def _arithmetic(sign: str, left: Node, right: Node) -> Node:
    whole = left.kind == right.kind == "int"
    act = operator.floordiv if whole and sign == "/" else _ARITHMETIC[sign]
    divides = sign in ("/", "%")
    if divides and right.constant == 0:
        raise DividesByZero(f"'{sign}' by what is always zero")

    def compute(a: Result, b: Result) -> Result:
        if divides and b == 0:
            raise RuleFailed(f"'{sign}' by zero")
        try:
            result = act(a, b)
        except OverflowError as error:
            raise RuleFailed("a number out of range") from error
        if isinstance(result, float) and not math.isfinite(result):
            raise RuleFailed("a number out of range")
        return result

    both = left.constant is not None and right.constant is not None
    try:
        value = compute(left.constant, right.constant) if both else None
    except RuleFailed as error:
        raise ExpressionInvalid(str(error)) from error
    return Node("int" if whole else "number", lambda world: compute(left.value(world), right.value(world)), value)


def _name(args: list[Node], function: str, known: frozenset[str]) -> str:
    if len(args) != 1 or not isinstance(args[0].constant, str):
        raise ExpressionInvalid(f"{function}() takes one name in quotes")
    name: str = args[0].constant
    if name not in known:
        raise UnknownFact(f"there is no {function}({name!r}) here")
    return name


def _all_hits(args: list[Node], function: str) -> None:
    if any(arg.kind != "hits" for arg in args):
        raise ExpressionInvalid(f"{function}() takes terms, patterns and what is made of them")


def _distance(args: list[Node], function: str, least: int, most: int) -> tuple[int, list[Node]]:
    found = args[0].constant
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= MAX_DISTANCE:
        raise ExpressionInvalid(f"{function}() begins with a distance of 0 to {MAX_DISTANCE} letters")
    if not least <= len(args) - 1 <= most:
        raise ExpressionInvalid(f"{function}() takes a distance and {least} to {most} places")
    _all_hits(args[1:], function)
    return found, args[1:]


def _extreme(pick: Callable[..., Any], args: list[Node]) -> Node:
    if len(args) < 2 or not all(_is_number(arg) for arg in args):
        raise ExpressionInvalid("min() and max() take two numbers or more")
    kind: Kind = "int" if all(arg.kind == "int" for arg in args) else "number"
    known = [arg.constant for arg in args]
    value = None if None in known else pick(known)
    return Node(kind, lambda world: pick(arg.value(world) for arg in args), value)
