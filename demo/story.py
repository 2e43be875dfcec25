"""The demo's story: one speaker consents, a voice is made and used; and everything that must be refused is refused."""

import secrets
import time
from typing import Any

from demo import offline, recordings
from demo.acts import RATE, SPEAKER, Acts, said
from demo.client import ApiProblem

IMPOSTOR = "rms"
"""The synthesiser's voice of another person, whose speech must not get in."""
READINGS = 4
"""The recogniser misses a word in about one reading of twelve; a person then reads new words, and so does ours."""
MISREAD = ("words_unclear", "wrong_words", "too_little_speech", "late_start", "not_streamed", "expired")
"""Verdicts on the reading itself, or on a machine too busy to read in time. Any other refusal (a splice, a mark) ends
the story at once."""
SPOKEN = "The weather is lovely this morning, and the train to the coast leaves at nine."
LICENSED = "Welcome back. Your order is ready at the counter, and the coffee is still warm."
FORBIDDEN = "Grandma, I had an accident, please send the money today and do not tell anyone."
REST_HOURS = 73
"""One hour more than raw audio may be kept."""


class Story(Acts):
    """Plays the steps in order. State that later steps need is kept on the object."""

    def play(self) -> None:
        self.arrive()
        self.live_challenge()
        self.training_speech()
        self.consent()
        self.train()
        self.speak_and_trace()
        self.licence()
        self.policy()
        self.deadline()
        self.withdraw()
        self.prove_the_log()

    # -- people and the ceremony ---------------------------------------------------------------------------------------

    def arrive(self) -> None:
        with self.report.step("two people register", "speaker and customer have keys") as step:
            self.speaker = self.register("speaker", "Sam Speaker")
            self.customer = self.register("customer", "Casey Customer")
            step.observed = "speaker and customer have keys"

    def live_challenge(self) -> None:
        with self.report.step("answer a live challenge", "pass") as step:
            recordings.say("One, two, three.", voice=SPEAKER)  # its first words take longest: before the clock
            for reading in range(1, READINGS + 1):
                step.observed = self._read_challenge()
                if not step.observed.endswith(MISREAD):
                    break
                self.report.remark(f"reading {reading}: {step.observed}")
        with self.report.step("answer the same challenge again", "409 challenge_already_answered") as step:
            again = self.speaker.send("PUT", f"challenges/{self.challenge}/chunks/0", self.answer_pcm[:32000])
            step.observed = said(again)
        with self.report.step("answer a new challenge with the old recording", "refuse wrong_words") as step:
            fresh = str(self.speaker.post("challenges")["id"])
            self._stream(fresh, self.answer_pcm, RATE)
            step.observed = self._examined(self.speaker.post(f"challenges/{fresh}/answer")["examination"])

    def training_speech(self) -> None:
        with self.report.step("upload about a minute of training speech", "all recordings pass") as step:
            examinations = []
            for text, sound, rate in self._script():
                examinations.append(self._upload(text, sound, rate))
            verdicts = [self._examined(one) for one in examinations]
            step.observed = "all recordings pass" if set(verdicts) == {"pass"} else f"verdicts: {verdicts}"
        with self.report.step("offer another person's recording", "refuse different_speaker") as step:
            text = "I would like to have this voice, although it is not mine, and nobody was ever asked about it."
            sound, rate = recordings.say(f"{text} {text}", voice=IMPOSTOR, seed=99)
            found = self._examination(self._upload(text, sound, rate, keep=False))
            step.observed = f"{found['verdict']} {found['reason']}"
        with self.report.step("upload something that is not audio", "refuse not_audio") as step:
            made = self._announce("Not audio at all.")
            sent = self.speaker.send("PUT", f"recordings/{made}/content", b"GIF89a" + bytes(5000), "audio/wav")
            found = self._examination(sent["examination"])
            step.observed = f"{found['verdict']} {found['reason']}"

    def consent(self) -> None:
        terms = {
            "challenge": self.challenge,
            "recordings": self.recording_ids,
            "uses": {"own_use": True, "licence_to_others": True},
            "languages": ["en"],
            "term_days": 365,
            "territory": "worldwide",
            "text_version": "en-1",
            "biometric_release": True,
        }
        with self.report.step("consent without the biometric release", "422 biometric_release_missing") as step:
            step.observed = said(self.speaker.post("consents", {**terms, "biometric_release": False}))
        with self.report.step("give consent", "active, rehearsal, receipt verifies offline") as step:
            given = self.speaker.post("consents", terms)
            self.consent_id = str(given["id"])
            rehearsal = "rehearsal" if given["rehearsal"] else "NOT marked as rehearsal"
            receipt = self.speaker.get(f"consents/{self.consent_id}/receipt").body
            verified = self._verify_receipt(receipt.get("log", receipt.get("receipt", receipt)), "consent-receipt")
            step.observed = f"{given['state']}, {rehearsal}, {verified}"

    # -- the voice -----------------------------------------------------------------------------------------------------

    def train(self) -> None:
        with self.report.step("train a voice", "succeeded, voice ready") as step:
            asked = {"consent": self.consent_id, "name": "Sam", "language": "en"}
            key = secrets.token_hex(8)
            made = self.speaker.post("voices", asked, key=key)
            self.voice = str(made["id"])
            repeated = self.speaker.post("voices", asked, key=key)
            if repeated["id"] != made["id"]:
                raise AssertionError("the repeated request made a second voice")
            job = self._job(self.speaker, str(made["job"]), seconds=1200)
            state = self.speaker.get(f"voices/{self.voice}")["state"]
            step.observed = f"{job['state']}, voice {state}" + (f" ({job['error_code']})" if job["error_code"] else "")

    def speak_and_trace(self) -> None:
        with self.report.step("speak in the voice", "succeeded, label before the sound") as step:
            asked = self.speak(self.speaker, SPOKEN)
            done = self._spoken(self.speaker, asked)
            self.output = str(done["output"])
            about = self.speaker.get(f"outputs/{self.output}").body
            self.spoken_file = self._save(self.speaker, self.output, "spoken-by-owner.wav")
            label = "label before the sound" if about["label_seconds"] > 0 else "no label"
            step.observed = f"{done['state']}, {label}"
        with self.report.step("verify every label of it offline", "all present, all agree; no time-stamp") as step:
            step.observed = self._labels_of(self.spoken_file)
        with self.report.step("trace the file", "this output, consent active") as step:
            step.observed = self._traced(self.spoken_file.read_bytes())
        with self.report.step("trace a 5 s voice message of it (Opus 24k)", "this output, consent active") as step:
            label_seconds = float(self.speaker.get(f"outputs/{self.output}")["label_seconds"])
            message = recordings.as_voice_message(self.spoken_file.read_bytes(), start=label_seconds, seconds=5.0)
            self._keep("voice-message.ogg", message)
            step.observed = self._traced(message)
        with self.report.step("trace speech that is not ours", "no mark of ours") as step:
            sound, rate = recordings.say("Nothing in this sentence was made by a clone.", voice="awb", seed=5)
            step.observed = self._traced(recordings.wav(sound, rate))

    def licence(self) -> None:
        with self.report.step("a second customer speaks without a licence", "403 no_licence") as step:
            step.observed = said(self.speak(self.customer, LICENSED))
        offer: dict[str, Any] = {
            "voice": self.voice,
            "title": "Sam, friendly",
            "currency": "EUR",
            "languages": ["en"],
            "licence_days": 30,
            "text": "VL-COMMERCIAL-1",
            "terms": {"channels": ["online"], "notice_days": 30, "survival": "take_down"},
            "preview": self.output,
        }
        with self.report.step("sell a rehearsal voice", "422 rehearsal_not_for_sale") as step:
            step.observed = said(self.speaker.post("listings", {**offer, "price_minor": 500}))
        with self.report.step("call it by a name that claims", "422 name_refused") as step:
            claim = {**offer, "price_minor": 0, "title": "The official Sam"}
            step.observed = said(self.speaker.post("listings", claim))
        with self.report.step("offer free rehearsal licences", "waiting, not in the shop") as step:
            made = self.speaker.post("listings", {**offer, "price_minor": 0})
            listing = str(made["id"])
            step.observed = f"{made['review']}, {self._in_shop(listing)}"
        with self.report.step("a moderator hears the preview; search for 'friendly'", "published, in the shop") as step:
            heard = self.moderator.post(f"listings/{listing}/review", {"decision": "publish"})
            step.observed = f"{heard['review']}, {self._in_shop(listing)}"
        with self.report.step("order exactly one sentence", "fulfilled, signed by both") as step:
            ordered = {"listing": listing, "characters": len(LICENSED)}
            order = self.customer.post("orders", ordered, key=secrets.token_hex(8))
            self.licence_id = str(order["licence"])
            receipt = self.customer.get(f"licences/{self.licence_id}/receipt").body
            signed = all(receipt["statement"]["signatures"].values())
            step.observed = f"{order['state']}, {'signed by both' if signed else 'NOT signed by both'}"
        with self.report.step("the licence's receipt", "receipt verifies offline") as step:
            step.observed = self._verify_receipt(receipt, "licence-receipt")
        with self.report.step("speak without saying where it will be heard", "403 licence_scope (channels)") as step:
            refused = self.speak(self.customer, LICENSED)
            step.observed = f"{said(refused)} ({refused.body.get('clause')})"
        with self.report.step("the customer speaks within the licence", "succeeded") as step:
            done = self._spoken(self.customer, self.speak(self.customer, LICENSED, channel="online"))
            self._save(self.customer, str(done["output"]), "spoken-by-customer.wav")
            step.observed = str(done["state"])
        full = f"cap: {len(LICENSED)} of {len(LICENSED)} characters used"
        with self.report.step("one character more", f"403 licence_cap, {full}") as step:
            refused = self.speak(self.customer, "a", channel="online")
            step.observed = f"{said(refused)}, {refused.body.get('detail')}"
        with self.report.step("audit every output against its licence", "No breach") as step:
            step.observed = self.system.manage("licence_audit").partition(":")[0]
        with self.report.step("the owner's statement counts the use", f"{len(LICENSED)} characters") as step:
            until = time.time() + 3600
            since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until - 48 * 3600))
            asked = f"statements?since={since}&until={time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(until))}"
            lines = self.speaker.get(asked)["lines"]
            step.observed = f"{sum(line['characters'] for line in lines if line['licence'])} characters"
        with self.report.step("the owner's statement verifies offline", "whole, and a use left out is found") as step:
            step.observed = self._statement_verified()

    def policy(self) -> None:
        with self.report.step("a text that policy forbids", "held for a moderator") as step:
            asked = self.speak(self.speaker, FORBIDDEN)
            self.held = str(asked["id"])
            step.observed = "held for a moderator" if asked["state"] == "held" else f"state {asked['state']}"
            case = str(asked["case"])
        with self.report.step("a member decides the case", "403 missing_scope") as step:
            step.observed = said(self.speaker.post(f"cases/{case}/claim"))
        with self.report.step("the moderator refuses it", "decided: refuse, request refused") as step:
            self.moderator.post(f"cases/{case}/claim")["id"]
            decision = {"decision": "refuse", "reason": "A family-emergency fraud.", "clause": "fraud.family"}
            self.moderator.post(f"cases/{case}/decide", decision)["state"]
            # Nothing comes of it until it can no longer be undone (a minute on the desk, seconds in this demo).
            request = self.speaker.wait(f"speech/{self.held}", lambda found: found["state"] != "held", seconds=60)
            decided = self.moderator.get(f"cases/{case}")["decision"]
            step.observed = f"decided: {decided}, request {request['state']}"

    # -- the end of things ---------------------------------------------------------------------------------------------

    def deadline(self) -> None:
        items = self.speaker.get("custody").body
        items = items.get("items", items) if isinstance(items, dict) else items
        held = next(item for item in items if item["purpose"] == "training" and item["state"] == "held")
        path = f"custody/{held['id']}"
        with self.report.step("read a raw recording in time", "200") as step:
            step.observed = str(self.speaker.download(f"{path}/content")[0])
        with self.report.step("read it after its deadline", "410 past_deadline") as step:
            self.operator.post("rehearsal/clock", {"advance_hours": REST_HOURS})["now"]
            step.observed = said(self.speaker.get(f"{path}/content"))
        with self.report.step("the sweep destroys it and certifies that", "certificate verifies offline") as step:
            self.speaker.wait(path, lambda item: item["state"] == "destroyed", seconds=60)
            certificate = offline.certificate(self.speaker, path)
            verified = self._verify_receipt(certificate.get("receipt", certificate), "deletion-receipt")
            step.observed = verified.replace("receipt", "certificate")

    def withdraw(self) -> None:
        with self.report.step("the owner withdraws consent", "withdrawn, voice destroyed") as step:
            answer = self.speaker.post(f"consents/{self.consent_id}/withdraw")
            if answer.status >= 400:
                raise ApiProblem(answer)
            state = self.speaker.get(f"consents/{self.consent_id}")["state"]
            voice = self.speaker.get(f"voices/{self.voice}")["state"]
            step.observed = f"{state}, voice {voice}"
        with self.report.step("the same text after withdrawal", "403 consent_withdrawn") as step:
            step.observed = said(self.speak(self.speaker, SPOKEN))
        with self.report.step("the licence after withdrawal", "403 consent_withdrawn") as step:
            step.observed = said(self.speak(self.customer, LICENSED))
        with self.report.step("trace the file after withdrawal", "this output, consent withdrawn") as step:
            step.observed = self._traced(self.spoken_file.read_bytes())

    def prove_the_log(self) -> None:
        with self.report.step("rebuild the whole log offline", "every leaf and checkpoint verifies") as step:
            folder = self.system.var / "log"
            self.system.manage("export_log", str(folder))
            done = self._vouch("verify-log", str(folder))
            step.observed = (
                "every leaf and checkpoint verifies" if done == 0 else f"vouch verify-log exited with {done}"
            )
