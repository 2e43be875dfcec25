"""The service: one request is one sound, whoever else speaks; errors cost nothing afterwards."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from cloning.engine.checkpoints import load_acoustic, load_semantic
from cloning.engine.config import tiny
from cloning.engine.errors import CheckpointError, EngineError, TextError
from cloning.engine.features.bert import Bert, BertConfig
from cloning.engine.features.mounted import Mounted
from cloning.engine.features.reference_audio import read_reference
from cloning.engine.features.speaker import SpeakerEncoder
from cloning.engine.semantic.sampling import MOST_CODES, decode
from cloning.engine.tts.engine import Engine
from cloning.engine.tts.join import laid_out
from cloning.engine.tts.official import OfficialFolder, source
from cloning.engine.tts.request import TtsRequest
from cloning.engine.tts.sentences import Reader
from cloning.engine.voicefile import pack
from tests.cloning.engine.official import needs_fixtures, unpacked
from tests.cloning.engine.test_synthesis import loud_voice
from tests.cloning.engine.tts.conftest import recording

pytestmark = needs_fixtures
TEXT = "Hello there, my old friend. How are you today? I am fine."


@pytest.fixture(scope="module")
def engine(models: Path) -> Engine:
    return Engine(models=models)


@pytest.fixture(scope="module")
def voice(folder: Path) -> OfficialFolder:
    return OfficialFolder(folder)


@pytest.fixture(scope="module")
def talkative(make_folder: Callable[..., Path]) -> OfficialFolder:
    """The same voice with an end mark it never says, so that its sentences are as long as they may be."""
    place = make_folder()
    content = torch.load(io.BytesIO(unpacked("s1_small.ckpt.xz")), weights_only=True)
    content["weight"]["model.ar_predict_layer.weight"][1024] = 0
    torch.save(content, place / "s1.ckpt")
    return OfficialFolder(place)


@pytest.fixture(autouse=True)
def nothing_stays_in_use(engine: Engine) -> Iterator[None]:
    yield
    assert engine.report().leases == 0


def request(**changes: Any) -> TtsRequest:
    return TtsRequest(**{"text": TEXT, "text_lang": "en", "seed": 5, **changes})


def long_request(**changes: Any) -> TtsRequest:
    return request(text="One two three four five six seven eight nine ten.", min_chunk_length=20, **changes)


def test_one_seed_is_one_sound(engine: Engine, voice: OfficialFolder) -> None:
    state = torch.random.get_rng_state()
    one, again, other = (engine.speak(voice, request(seed=seed)) for seed in (5, 5, 6))
    assert one.pcm.tobytes() == again.pcm.tobytes()
    assert one.pcm.tobytes() != other.pcm.tobytes()
    assert (one.rate, one.pcm.dtype, one.seconds) == (32000, np.float32, len(one.pcm) / 32000)
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_drawn_seed_is_reported_and_gives_the_same_again(engine: Engine, voice: OfficialFolder) -> None:
    speech = engine.speak(voice, request(seed=-1))
    assert engine.speak(voice, request(seed=speech.seed)).pcm.tobytes() == speech.pcm.tobytes()


def test_a_crowd_changes_nothing(models: Path, voice: OfficialFolder, talkative: OfficialFolder) -> None:
    cases = [(voice, request()), (talkative, long_request()), (voice, request(seed=9, top_k=3, batch_size=3))]
    alone = [Engine(models=models, attempts=1).speak(*case).pcm.tobytes() for case in cases]
    crowd = Engine(models=models, attempts=1)
    with ThreadPoolExecutor(6) as pool:
        heard = list(pool.map(lambda case: np.concatenate(list(crowd.stream(*case))).tobytes(), cases * 2))
    assert heard == alone * 2
    assert crowd.report().leases == 0


@pytest.mark.parametrize(
    "how", [{"batch_size": 3}, {"batch_size": 2, "split_bucket": False}, {"parallel_infer": False}]
)
def test_how_sentences_are_batched_changes_nothing(engine: Engine, voice: OfficialFolder, how: dict[str, Any]) -> None:
    assert engine.speak(voice, request(**how)).pcm.tobytes() == engine.speak(voice, request()).pcm.tobytes()


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("compat", [None, "upstream"])
def test_sentences_one_by_one_are_the_whole(engine: Engine, voice: OfficialFolder, size: int, compat: Any) -> None:
    asked = request(compat=compat, batch_size=size, split_bucket=False)
    packets = list(engine.stream(voice, dataclasses.replace(asked, streaming_mode=1)))
    assert len(packets) == (8 if compat else 4)
    assert np.concatenate(packets).tobytes() == engine.speak(voice, asked).pcm.tobytes()


@pytest.mark.parametrize("mode", [2, 3])
def test_packets_of_codes_are_nearly_the_whole(models: Path, talkative: OfficialFolder, mode: int) -> None:
    engine = Engine(models=models, attempts=1)
    whole = engine.speak(talkative, long_request(noise_scale=0.0)).pcm
    packets = list(engine.stream(talkative, long_request(streaming_mode=mode, noise_scale=0.0)))
    joined = np.concatenate(packets)
    assert len(packets) >= 4
    # Each seam may be moved by up to a hundredth of a second.
    assert 0 <= len(whole) - len(joined) <= 320 * (len(packets) - 1)
    # Before the first seam it is the same codes in the same words.
    likeness = np.corrcoef(joined[:20000], whole[:20000])[0, 1]
    assert likeness > 0.9
    assert np.abs(joined).max() <= 1.0


def test_a_stream_is_lazy_and_gives_the_voice_back_when_closed(models: Path, talkative: OfficialFolder) -> None:
    engine = Engine(models=models, attempts=1)
    stream = engine.stream(talkative, long_request(streaming_mode=3))
    assert engine.report().leases == 0
    next(stream)
    assert engine.report().leases == 1
    stream.close()  # type: ignore[attr-defined]
    assert engine.report().leases == 0


def test_streamed_sentences_have_the_pause_between_them(engine: Engine, voice: OfficialFolder) -> None:
    lengths = [
        sum(len(packet) for packet in engine.stream(voice, request(streaming_mode=3, fragment_interval=pause)))
        for pause in (0.0, 0.5)
    ]
    assert lengths[1] - lengths[0] == 3 * 16000


def test_upstream_s_quirks_are_upstream_s_sound(engine: Engine, voice: OfficialFolder, models: Path) -> None:
    """One stream of randomness, one pass of S2 for a batch, every fragment by its own peak, silence after the last:
    computed here from the plain models."""
    semantic = load_semantic((voice.folder / "s1.ckpt").read_bytes()).model
    acoustic = load_acoustic((voice.folder / "s2.pth").read_bytes()).model
    heard = read_reference(recording(), audio=acoustic.audio, compat=True)
    prompt = acoustic.encode_content(Mounted(models).content(heard.content_wave))
    with torch.inference_mode():
        style = acoustic.reference_style([heard.spec])
    reader = Reader("v2", 732, {}, None, True)
    before = reader.prompt("This is what it says.", "en").phones
    generator = torch.Generator().manual_seed(5)
    sentences = reader.sentences(TEXT, "en", "cut5")
    codes = [
        decode(
            semantic,
            torch.cat((before, sentence.phones))[None],
            generator=generator,
            sampling=request().sampling,
            most=MOST_CODES,
            prompt=prompt,
        ).codes
        for sentence in sentences
    ]
    phones = torch.cat([sentence.phones for sentence in sentences])
    wave = acoustic.decode(torch.cat(codes)[None], phones[None], style, generator=generator)[0, 0].numpy()
    ends = np.cumsum([len(row) * 1280 for row in codes])
    expected = laid_out(np.split(wave, ends[:-1]), 32000, 0.3, compat=True)
    got = engine.speak(voice, request(compat="upstream", batch_size=20, split_bucket=False)).pcm
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_progress_grows_to_the_end_and_what_it_raises_stops_the_work(engine: Engine, voice: OfficialFolder) -> None:
    shares: list[float] = []
    engine.speak(voice, request(), progress=shares.append)
    assert shares == sorted(shares)
    assert (len(shares) > 5, shares[-1]) == (True, 1.0)

    def stop(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.speak(voice, request(), progress=stop)


def test_speed_and_interval_do_what_they_say(engine: Engine, voice: OfficialFolder) -> None:
    plain, fast, far = (
        engine.speak(voice, request(fragment_interval=pause, speed_factor=speed)).seconds
        for pause, speed in ((0.0, 1.0), (0.0, 1.6), (0.5, 1.0))
    )
    assert fast < 0.75 * plain
    assert far - plain == pytest.approx(1.5)


def test_a_pronunciation_of_the_request_is_spoken(engine: Engine, voice: OfficialFolder) -> None:
    other = request(overrides={"en": {"friend": "F OW1"}})
    assert engine.speak(voice, other).pcm.tobytes() != engine.speak(voice, request()).pcm.tobytes()
    with pytest.raises(TextError, match="bad_override"):
        engine.speak(voice, request(overrides={"en": {"friend": "F XX9"}}))


def test_the_reference_prompt_and_extra_references_all_matter(engine: Engine, voice: OfficialFolder) -> None:
    wave = recording(seed=2)
    said = {"ref_audio_path": wave, "prompt_text": "This is what it says.", "prompt_lang": "en"}
    asked = [
        {},
        {"prompt_text": ""},
        said,
        {**said, "prompt_text": "Something else is said."},
        {**said, "aux_ref_audio_paths": [recording(seed=3)]},
        {"ref_audio_path": wave},
    ]
    sounds = {engine.speak(voice, request(**one)).pcm.tobytes() for one in asked}
    assert len(sounds) == len(asked)
    mine = {**said, "ref_audio_path": recording()}
    assert engine.speak(voice, request(**mine)).pcm.tobytes() == engine.speak(voice, request()).pcm.tobytes()


@pytest.mark.parametrize("mode", [0, 1, 3])
@pytest.mark.parametrize("media_type", ["wav", "raw", "ogg", "aac"])
def test_bytes_of_every_kind(engine: Engine, voice: OfficialFolder, mode: int, media_type: str) -> None:
    pieces = list(engine.encoded(voice, request(streaming_mode=mode, media_type=media_type)))
    assert (len(pieces) > 1) == bool(mode)
    data = b"".join(pieces)
    if media_type == "wav" and not mode:
        samples, rate = soundfile.read(io.BytesIO(data))
        assert rate == 32000
        np.testing.assert_allclose(samples * 32768 / 32767, engine.speak(voice, request()).pcm, atol=1e-4)
    assert len(data) > 1000


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty_text"),
        ("...!?", "empty_text"),
        ("a" * 10_001, "text_too_long"),
        ("broken \ud800", "bad_characters"),
        ("bell \x07", "bad_characters"),
        ("مرحبا بالعالم", "unsupported_characters"),
        ("\N{GRINNING FACE}", "empty_text"),
    ],
)
@pytest.mark.parametrize("mode", [0, 3])
def test_text_that_cannot_be_said_is_refused(
    engine: Engine, voice: OfficialFolder, text: str, code: str, mode: int
) -> None:
    with pytest.raises(TextError) as refusal:
        list(engine.stream(voice, request(text=text, streaming_mode=mode)))
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (recording(2.9), "too_short"),
        (recording(10.2), "too_long"),
        (recording(gain=0.0), "silent"),
        (recording(gain=float("nan")), "not_finite"),
        (b"RIFF and no sound", "not_sound"),
        (b"", "not_sound"),
        (Path("/nowhere/at/all.wav"), "missing_file"),
    ],
    ids=["short", "long", "silent", "nan", "no sound", "empty", "missing"],
)
def test_references_that_cannot_be_used_are_refused(
    engine: Engine, voice: OfficialFolder, data: Any, code: str
) -> None:
    with pytest.raises(EngineError) as refusal:
        engine.speak(voice, request(ref_audio_path=data))
    assert refusal.value.code == code


@pytest.mark.parametrize(
    "data",
    [
        recording(3.2, 8000),
        recording(3.2, 96000),
        recording(3.2, channels=2),
        recording(3.2, gain=4.0),
    ],
    ids=["8 kHz", "96 kHz", "stereo", "far above full scale"],
)
def test_unusual_references_are_used(engine: Engine, voice: OfficialFolder, data: bytes) -> None:
    asked = request(text="Hello there.", ref_audio_path=data, prompt_text="It buzzes.", prompt_lang="en")
    assert engine.speak(voice, asked).seconds > 0.3


def test_what_is_not_mounted_is_named(engine: Engine, voice: OfficialFolder, make_folder: Callable[..., Path]) -> None:
    with pytest.raises(EngineError, match="no_listener"):
        Engine().speak(voice, request())
    with pytest.raises(CheckpointError, match="eres2netv2"):
        engine.speak(OfficialFolder(make_folder("v2Pro")), request())


def test_a_pro_voice_listens_to_who_speaks(models: Path, make_folder: Callable[..., Path], tmp_path: Path) -> None:
    shutil.copytree(models, tmp_path, dirs_exist_ok=True)
    (tmp_path / "sv").mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(4)
        state = {name: value.half() for name, value in SpeakerEncoder().state_dict().items()}
    torch.save(state, tmp_path / "sv" / "pretrained_eres2netv2w24s4ep4.ckpt")
    engine, voice = Engine(models=tmp_path), OfficialFolder(make_folder("v2Pro"))
    speech = engine.speak(voice, request(text="Hello there."))
    assert (speech.rate, speech.pcm.size > 10000) == (32000, True)
    assert np.concatenate(list(engine.stream(voice, request(text="Hello there.", streaming_mode=3)))).size > 10000


def test_chinese_speaks_without_bert_and_says_so_and_differently_with_it(
    engine: Engine, voice: OfficialFolder, models: Path, tmp_path: Path
) -> None:
    shutil.copytree(models, tmp_path, dirs_exist_ok=True)
    place = tmp_path / "chinese-roberta-wwm-ext-large"
    place.mkdir()
    config = BertConfig(vocabulary=5, positions=64, layers=3, inner=16)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        save_file(Bert(config).state_dict(), place / "model.safetensors")
    (place / "vocab.txt").write_text("[CLS]\n[SEP]\n[UNK]\n你\n好\n", "utf-8")
    settings = {
        "model_type": "bert",
        "vocab_size": 5,
        "max_position_embeddings": 64,
        "type_vocab_size": 2,
        "hidden_size": 1024,
        "num_hidden_layers": 3,
        "num_attention_heads": 16,
        "intermediate_size": 16,
        "layer_norm_eps": 1e-12,
    }
    (place / "config.json").write_text(json.dumps(settings))
    asked = request(text="你好，你好吗？", text_lang="zh")
    without, heard = engine.speak(voice, asked), Engine(models=tmp_path).speak(voice, asked)
    assert "bert_missing" in without.notes
    assert "bert_missing" not in heard.notes
    assert heard.pcm.tobytes() != without.pcm.tobytes()


def test_a_first_generation_voice_reads_the_first_table(engine: Engine, make_folder: Callable[..., Path]) -> None:
    voice = OfficialFolder(make_folder("v1"))
    content = torch.load(voice.folder / "s1.ckpt", weights_only=True)
    name = "model.ar_text_embedding.word_embeddings.weight"
    content["weight"][name] = content["weight"][name][:512].clone()
    content["config"]["model"]["phoneme_vocab_size"] = 512
    torch.save(content, voice.folder / "s1.ckpt")
    assert engine.speak(voice, request(text="Hello there.")).seconds > 0.3
    with pytest.raises(TextError, match="unsupported_language"):
        engine.speak(voice, request(text="안녕하세요", text_lang="ko"))


def test_a_voice_without_any_reference_is_refused(engine: Engine, make_folder: Callable[..., Path]) -> None:
    bare = OfficialFolder(make_folder())
    (bare.folder / "voice.json").unlink()
    with pytest.raises(EngineError, match="no_reference"):
        engine.speak(bare, request())
    assert engine.speak(bare, request(ref_audio_path=recording())).seconds > 0.3


def test_voices_of_one_base_share_its_memory(models: Path, make_folder: Callable[..., Path]) -> None:
    engine = Engine(models=models)
    one, two = (OfficialFolder(make_folder()) for _ in range(2))
    content = torch.load(two.folder / "s1.ckpt", weights_only=True)
    own = content["weight"]["model.ar_predict_layer.weight"]
    own[0] += 0.125
    torch.save(content, two.folder / "s1.ckpt")
    engine.speak(one, request())
    before = engine.report().total_bytes
    engine.speak(two, request())
    added = engine.report().total_bytes - before
    # Its own head, and what S1's decoder packs of it; nothing of the 60 MB that both have in common.
    assert own.numel() * 4 <= added < 0.06 * before


def test_a_voice_file_speaks_through_the_same_service(tmp_path: Path) -> None:
    file = tmp_path / "anna.voice"
    file.write_bytes(pack(loud_voice(tiny())))
    engine = Engine()
    asked = request(repetition_penalty=1.0)
    speech = engine.speak(source(file), asked)
    assert (speech.rate, engine.rate(source(tmp_path))) == (16000, 16000)
    assert engine.speak(source(tmp_path), asked).pcm.tobytes() == speech.pcm.tobytes()
    with pytest.raises(EngineError, match="streaming_mode 2"):
        list(engine.stream(source(file), dataclasses.replace(asked, streaming_mode=2)))
    with pytest.raises(EngineError, match="no_listener"):
        engine.speak(source(file), request(ref_audio_path=recording()))
    assert engine.forget(source(file))
    assert engine.report().total_bytes == 0
