// What the people of a list have answered: what their calls have set, counted.

import { getAll } from "./api.js";
import { make, press, write } from "./dom.js";
import { card, makeRow, makeTable } from "./parts.js";
import { known } from "./state.js";
import { count, people, percent } from "./words.js";

const HEADS = ["Question", "Answer", "People", "Of those who answered it"];
const CALLS_MAX = 20_000; // that are read to be counted: what `getAll` takes
const VALUES_SHOWN = 12; // of one question; of more, the most frequent

/** What follows an answer in the flow as it is now: the name of its node, or nothing. */
function nameOf(flow, variable, value) {
  const nodes = Object.values(known.flows.get(flow)?.definition?.nodes ?? {});
  const asked = nodes.find((node) =>
    node.type === "gather" && node.variable === variable && Object.hasOwn(node.branches ?? {}, value));
  return asked ? asked.branches[value].replaceAll("_", " ") : "";
}

/** The last word of each contact on each variable, counted: { variable: Map(value → people) }. */
export function countAnswers(calls) {
  const words = new Map();
  for (const { contact, result } of calls) {
    for (const [variable, value] of Object.entries(result)) {
      const isWord = value !== "" && !String(value).startsWith("rec_");
      if (isWord) words.set(JSON.stringify([variable, contact]), [variable, String(value)]);
    }
  }
  const counted = Object.create(null); // a variable may have any name
  for (const [variable, value] of words.values()) {
    counted[variable] ??= new Map();
    counted[variable].set(value, (counted[variable].get(value) ?? 0) + 1);
  }
  return counted;
}

function makeRows(flow, counted) {
  return Object.entries(counted).flatMap(([variable, values]) => {
    const all = [...values.values()].reduce((sum, number) => sum + number, 0);
    const most = [...values].sort((a, b) => b[1] - a[1]);
    const shown = most.slice(0, VALUES_SHOWN).sort((a, b) => a[0].localeCompare(b[0], "en", { numeric: true }));
    const rest = most.slice(VALUES_SHOWN).reduce((sum, [, number]) => sum + number, 0);
    if (rest) shown.push(["others", rest]);
    return shown.map(([value, number]) => {
      const meant = nameOf(flow, variable, value);
      return makeRow(HEADS, [variable, meant ? `${value}, ${meant}` : value, count(number), percent(number, all)]);
    });
  });
}

/** A card that counts answers when somebody asks. */
export function makeAnswers({ id, flow }) {
  const told = make("div", { role: "status" });
  const ask = press("Count the answers", async () => {
    const calls = await getAll(`/v1/attempts?list=${encodeURIComponent(id)}`);
    const rows = makeRows(flow, countAnswers(calls));
    const first = calls.length >= CALLS_MAX ? ` Counted are the first ${count(calls.length)} calls; “Results” has all.` : "";
    told.replaceChildren(
      make("p.faint", {}, `${people(new Set(calls.map((one) => one.contact)).size)} called so far.${first}`),
      rows.length ? makeTable("Answers", HEADS, make("tbody", {}, rows)) : "Nobody has answered a question yet.");
    write(ask, "Count again");
  });
  const element = card("Answers", told, make("div.actions", {}, ask));
  return { element, update: (list) => { element.hidden = !list.started_at; } };
}
