// A flow's rules in words, and the flow as JSON: to be read, and to be changed.

import { getTagged, put } from "./api.js";
import { announce, doing, make, press, prose } from "./dom.js";
import { card, facts } from "./parts.js";
import { known, may, putFlow, watch } from "./state.js";
import { plain, span } from "./words.js";

const MISTAKES_SHOWN = 20;
const WEEK = 7; // days

/** What was written, as a value. Throws a sentence for its writer. */
export function readSource(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`This is not JSON: ${error.message}`);
  }
}

/** What is wrong with a flow, each mistake with its place. */
export function sayMistakes(what, error) {
  const said = (one) => make("li", {}, one.pointer ? [make("code", {}, one.pointer), " "] : null, prose(one.detail));
  const mistakes = (error.errors ?? []).slice(0, MISTAKES_SHOWN).map(said);
  return mistakes.length ? make("div", {}, make("p", {}, what), make("ul.plain", {}, mistakes)) : make("p", {}, error.message);
}

function sayWindow(hours, timezone) {
  const days = hours.days.length < WEEK ? `, ${hours.days.join(" ")}` : "";
  const clock = hours.callee_zone ? "on the callee's clock" : `in ${hours.timezone ?? timezone}`;
  const and = hours.callee_zone && hours.timezone ? ` and in ${hours.timezone}` : "";
  const holidays = hours.holidays.length ? `, but for ${hours.holidays.length} ${hours.holidays.length === 1 ? "holiday" : "holidays"}` : "";
  return `${hours.start}–${hours.end}${days}, ${clock}${and}${holidays}`;
}

const times = (number) => (number === 1 ? "once" : `${number} times`);

/** The settings that whoever answers for the calls asks about, as pairs of a term and words. */
export function rulesOf({ settings, timezone }) {
  const windows = [settings.calling_window ?? []].flat();
  const retries = Object.entries(settings.retry ?? {}).filter(([, rule]) => rule.tries > 0);
  const perDay = settings.attempts_max_per_day ? `, ${settings.attempts_max_per_day} a day` : "";
  const caps = (settings.callee_caps ?? []).map((cap) => `${cap.calls} in ${span(cap.per_s)}`);
  const limits = [settings.cps && `${settings.cps} calls a second`, settings.channels && `${settings.channels} calls at once`].filter(Boolean);
  return [
    ["Calls are made", windows.length ? windows.map((hours) => sayWindow(hours, timezone)).join("; ") : "at any hour"],
    ["Calls of one person", `${settings.attempts_max} at the most${perDay}`],
    ["A number is tried again", retries.length
      ? retries.map(([why, rule]) => `${plain(why)}: ${times(rule.tries)}, after ${span(rule.wait_s)}`).join("; ") : "never"],
    ["Rings for", span(settings.ring_timeout_s)],
    ["Limits of the flow", limits.length ? limits.join(", ") : null],
    ["Limits of a number", caps.length ? caps.join(", ") : null],
  ];
}

function makeEditor(id) {
  const wrong = make("div.wrong", { role: "alert" });
  const text = make("textarea.source", { id: "flow-now", rows: "22", spellcheck: "false", required: true });
  let tag = '""'; // no flow has it: what was not read is not written over
  const load = async () => {
    const { body, tag: found } = await getTagged(`/v1/flows/${id}`);
    tag = found;
    const { name, timezone, settings, definition } = body;
    text.value = JSON.stringify({ name, timezone, settings, definition }, null, 2);
    wrong.replaceChildren();
  };
  const save = async () => {
    wrong.replaceChildren();
    try {
      putFlow(await put(`/v1/flows/${id}`, readSource(text.value), { "If-Match": tag }));
      await load();
      announce("The flow was changed.");
    } catch (error) {
      wrong.replaceChildren(sayMistakes("The flow was not changed:", error));
    }
  };
  const details = make("details", { ontoggle: doing(async () => {
    if (details.open && !text.value) await load();
  }) },
  make("summary", {}, "Change it, as JSON"),
  make("p.faint", {}, "Settings hold at once. Lists that have come in already go through the nodes that they came with. ",
    "What is shown as ******** stays as it is."),
  make("label", { for: "flow-now" }, "The flow, as JSON"), text, wrong,
  make("div.actions", {}, make("button.primary", { type: "button", onclick: doing(save) }, "Save"), press("Read it again", load)));
  return details;
}

/** The rules of a flow, and its JSON for those who may change it. */
export function makeRules(id, signal) {
  const words = make("div");
  const draw = () => {
    const flow = known.flows.get(id);
    if (flow) words.replaceChildren(facts(rulesOf(flow).filter(([, said]) => said)));
  };
  watch("flows", draw, signal);
  draw();
  const others = make("p.faint", {}, "The account's own hours and limits hold beside these.");
  return card("Rules", words, others, may("owner") ? makeEditor(id) : null);
}
