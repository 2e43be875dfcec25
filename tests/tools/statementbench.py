"""``python -m tests.tools.statementbench``: how long the statement of a busy month takes, on this machine.

Fills a PostgreSQL of its own with an owner's month (a million uses under twenty licences and none), then makes the
statement, writes its file and verifies that. The uses are written around the application, as the workers would have
left them; everything that is timed is the application's own. Beside the wall clock stand the processor seconds of this
process, which a busy machine does not lengthen as much; the database works beside it on the other core.
"""

import argparse
import io
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from vouch.runtime import postgres

LICENCES = 20
CHARACTERS = 61
MILLISECONDS = 4_210


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.statementbench", description=__doc__)
    parser.add_argument("--uses", type=int, default=1_000_000)
    options = parser.parse_args()
    var = Path(tempfile.mkdtemp(prefix="vouch-bench-"))
    (var / "static").mkdir()
    server = postgres.start(var / "postgres")
    os.environ.update(
        DATABASE_URL=server.url, REDIS_URL="redis://unused", VOUCH_ENV="development", VOUCH_REHEARSAL="1",
        VOUCH_VAR=str(var), VOUCH_SECRET_KEY=secrets.token_hex(32), VOUCH_FEE_BP="1000",
        DJANGO_SETTINGS_MODULE="vouch.settings",
    )  # fmt: skip
    try:
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        call_command("make_keys", verbosity=0)
        sys.stdout.write(json.dumps(measure(options.uses, var / "statement.jsonl"), indent=2) + "\n")
    finally:
        server.stop()
        shutil.rmtree(server.home, ignore_errors=True)
        shutil.rmtree(var, ignore_errors=True)
    return 0


def measure(uses: int, path: Path) -> dict[str, Any]:
    from django.db import reset_queries

    from foundation import keys
    from foundation.clock import now
    from foundation.identity.actors import Actor
    from marketplace.statements import making, verify

    load = os.getloadavg()[0]
    begun = time.perf_counter()
    owner = fill(uses)
    filled = time.perf_counter()
    reset_queries()
    used = time.process_time()
    statement = making.make(actor=Actor.of(owner), period=now().strftime("%Y-%m"))
    made, used = time.perf_counter(), time.process_time() - used
    with path.open("wb") as file:
        file.writelines(making.file(statement))
    written = time.perf_counter()
    with path.open("rb") as file:
        found = verify.check(io.BufferedReader(file.raw, 1 << 20), keys.public_key("log"))
    verified = time.perf_counter()
    return {
        "uses": found.summary["uses"],
        "totals": found.summary["totals"],
        "load_before": load,
        "filling_s": round(filled - begun, 1),
        "statement_s": round(made - filled, 2),
        "statement_cpu_s": round(used, 2),
        "file_s": round(written - made, 2),
        "file_mb": round(path.stat().st_size / 1e6, 1),
        "verify_s": round(verified - written, 2),
    }


def fill(uses: int) -> Any:
    """An owner with so many metered uses this month."""
    from django.db import connection, transaction

    from cloning import usage_leaf
    from cloning.models import UsageAccount
    from foundation.audit import log
    from foundation.clock import now
    from foundation.identity.actors import Actor
    from foundation.identity.models import Person
    from marketplace import services
    from tests.marketplace.factories import heard, ready_voice

    def person(role: str = "member") -> Person:
        made = Person(email=f"{uuid.uuid4().hex}@example.org", display_name="P", role=role)
        made.set_unusable_password()
        made.save()
        return made

    owner, operator = person(), Actor.of(person("operator"))
    voice = ready_voice(owner)
    made = services.create_listing(
        actor=Actor.of(owner), voice_id=voice.id, title="A voice", price_minor=333, currency="EUR", languages=["en"],
        licence_days=30,
    )  # fmt: skip
    listing = heard(made)
    licences: list[str | None] = [None]
    for _ in range(LICENCES):
        order = services.place_order(actor=Actor.of(person()), listing_id=listing.id, characters=10_000_000)
        licences.append(str(services.record_payment(actor=operator, order_id=order.id, reference="b").licence_id))
    moment = now()
    at, period = usage_leaf.moment(moment), usage_leaf.period_of(moment)
    head = usage_leaf.opening(usage_leaf.account(str(owner.id), period), usage_leaf.NO_HEAD)
    account = UsageAccount.objects.create(owner=owner, period=period, opened=head, head=head)
    counted = dict.fromkeys(licences, 0)
    usages, metered = io.BytesIO(), io.BytesIO()
    line = b""
    for number in range(uses):
        licence = licences[number % len(licences)]
        before = counted[licence] if licence else 0
        counted[licence] += 1
        output = uuid.UUID(int=(7 << 120) + number)
        leaf = usage_leaf.UsageLeaf(
            number, str(output), licence, at, before, before * CHARACTERS, before * MILLISECONDS, CHARACTERS,
            MILLISECONDS,
        )  # fmt: skip
        line = leaf.line()
        head = usage_leaf.advance(head, usage_leaf.leaf_hash(line))
        named = licence or r"\N"
        usages.write(f"{number}\t{output}\t{named}\t{voice.consent_id}\t{CHARACTERS}\t4.21\t{at}\n".encode())
        metered.write(
            f"{number}\t{account.pk}\t{number}\t{named}\t{before}\t{leaf.characters_before}\t"
            f"{leaf.milliseconds_before}\t{MILLISECONDS}\t0\n".encode()
        )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # no outputs stand behind these uses
        columns = "id, output_id, licence_id, consent_id, characters, seconds, created_at"
        with cursor.copy(f"COPY cloning_usage ({columns}) FROM STDIN") as copy:
            copy.write(usages.getvalue())
        columns = (
            "usage_id, account_id, number, licence_id, uses_before, characters_before, milliseconds_before, "
            "milliseconds, leaf_index"
        )
        with cursor.copy(f"COPY cloning_metereduse ({columns}) FROM STDIN") as copy:
            copy.write(metered.getvalue())
        last = usage_leaf.parse(line)
        commitment = {
            "account": usage_leaf.account(str(owner.id), period).hex(),
            "number": uses - 1,
            "leaf": usage_leaf.leaf_hash(line).hex(),
            "head": head.hex(),
        }
        nobody = str(uuid.uuid4())
        index = log.append(
            kind="output.sealed",
            subject=f"output:{last.output}",
            actor=Actor.system("bench"),
            data={
                "voice": nobody, "consent": nobody, "licence": last.licence, "job": nobody, "sha256": "0" * 64,
                "characters": CHARACTERS, "payload_commitment": "0" * 64, "label_seconds": 0.5, "mark_score": 1.0,
                "usage": commitment,
            },
        ).index  # fmt: skip
        cursor.execute("UPDATE cloning_metereduse SET leaf_index = %s WHERE number = %s", [index, uses - 1])
        UsageAccount.objects.filter(id=account.pk).update(uses=uses, head=head)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE cloning_usage, cloning_metereduse")
    return owner


if __name__ == "__main__":
    raise SystemExit(main())
