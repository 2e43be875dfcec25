"""``python -m tests.tools.check_django``: migrations match the models, the OpenAPI snapshot matches the code, and every
code of a refusal has its words in Chinese.

Run from the repository root. ``--write-schema`` writes the snapshot, and the table of codes in docs/api.md.
"""

import io
import os
import sys
import warnings
from pathlib import Path

SNAPSHOT = Path("docs/openapi.yaml")
PAGE = Path("docs/api.md")


def main() -> int:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.tools.static_settings"
    import django
    from django.core.management import call_command
    from django.core.management.base import SystemCheckError

    django.setup()
    with warnings.catch_warnings():
        # The consistency check looks for a database; the comparison with the models needs none.
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            call_command("makemigrations", "--check", "--dry-run", verbosity=1)
        except SystemExit:
            sys.stderr.write("Migrations are missing: run manage.py makemigrations.\n")
            return 1
        except SystemCheckError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    schema = io.StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=schema)
    if "--write-schema" in sys.argv:
        SNAPSHOT.write_text(schema.getvalue())
        from vouch import problems

        PAGE.write_text(problems.written_into(PAGE.read_text()))
    elif not SNAPSHOT.exists() or SNAPSHOT.read_text() != schema.getvalue():
        sys.stderr.write(f"{SNAPSHOT} does not match the code: run `make schema` and read the difference.\n")
        return 1
    return _said_in_chinese()


def _said_in_chinese() -> int:
    """1 if a code has no words on Chinese pages."""
    from vouch import problems
    from vouch.web.told import TABLE, in_chinese

    missing = sorted({one.code for one in problems.catalogue()} - set(in_chinese()))
    if missing:
        sys.stderr.write(f"Say in Chinese what these codes mean, in {TABLE.name}: {', '.join(missing)}.\n")
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
