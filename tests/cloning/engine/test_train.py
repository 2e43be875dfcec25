import io
import signal
from pathlib import Path

import pytest
import soundfile

from cloning.engine import voicefile
from cloning.engine.bases import shipped
from cloning.engine.say import main as say
from cloning.engine.train import main
from cloning.engine.training.loop import Progress
from cloning.engine.training.recipe import TrainingRecipe
from cloning.engine.training.show import Display, clock, line
from tests.cloning.engine.training.conftest import TEXTS
from tests.cloning.engine.training.small_official import write_base, write_models
from tests.cloning.engine.training.test_keep import room


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sound files and texts, and a list of them."""
    from demo.flite.speaker import speak

    folder = tmp_path_factory.mktemp("speech")
    lines = []
    for number, text in enumerate((*TEXTS[:4], f"{TEXTS[4]} {TEXTS[0]}")):
        soundfile.write(folder / f"{number}.wav", *speak(text, voice="awb"))
        (folder / f"{number}.txt").write_text(text)
        lines.append(f"{number}.wav|awb|EN|{text}\n")
    (folder / "all.list").write_text("".join(lines))
    return folder


def train(speech: Path, out: Path, *more: str) -> int:
    return main(["--speech", str(speech), "--out", str(out), "--recipe", "tiny", *more])


@pytest.fixture(scope="module")
def voice(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("voice") / "awb.voice"
    assert train(speech, path) == 0
    return path


class Interrupter(io.StringIO):
    """A terminal whose user presses Control-C when the word appears."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self.word = word

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.word and self.word in text:
            self.word = ""
            signal.raise_signal(signal.SIGINT)
        return super().write(text)


def test_a_folder_becomes_a_voice_that_say_speaks_with(voice: Path, tmp_path: Path) -> None:
    assert [path.name for path in voice.parent.iterdir()] == ["awb.voice"]
    assert voice.stat().st_mode & 0o777 == 0o600
    assert voicefile.unpack(voice.read_bytes()).training["utterances"] == 5
    out = tmp_path / "out.wav"
    assert say(["--voice", str(voice), "--text", "Good morning.", "--out", str(out), "--seed", "1"]) == 0
    assert soundfile.info(out).duration > 0.3


def test_control_c_leaves_a_checkpoint_to_go_on_from(
    voice: Path, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = signal.getsignal(signal.SIGINT)
    out = tmp_path / "awb.voice"
    terminal = Interrupter("sound     [######")
    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", terminal)
        assert train(speech, out) == 130
    assert "--resume" in terminal.getvalue()
    assert signal.getsignal(signal.SIGINT) is usual
    checkpoint = tmp_path / "awb.voice.checkpoint"
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.name]
    assert checkpoint.stat().st_mode & 0o777 == 0o600
    assert train(speech, out) == 1
    assert "checkpoint_there" in capsys.readouterr().err
    assert train(speech, out, "--resume") == 0
    assert out.read_bytes() == voice.read_bytes()
    assert not checkpoint.exists()


def test_adapters_make_a_small_voice_on_the_shipped_base(speech: Path, tmp_path: Path) -> None:
    out = tmp_path / "small.voice"
    assert train(speech / "all.list", out, "--adapters") == 0
    assert out.stat().st_size < 10e6
    whole = voicefile.unpack(out.read_bytes(), base=shipped)
    assert whole.reference is not None
    assert whole.training["utterances"] == 5


def test_an_official_base_gives_a_folder_that_say_speaks_with(speech: Path, tmp_path: Path) -> None:
    base, folder = write_base(tmp_path / "base"), tmp_path / "official"
    models = write_models(tmp_path / "base" / "models")
    assert train(speech, tmp_path / "v", "--base", str(base), "--official", str(folder)) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["reference.wav", "s1.ckpt", "s2.pth", "voice.json"]
    assert voicefile.unpack((tmp_path / "v").read_bytes()).config.version == "v2"
    out = tmp_path / "out.wav"
    arguments = ["--voice", str(folder), "--models", str(models), "--text", "Yes.", "--out", str(out), "--seed", "1"]
    assert say(arguments) == 0
    assert soundfile.info(out).samplerate == 32000


