// Sound files that flows play.

import { getAll, upload } from "./api.js";
import { announce, copy, doing, make, press, write } from "./dom.js";
import { card, makeRow, makeTable } from "./parts.js";
import { may } from "./state.js";
import { duration, moment } from "./words.js";

const HEADS = ["Name", "Length", "Made", "Id"];

function makePrompt(prompt) {
  const id = make("code", {}, prompt.id);
  const take = press("Copy", () => copy(prompt.id, id), { tag: "button.small", "aria-label": `Copy the id of ${prompt.name}` });
  return makeRow(HEADS, [
    prompt.name,
    duration(Math.round(prompt.duration_s)),
    moment(prompt.created_at),
    make("span.with-button", {}, id, take),
  ]);
}

export async function showPrompts(place, signal) {
  const body = make("tbody");
  const none = make("p.empty", {}, "No prompt yet.");
  const load = async () => {
    const prompts = await getAll("/v1/prompts");
    body.replaceChildren(...prompts.reverse().map(makePrompt));
    none.hidden = prompts.length > 0;
    shown.hidden = prompts.length === 0;
  };
  const shown = makeTable("Prompts", HEADS, body);
  const step = make("span", { role: "status" });
  const input = make("input.unseen", { type: "file", id: "sound", accept: "audio/*,.wav,.mp3,.flac,.ogg", onchange: doing(async () => {
    const [file] = input.files;
    input.value = "";
    if (!file) return;
    try {
      const onProgress = (share) => write(step, share < 1 ? `Sending: ${Math.round(100 * share)} %` : "Converting …");
      await upload("/v1/prompts", file, { onProgress, signal });
      announce(`${file.name} can be played.`);
      await load();
    } finally {
      write(step, "");
    }
  }) });
  await load();
  place.append(
    make("h1", { tabindex: "-1" }, "Prompts"),
    card("Recordings that flows play",
      make("p.faint", {}, "WAV, MP3, FLAC or OGG. The id goes into a flow's definition."),
      may("owner") ? make("div.actions", {}, input, make("label.button.primary", { for: "sound" }, "Upload a prompt"), step) : null,
      none, shown),
  );
}
