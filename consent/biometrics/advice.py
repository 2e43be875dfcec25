"""What a person can do about each reason, in English and Chinese."""

from __future__ import annotations

from typing import Final

ADVICE: Final[dict[str, dict[str, str]]] = {
    "ok": {"en": "Nothing to do.", "zh": "无需操作。"},
    # quality
    "no_speech": {
        "en": "No speech was heard. Check that the right microphone is chosen and not muted, then record again.",
        "zh": "没有检测到说话声。请确认已选择正确的麦克风且未静音，然后重新录制。",
    },
    "too_little_speech": {
        "en": "There is too little speech. Keep speaking until the page says it is enough.",
        "zh": "有效语音太短。请持续朗读，直到页面提示已足够。",
    },
    "clipped": {
        "en": "The recording is distorted. Move back from the microphone or lower its level, then record again.",
        "zh": "录音出现削波失真。请离麦克风远一些或调低输入音量，然后重新录制。",
    },
    "too_quiet": {
        "en": "The recording is too quiet. Come closer to the microphone or raise its level, then record again.",
        "zh": "录音音量太小。请靠近麦克风或调高输入音量，然后重新录制。",
    },
    "noise_unmeasured": {
        "en": "The background could not be measured. Leave a second of silence before you speak and between words.",
        "zh": "无法测量背景噪声。请在开口前以及词语之间停顿约一秒。",
    },
    "noisy": {
        "en": "The background is too loud beside your voice. Go to a quieter room or closer to the microphone.",
        "zh": "背景噪声相对人声过大。请换到更安静的房间，或靠近麦克风。",
    },
    "noise_floor": {
        "en": "The room is too loud. Switch off fans and music, close the window, then record again.",
        "zh": "环境噪声过高。请关闭风扇和音乐、关上窗户，然后重新录制。",
    },
    "narrow_band": {
        "en": "The sound is as narrow as a telephone call. Use a computer or phone microphone directly, not a headset "
        "over Bluetooth and not a call.",
        "zh": "录音频带过窄，像电话音质。请直接使用电脑或手机的麦克风，不要用蓝牙耳机或电话录音。",
    },
    "reverberant": {
        "en": "The room echoes too much. Come closer to the microphone, or go to a smaller room with soft furniture.",
        "zh": "房间回声过大。请靠近麦克风，或换到较小、有软装的房间。",
    },
    "several_voices": {
        "en": "More than one person seems to speak. Record alone, with no television or other voice near you.",
        "zh": "录音中似乎不止一人说话。请独自录制，附近不要有电视或他人的声音。",
    },
    # liveness
    "late_start": {
        "en": "You began too late. Ask for new words and start reading as soon as they appear.",
        "zh": "开始朗读得太晚。请获取新的词语，并在显示后立即开始朗读。",
    },
    "expired": {
        "en": "The time for these words has run out. Ask for new words and read them at once.",
        "zh": "这组词语已过期。请获取新的词语并立即朗读。",
    },
    "spliced": {
        "en": "The recording looks cut together. Read all words in one breath of recording, without editing.",
        "zh": "录音疑似经过剪辑拼接。请一次性连续朗读全部词语，不要编辑。",
    },
    "wrong_words": {
        "en": "Other words were heard than the ones shown. Ask for new words and read exactly those, in order.",
        "zh": "听到的内容与显示的词语不符。请获取新的词语，并按顺序准确朗读。",
    },
    "words_unclear": {
        "en": "Not every word was understood. Ask for new words and read them clearly, with a short pause after each.",
        "zh": "有词语没有听清。请获取新的词语，清晰朗读，每个词之后稍作停顿。",
    },
    "background_changes": {
        "en": "The background changes from word to word, as in a recording that was cut. Switch off noise gates and "
        "noise suppression, and read all words in one recording.",
        "zh": "背景声随词语变化，疑似剪辑。请关闭噪声门、降噪等处理，一次性连续朗读全部词语。",
    },
    "too_fast": {
        "en": "The words came faster than anybody reads them. Ask for new words and read them at your own pace.",
        "zh": "语速超出正常朗读范围。请获取新的词语，并以平常语速朗读。",
    },
    "not_streamed": {
        "en": "The sound arrived faster than it can be spoken. Read the words live; a recording cannot answer.",
        "zh": "音频到达速度快于实际朗读速度。请现场朗读，不能使用录音作答。",
    },
    "no_recogniser": {
        "en": "This language cannot be checked here. Choose one of the languages that are offered.",
        "zh": "暂不支持验证该语言，请选择页面提供的语言。",
    },
    # speaker
    "different_speaker": {
        "en": "This does not sound like the enrolled person. Only that person can give this consent.",
        "zh": "声音与已登记的本人不一致。只有本人才能作出此项授权。",
    },
    "speaker_uncertain": {
        "en": "The voice could not be confirmed. Record again with the same microphone in a quiet room, or ask for a "
        "manual review.",
        "zh": "无法确认是否为本人。请用同一麦克风在安静环境中重新录制，或申请人工审核。",
    },
    "several_speakers": {
        "en": "Somebody else speaks in part of the recording. Remove those seconds and upload again.",
        "zh": "录音中有一部分是其他人的声音。请去掉这些片段后重新上传。",
    },
    "same_recording": {
        "en": "This is a recording that was handed in before. Record something new.",
        "zh": "该录音此前已提交过。请重新录制新的内容。",
    },
    # spoof
    "own_mark": {
        "en": "This recording was made by this service. Record your own voice with a microphone.",
        "zh": "该录音由本平台合成。请用麦克风录制您本人的声音。",
    },
    "copy_synthesis": {
        "en": "The recording looks machine-made. Record your own voice with a microphone, or ask for a manual review.",
        "zh": "录音疑似由机器合成。请用麦克风录制您本人的声音，或申请人工审核。",
    },
    "mounted_model": {
        "en": "The recording looks machine-made. Record your own voice with a microphone, or ask for a manual review.",
        "zh": "录音疑似由机器合成。请用麦克风录制您本人的声音，或申请人工审核。",
    },
    # channel
    "channel_differs": {
        "en": "The recording sounds as if another microphone or room was used than for the live words. Record both in "
        "one place; a moderator may look at it.",
        "zh": "该录音与现场朗读的麦克风或环境似乎不同。请在同一地点录制；审核人员可能会查看。",
    },
    "recompressed": {
        "en": "The recording seems to have been compressed before. Upload the original recording if you have it.",
        "zh": "该录音似乎经过多次压缩。如有原始录音，请上传原始文件。",
    },
    "replay_cues": {
        "en": "The recording sounds as if it was played through a loudspeaker. Speak into the microphone yourself.",
        "zh": "该录音听起来像是通过扬声器播放的。请本人直接对着麦克风说话。",
    },
    "spoof_uncertain": {
        "en": "It could not be told whether this was recorded from a person. Record again, unprocessed, in a quiet "
        "room, or ask for a manual review.",
        "zh": "无法判断录音是否来自真人。请在安静环境中重新录制且不作任何处理，或申请人工审核。",
    },
}


def advice(reason: str) -> dict[str, str]:
    """Advice for a reason code, ``{"en": ..., "zh": ...}``. A reason without advice is a mistake: KeyError."""
    return dict(ADVICE[reason])
