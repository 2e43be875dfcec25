import subprocess
import sys

from consent.biometrics.warm import warm


def test_every_model_loads_and_names_its_version() -> None:
    assert set(warm()) == {"speech", "words", "speaker", "spoof"}


def test_nothing_the_web_process_reads_imports_torch() -> None:
    """Views show evidence and draw challenges; only workers hear."""
    code = (
        "import sys, consent.biometrics.evidence, consent.biometrics.words, consent.biometrics.advice;"
        "sys.exit('torch' in sys.modules or 'django' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_foreign_package_is_imported_for_its_weights() -> None:
    code = (
        "import sys, consent.biometrics.warm;"
        "sys.exit(any(name in sys.modules for name in ('resemblyzer', 'silero_vad', 'librosa', 'django')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
