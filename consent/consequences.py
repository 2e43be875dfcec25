"""What ends with a consent, and what stays: one sentence each, in both languages, for before and after. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final


@dataclass(frozen=True, slots=True)
class Consequence:
    """One thing that ends with a consent: what, which, when (None: at the moment of withdrawal), and how many."""

    what: str
    ref: str
    at: datetime | None
    count: int = 1

    @property
    def says(self) -> dict[str, str]:
        """The sentence for people."""
        return ENDS[self.what]


ENDS: Final[dict[str, dict[str, str]]] = {
    "consent.withdrawn": {
        "en": "The consent ends. No clearance is given from this moment on.",
        "zh": "同意终止。自此刻起不再发放任何许可。",
    },
    "consent.expired": {
        "en": "The consent's term is over. No clearance is given from this moment on.",
        "zh": "同意期限已满。自此刻起不再发放任何许可。",
    },
    "consent.renewed": {
        "en": "The consent is replaced by its renewal.",
        "zh": "本同意由续期后的同意取代。",
    },
    "template.destroyed": {
        "en": "The key of your voice template is destroyed: nobody can read it again.",
        "zh": "您的声纹模板的密钥被销毁，任何人都无法再读取。",
    },
    "search_template.destroyed": {
        "en": "Your voice is taken out of the search for voices already enrolled.",
        "zh": "您的声音从已登记声音的检索中移除。",
    },
    "recording.destroyed": {
        "en": "A recording of you that was still held is destroyed.",
        "zh": "仍在保管的一段您的录音被销毁。",
    },
    "licence.ended": {
        "en": "A licence ends at once: nothing more can be spoken under it. Recordings made under it before stay with "
        "their holder and are shown as withdrawn.",
        "zh": "一项许可立即终止，不得再据此生成语音。此前据此制作的录音仍由持有者保留，查询时显示为已撤回。",
    },
    "licence.carried": {
        "en": "A licence goes on under the renewed consent.",
        "zh": "一项许可在续期后的同意下继续有效。",
    },
    "job.cancelled": {
        "en": "Work in progress stops; nothing of it is published.",
        "zh": "正在进行的任务停止，其结果不会发布。",
    },
    "voice.destroyed": {
        "en": "The key of the voice is destroyed: it can never speak again.",
        "zh": "声音的密钥被销毁，该声音再也无法说话。",
    },
    "voice.carried": {
        "en": "The voice goes on under the renewed consent.",
        "zh": "该声音在续期后的同意下继续使用。",
    },
    "outputs.revoked": {
        "en": "Recordings made with the voice are not handed out any more, and the trace shows them as withdrawn. "
        "Copies already taken cannot be called back.",
        "zh": "用该声音制作的录音不再提供，查询时显示为已撤回。已被取走的副本无法收回。",
    },
    "listing.withdrawn": {
        "en": "The offer is taken off the market.",
        "zh": "该项发布从交易市场撤下。",
    },
}

REMAINS: Final[dict[str, dict[str, str]]] = {
    "log": {
        "en": "The log keeps its entries for good. They hold hashes and times, no audio and not your name.",
        "zh": "日志条目永久保留，其中只有哈希值和时间，不含音频，也不含您的姓名。",
    },
    "record": {
        "en": "The record of what you agreed to stays, so that its end can be proved. Your receipt stays proof of it.",
        "zh": "您同意内容的记录予以保留，以便证明其已终止。您的回执仍可作为证明。",
    },
    "copies": {
        "en": "Copies of recordings that others hold cannot be called back. Their watermark still leads here, and the "
        "answer is: withdrawn.",
        "zh": "他人持有的录音副本无法收回。其水印仍可追溯到这里，答复为：已撤回。",
    },
}
