// A new flow, from its JSON: chosen as a file, or written here.

import { newIdempotencyKey, post } from "./api.js";
import { announce, doing, make } from "./dom.js";
import { card } from "./parts.js";
import { readSource, sayMistakes } from "./source.js";
import { known, loadFlows, may, putFlow } from "./state.js";

const FILE_BYTES_MAX = 1024 * 1024;

/** A flow to begin with, in the reader's own time zone. */
function makeFirst() {
  const { timeZone: timezone } = Intl.DateTimeFormat().resolvedOptions();
  const definition = {
    start: "hello",
    variables: { name: { default: "there" } },
    nodes: {
      hello: { type: "gather", prompt: { say: "Hello {{name}}. Press 1 to confirm." }, digits: 1, branches: { 1: "thanks" }, otherwise: "bye" },
      thanks: { type: "say", text: "Thank you.", next: "bye" },
      bye: { type: "hangup" },
    },
  };
  return JSON.stringify({ name: "Confirmation", timezone, definition, settings: { attempts_max: 3 } }, null, 2);
}

export async function showNewFlow(place, signal) {
  const wrong = make("div.wrong", { role: "alert" });
  const text = make("textarea.source", { id: "flow-source", rows: "22", spellcheck: "false", required: true });
  text.value = makeFirst();
  const input = make("input.unseen", { type: "file", id: "flow-file", accept: ".json,application/json", onchange: doing(async () => {
    const [file] = input.files;
    input.value = "";
    if (!file) return;
    if (file.size > FILE_BYTES_MAX) throw new Error(`${file.name} is larger than 1 MB.`);
    text.value = await file.text();
    wrong.replaceChildren();
    text.focus();
  }) });

  // One flow however often the button is pressed, and however the network fails meanwhile.
  const keys = new Map();
  const send = async () => {
    wrong.replaceChildren();
    try {
      const body = readSource(text.value);
      if (!keys.has(text.value)) keys.set(text.value, newIdempotencyKey());
      const flow = await post("/v1/flows", body, { "Idempotency-Key": keys.get(text.value) });
      // Who went elsewhere stays there, which may be another account.
      if (signal.aborted) return known.me && (await loadFlows());
      putFlow(flow);
      announce(`${flow.name} was made.`);
      location.hash = `#/flows/${flow.id}/configuration`;
    } catch (error) {
      wrong.replaceChildren(sayMistakes("The flow was not made:", error));
    }
  };
  place.append(
    make("h1", { tabindex: "-1" }, "New flow"),
    may("owner")
      ? card("What happens on its calls",
        make("p.faint", {}, "A flow is JSON: its nodes, the values that each person brings, and its settings. Begin with this one, ",
          "or choose a file. It calls nobody before it has a caller number and its listener is on. ",
          make("a", { href: "/docs", target: "_blank", rel: "noreferrer" }, "All of the API")),
        make("label", { for: "flow-source" }, "The flow, as JSON"), text, wrong,
        make("div.actions", {},
          make("button.primary", { type: "button", onclick: doing(send) }, "Make the flow"),
          input, make("label.button", { for: "flow-file" }, "Choose a file")))
      : make("p", {}, "An owner of the account makes flows."),
  );
}
