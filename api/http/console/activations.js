// Requests by mail to activate a flow's listener: those that wait, and what became of the others.

import { get, post } from "./api.js";
import { announce, arrange, make, notify, press } from "./dom.js";
import { facts, makeRow, makeTable, pill } from "./parts.js";
import { forgetActivation, known, loadFlows, may, nameOf, watch } from "./state.js";
import { moment, plain } from "./words.js";

const HEADS = ["Flow", "What became of it", "Asked by", "When"];
const REASON_LENGTH_MAX = 500;
const TONES = { confirmed: "good", refused: "bad", expired: "warn" };

async function decide(one, what, body) {
  try {
    await post(`/v1/activations/${one.id}/${what}`, body);
    announce(`The request for ${nameOf(one.flow)} is ${what === "confirm" ? "confirmed" : "refused"}.`);
    forgetActivation(one.id);
    if (what === "confirm") await loadFlows();
  } catch (error) {
    if (error.code === "activation_decided") forgetActivation(one.id);
    notify(error.message);
  }
}

/** Ask for the reason that the sender is told; null where it is not to be refused after all. */
function askReason(one) {
  return new Promise((resolve) => {
    const reason = make("textarea", { id: "reason", rows: "3", maxlength: REASON_LENGTH_MAX, autofocus: true });
    const dialog = make("dialog", { "aria-labelledby": "dialog-title" },
      make("form", { method: "dialog" },
        make("h2", { id: "dialog-title" }, `Refuse the request for ${nameOf(one.flow)}?`),
        make("label", { for: "reason" }, `What ${one.sender} is told`),
        reason,
        make("div.actions", {}, make("button.danger.solid", { value: "yes" }, "Refuse it"), make("button", { value: "no" }, "No, go back"))));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes" ? reason.value.trim() : null);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

async function refuse(one) {
  const reason = await askReason(one);
  if (reason !== null) await decide(one, "refuse", { reason });
}

function makeRequest(one) {
  const title = make("h3", { id: `request-${one.id}` }, make("a", { href: `#/flows/${one.flow}/configuration` }, nameOf(one.flow)));
  const about = { "aria-describedby": `request-${one.id}` };
  return make("li.card", { "aria-labelledby": `request-${one.id}` },
    title,
    facts([
      ["Asked by", one.sender],
      ["Subject", one.subject || null],
      ["Calls from", one.numbers.join(", ")],
      ["Came", moment(one.created_at)],
      ["Void from", moment(one.expires_at)],
    ]),
    may("operator")
      ? make("div.actions", {},
          press("Confirm", () => decide(one, "confirm"), { tag: "button.primary", ...about }),
          press("Refuse", () => refuse(one), about))
      : null);
}

function makeDecided(one) {
  return makeRow(HEADS, [
    one.flow ? nameOf(one.flow) : "none of the account",
    make("span.with-button", {}, pill(one.status, TONES[one.status]), one.reason || (one.code ? plain(one.code) : "")),
    one.sender,
    moment(one.decided_at),
  ]);
}

export async function showActivations(place, signal) {
  const shelf = make("ul.stack.requests", { "aria-label": "Requests that wait" });
  const nothing = make("p.empty", {}, "No request waits.");
  const body = make("tbody");
  const past = makeTable("Decided requests", HEADS, body);
  const none = make("p.empty", {}, "None yet.");
  const title = make("h1", { tabindex: "-1" }, "Requests");
  const cards = new Map();
  const draw = () => {
    const hadFocus = shelf.contains(document.activeElement);
    const waiting = [...known.activations.values()];
    for (const id of cards.keys()) if (!known.activations.has(id)) cards.delete(id);
    for (const one of waiting) if (!cards.has(one.id)) cards.set(one.id, makeRequest(one));
    arrange(shelf, waiting.map((one) => cards.get(one.id)));
    nothing.hidden = waiting.length > 0;
    shelf.hidden = waiting.length === 0;
    // What had the focus may be gone with its request.
    if (hadFocus && !shelf.contains(document.activeElement)) (shelf.querySelector("button") ?? title).focus();
  };
  const loadPast = async () => {
    const { items } = await get("/v1/activations?limit=100");
    const decided = items.filter((one) => one.status !== "pending");
    body.replaceChildren(...decided.map(makeDecided));
    none.hidden = decided.length > 0;
    past.hidden = decided.length === 0;
  };
  watch("activations", () => {
    draw();
    loadPast().catch(() => {}); // what it shows is of a moment ago then
  }, signal);
  draw();
  await loadPast();
  place.append(
    title,
    make("p.faint", {}, "Mails that ask to activate a flow's listener. Confirming one attaches its numbers and lets the flow call."),
    make("section.part", { "aria-labelledby": "waiting-title" }, make("h2", { id: "waiting-title" }, "Waiting"), nothing, shelf),
    make("section.part", { "aria-labelledby": "decided-title" }, make("h2", { id: "decided-title" }, "Decided"), none, past),
  );
}
