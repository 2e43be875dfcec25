#!/usr/bin/env python
"""Django's command line."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    # platform/ holds packages and is itself none (it would shadow Python's own module `platform`), so it goes on the
    # path by hand here; everything else relies on the editable install.
    sys.path.insert(0, str(Path(__file__).resolve().parent / "platform"))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vouch.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
