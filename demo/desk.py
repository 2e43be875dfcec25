"""``make desk``: a moderator's day to walk through, with real data.

The demo's speaker consents, has a voice trained and speaks; people report the recording, ask for texts that are held,
send a notice, and one who was refused appeals. Then the system stays up, and what to do is printed (docs/desk.md).
"""

import argparse
import secrets
import shutil
import sys
import time
from pathlib import Path

from demo.client import Client
from demo.report import Report
from demo.story import Story
from vouch.runtime import system as systems

VAR = Path("var/desk")
STAFF = {
    "first moderator": ("first@desk.example", "moderator"),
    "second moderator": ("second@desk.example", "moderator"),
    "senior moderator": ("senior@desk.example", "senior"),
    "auditor": ("auditor@desk.example", "auditor"),
    "operator": ("operator@desk.example", "operator"),
}
HELD = (
    "Grandma, I had an accident, please send the money today and do not tell anyone.",
    "Mum, it is me, I lost my phone. Please send the money now and tell nobody.",
    "In our play the grandson says: Grandma, please send the money today and do not tell anyone.",
)
REPORTS = (
    "That is my colleague’s voice, and he never said this.",
    "I got this as a voice message from somebody who claimed to be Sam.",
    "This sounds like Sam but the words are not his.",
)
UNDO_SECONDS = 60


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo.desk", description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument(
        "--leave", action="store_true", help="stop as soon as everything is there (to try this program)"
    )
    options = parser.parse_args()
    systems.stop_on_signal()
    shutil.rmtree(VAR, ignore_errors=True)
    report = Report(VAR / "report.json")
    system = systems.start(
        VAR.resolve(),
        keep_data=False,
        port=options.port,
        VOUCH_REHEARSAL="1",
        VOUCH_UNDO_SECONDS=str(UNDO_SECONDS),
        VOUCH_TRAINING_RECIPE="demo",
    )
    try:
        accounts, keys = staff(system)
        story = Story(system, report, {"moderator": keys["first moderator"], "operator": keys["operator"]})
        for act in (story.arrive, story.live_challenge, story.training_speech, story.consent, story.train):
            act()
        story.speak_and_trace()
        fill(system, story, report, Client(system.address, keys["second moderator"]))
        report.summary()
        guide(system, accounts)
        while not options.leave:
            system.check()
            time.sleep(1)
        return 0 if report.ok else 1
    except KeyboardInterrupt:
        print("\nStopping …")
        return 0
    finally:
        system.stop()


def staff(system: systems.System) -> tuple[dict[str, tuple[str, str]], dict[str, str]]:
    """E-mail address and password of every account, and its API key."""
    accounts, keys = {}, {}
    for name, (email, role) in STAFF.items():
        password = secrets.token_urlsafe(12)
        accounts[name] = (email, password)
        keys[name] = system.manage(
            "create_person", email, "--name", name.title(), "--role", role, VOUCH_NEW_PASSWORD=password
        )
    return accounts, keys


def fill(system: systems.System, story: Story, report: Report, second: Client) -> None:
    """What waits on the desk when the moderator sits down."""
    with report.step("texts are held", f"{len(HELD)} held") as step:
        asked = [story.speak(story.speaker, text) for text in HELD]
        step.observed = f"{sum(one['state'] == 'held' for one in asked)} held"
    with report.step("one is refused by the second moderator", "refused") as step:
        case = str(asked[1]["case"])
        second.post(f"cases/{case}/claim")["id"]
        decision = {"decision": "refuse", "reason": "A family-emergency fraud.", "clause": "fraud.family-emergency"}
        second.post(f"cases/{case}/decide", decision)["state"]
        wait = UNDO_SECONDS + 120
        done = story.speaker.wait(f"speech/{asked[1]['id']}", lambda found: found["state"] != "held", seconds=wait)
        step.observed = str(done["state"])
    with report.step("the speaker appeals", "open") as step:
        (statement,) = story.speaker.get("statements-of-reasons").body
        text = {"text": "It is a line of our play. Nobody is asked for anything."}
        step.observed = str(story.speaker.post(f"statements-of-reasons/{statement['id']}/appeal", text)["state"])
    with report.step("the recording and the voice are reported", f"{2 * len(REPORTS)} reports, 2 cases") as step:
        cases = set()
        for number, text in enumerate(REPORTS):
            reporter = story.register(f"reporter{number}", f"Reporter {number + 1}")
            for kind, ref in (("output", story.output), ("voice", story.voice)):
                body = {"subject_kind": kind, "subject_ref": ref, "text": text}
                cases.add(reporter.post("reports", body)["case"])
        step.observed = f"{2 * len(REPORTS)} reports, {len(cases)} cases"
    with report.step("a stranger sends a notice", "received") as step:
        body = {
            "form": "no_fakes", "subject_kind": "output", "subject_ref": story.output, "sender_name": "Ida Ohnesorg",
            "sender_email": "ida@outside.example", "sender_address": "1 Harbour Lane", "sender_phone": "+1 555 0100",
            "individual": "Ida Ohnesorg", "claim": "This recording imitates me.", "good_faith": True,
            "accurate": True, "signature": "/Ida Ohnesorg/",
        }  # fmt: skip
        outside = Client(system.address)
        step.observed = str(outside.post("notices", body)["state"])
        outside.close()


def guide(system: systems.System, accounts: dict[str, tuple[str, str]]) -> None:
    print(f"\nThe desk is at {system.address}/desk. Sign in with:\n")
    for name, (email, password) in accounts.items():
        print(f"  {name:<18} {email:<22} {password}")
    print("\nThe day, step by step, is in docs/desk.md. Stop with Ctrl-C; nothing is kept.\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
