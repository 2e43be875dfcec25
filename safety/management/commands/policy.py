import json
import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from foundation.clock import now
from foundation.errors import VouchError
from foundation.identity.actors import Actor
from safety.policy import library, replay
from safety.policy.errors import PackInvalid
from safety.policy.models import PackState, PolicyDecision, PolicyPack

ACTOR = Actor.system("policy")


class Command(BaseCommand):
    """Policy packs: check, sign, try on the past, run in the shadow, put in force, take back."""

    help = "check | sign | simulate | shadow | promote | rollback | status | rerun (see docs/policy.md)"

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        for name, text in (
            ("check", "loads a signed pack and says its hash"),
            ("sign", "checks a pack and signs it with this deployment's key"),
            ("promote", "puts a signed pack in force"),
        ):
            acts.add_parser(name, help=text).add_argument("pack", type=Path)
        simulate = acts.add_parser("simulate", help="which past decisions a pack would change")
        simulate.add_argument("pack", type=Path)
        simulate.add_argument("--since", type=_span, default=timedelta(days=90), help="90d, 12h (default 90d)")
        simulate.add_argument("--json", action="store_true")
        shadow = acts.add_parser("shadow", help="runs a pack beside the one in force; without one, ends that")
        shadow.add_argument("pack", type=Path, nargs="?")
        shadow.add_argument("--off", action="store_true")
        acts.add_parser("rollback", help="returns to the pack that was in force before")
        status = acts.add_parser("status", help="what is in force, what runs in the shadow and where they differ")
        status.add_argument("--since", type=_span, default=timedelta(days=90))
        status.add_argument("--json", action="store_true")
        rerun = acts.add_parser("rerun", help="makes decisions again from what they kept")
        rerun.add_argument("decision", nargs="?", help="an id; without one, all of --since")
        rerun.add_argument("--since", type=_span, default=timedelta(days=90))

    def handle(self, *args: Any, act: str, **options: Any) -> None:
        run: Callable[..., None] = getattr(self, f"_{act}")
        try:
            run(**options)
        except PackInvalid as error:
            raise CommandError(f"{error.code}: {error}. The pack in force stays.") from error
        except VouchError as error:
            raise CommandError(f"{error.code}: {error}") from error

    def _check(self, *, pack: Path, **_: Any) -> None:
        found = library.take(pack)
        self.stdout.write(f"{found.label} {found.sha256}: {len(found.rules)} rules, {len(found.features)} features")

    def _sign(self, *, pack: Path, **_: Any) -> None:
        found = library.sign(pack)
        self.stdout.write(f"{found.label} {found.sha256} is signed.")

    def _promote(self, *, pack: Path, **_: Any) -> None:
        row = library.promote(folder=pack, actor=ACTOR)
        self.stdout.write(f"{row} {row.sha256} is in force.")

    def _rollback(self, **_: Any) -> None:
        row = library.rollback(actor=ACTOR)
        self.stdout.write(f"{row} {row.sha256} is in force again.")

    def _shadow(self, *, pack: Path | None, off: bool, **_: Any) -> None:
        if (pack is None) != off:
            raise CommandError("Name a pack, or say --off.")
        row = library.shadow(folder=pack, actor=ACTOR)
        self.stdout.write(f"{row} {row.sha256} runs in the shadow." if row else "Nothing runs in the shadow.")

    def _simulate(self, *, pack: Path, since: timedelta, **options: Any) -> None:
        found = library.take(pack)
        self._show(replay.simulate(found, since=now() - since).to_dict(), found.label, as_json=options["json"])

    def _status(self, *, since: timedelta, **options: Any) -> None:
        used = library.in_use()
        self.stdout.write(f"in force: {used.live.label} {used.live.sha256}")
        row = PolicyPack.objects.filter(state=PackState.SHADOW).first()
        if row is None:
            self.stdout.write("in the shadow: none")
            return
        began = max(now() - since, row.since or now())
        self.stdout.write(f"in the shadow: {row} {row.sha256} since {began.isoformat()}")
        report = replay.shadowed(sha256=row.sha256, since=began)
        self._show(report.to_dict(), str(row), as_json=options["json"])

    def _rerun(self, *, decision: str | None, since: timedelta, **_: Any) -> None:
        rows = PolicyDecision.objects.filter(at__gte=now() - since).order_by("at", "id")
        if decision is not None:
            rows = PolicyDecision.objects.filter(id=decision)
            if not rows.exists():
                raise CommandError("There is no such decision.")
        same = differing = 0
        for row, found, equal in replay.rerun(rows.iterator()):
            same, differing = same + equal, differing + (not equal)
            if decision is not None or not equal:
                self.stdout.write(f"{row.id}: {row.outcome} {row.rule} -> {found.outcome} {found.rule}")
        self.stdout.write(f"{same} the same, {differing} different")
        if differing:
            raise CommandError("A decision does not repeat.")

    def _show(self, report: dict[str, Any], label: str, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(report, indent=1))
            return
        load = report["queue_load"]
        self.stdout.write(
            f"{label}: {report['replayed']} decisions, {report['changed']} change,"
            f" {report['not_replayed']} not replayed (their texts are gone)"
        )
        for title, rows in (
            ("by outcome", report["changes"]),
            ("by rule", report["by_rule"]),
            ("by language", report["by_language"].items()),
            ("by age of the account", report["by_account_age"].items()),
        ):
            self.stdout.write(f"{title}:")
            for row in rows:
                *key, count = row
                self.stdout.write(f"  {count:6} {' -> '.join(one or 'none' for one in key)}")
        self.stdout.write(
            f"queue: {load['per_day_then']} -> {load['per_day_now']} cases a day, busiest day"
            f" {load['busiest_day_then']} -> {load['busiest_day_now']}, over {load['days']} days"
        )


def _span(text: str) -> timedelta:
    found = re.fullmatch(r"([1-9][0-9]{0,4})([dh])", text)
    if not found:
        raise ArgumentTypeError(f"{text!r} is no span: 90d or 12h")
    number = int(found[1])
    return timedelta(days=number) if found[2] == "d" else timedelta(hours=number)