def test_a_pro_base_trains_with_speaker_vectors_and_say_speaks_with_it(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, folder = write_base(tmp_path / "base", version="v2Pro", critics=True), tmp_path / "official"
    models = write_models(tmp_path / "base" / "models", speaker=True)
    assert train(speech, tmp_path / "v", "--base", str(base), "--official", str(folder)) == 0
    voice = voicefile.unpack((tmp_path / "v").read_bytes())
    assert voice.config.version == "v2Pro"
    assert voice.reference is not None
    assert voice.reference.style.shape == (1, 1024, 1)
    out = tmp_path / "out.wav"
    arguments = ["--voice", str(folder), "--models", str(models), "--text", "Yes.", "--out", str(out), "--seed", "1"]
    assert say(arguments) == 0
    assert soundfile.info(out).samplerate == 32000
    (models / "sv" / "pretrained_eres2netv2w24s4ep4.ckpt").unlink()
    assert train(speech, tmp_path / "w", "--base", str(base)) == 1
    assert "no_models" in capsys.readouterr().err


def test_upstreams_recipe_makes_a_voice_at_a_shell(
    speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Upstream's recipe with one epoch of each stage, and without its repetition of few clips: a test must wait."""
    whole = TrainingRecipe.upstream
    monkeypatch.setattr(TrainingRecipe, "upstream", lambda: whole(semantic_epochs=1, acoustic_epochs=1, batch=2))
    monkeypatch.setattr("cloning.engine.training.upstream_batches.FEW", 1)
    base, folder = write_base(tmp_path / "base"), tmp_path / "official"
    models = write_models(tmp_path / "base" / "models")
    arguments = ["--speech", str(speech), "--out", str(tmp_path / "v"), "--base", str(base), "--recipe", "upstream"]
    assert main([*arguments, "--official", str(folder)]) == 0
    trained = voicefile.unpack((tmp_path / "v").read_bytes()).training
    assert trained["acoustic_steps"] > 0  # type: ignore[operator]
    out = tmp_path / "out.wav"
    spoken = ["--voice", str(folder), "--models", str(models), "--text", "Yes.", "--out", str(out), "--seed", "1"]
    assert say(spoken) == 0
    assert main([*arguments[:3], str(tmp_path / "w"), *arguments[4:], "--adapters"]) == 1
    assert "bad_recipe" in capsys.readouterr().err


def test_a_full_disk_gives_no_half_voice(speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with room(1000):
        assert train(speech, tmp_path / "v") == 1
    said = capsys.readouterr().err
    assert "no checkpoint was written: disk_full" in said
    assert said.splitlines()[-1].startswith("disk_full: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--out", "{}/none/v"], "bad_place"),
        (["--out", "{}"], "bad_place"),
        (["--out", "{}/v", "--resume"], "no_checkpoint"),
        (["--out", "{}/v", "--seed", "-1"], "bad_request"),
        (["--out", "{}/v", "--base", "{}/none"], "missing_base"),
        (["--out", "{}/v", "--official", "{}/o"], "bad_request"),
        (["--out", "{}/v", "--speech", "{}"], "no_recordings"),
        (["--out", "{}/v", "--speech", "{}/none"], "no_recordings"),
    ],
)
def test_refusals_have_names(
    arguments: list[str], code: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [part.replace("{}", str(tmp_path)) for part in arguments]
    assert main(["--speech", str(speech), "--recipe", "tiny", *filled]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"{code}: ")
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_sees_one_line_and_a_file_sees_few() -> None:
    steps = [Progress("semantic", step, 40, 1.25, 65.0 - step) for step in range(1, 41)]
    terminal, file = Interrupter(""), io.StringIO()
    for out in (terminal, file):
        display = Display(out)
        for step in steps:
            display(step)
    assert terminal.getvalue().count("\n") == 1
    assert terminal.getvalue().count("\r") == 40
    assert 1 <= len(file.getvalue().splitlines()) <= 3
    assert line(steps[19]).rstrip() == "reading   [############............] 20/40  loss 1.250  0:45 left"
    assert len({len(line(step)) for step in steps}) == 1
    assert [clock(s) for s in (0.2, 65, 7205)] == ["0:00", "1:05", "2:00:05"]
