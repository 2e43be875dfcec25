// What a mood means, to be heard: the same two sentences in this voice for every mood. Each is spoken once, as a recording
// like any other (through the gate, marked, labelled), and found again afterwards.
import { poll } from "./api.js";
import { attempt, byId } from "./dom.js";
import { surely } from "./patience.js";
import { remember } from "./remember.js";
import { stageOf } from "./training.js";

const OVER = ["succeeded", "failed", "refused", "cancelled", "held"];

/** `asking(mood)`: what /api/v1/speech is asked for; `settled(request, text)`: its take, or null when there is none. */
export function offerSamples(panel, box, { asking, settled, takeOf }) {
  const button = byId("hear");
  const { said, language, seed } = button.dataset;

  async function spoken(mood) {
    const asked = { ...asking(mood.value ? { preset: mood.value } : {}, Number(seed)), text: said, language };
    const { id } = await surely("speech", asked, box);
    remember(id, said);
    const stage = byId("hear-stage");
    try {
      const request = await poll(`speech/${id}`, (one) => OVER.includes(one.state), (one) => (stage.textContent = stageOf(one)));
      const take = await settled(request, said);
      if (take) mood.dataset.sample = JSON.stringify({ output: take.output, request });
      return take;
    } finally {
      stage.textContent = "";
    }
  }

  button.addEventListener("click", async () => {
    const mood = panel.mood();
    await attempt(button, box, async () => {
      const kept = mood.dataset.sample ? JSON.parse(mood.dataset.sample) : null;
      const take = kept ? takeOf(kept.output, kept.request, said) : await spoken(mood);
      if (!take) return;
      byId("heard").replaceChildren(take.root);
      await take.play();
    });
    panel.say(); // Meanwhile a slider may have been moved, and then no mood is chosen.
  });
}
