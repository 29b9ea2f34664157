// What each agent of a flow has done in the last 24 hours, counted from the records of its calls.

import { getAll } from "./api.js";
import { make, press, write } from "./dom.js";
import { card, makeRow, makeTable } from "./parts.js";
import { count, duration, moment } from "./words.js";

const HEADS = ["Agent", "Customers", "Time on their calls", "Longest", "Last"];
const DAY_MS = 86_400_000;
const CALLS_MAX = 20_000; // that are read to be counted: what `getAll` takes

/** Calls by agent: [agent's id, { customers, seconds, longest, last }], the busiest first. */
export function workOf(calls) {
  const work = new Map();
  for (const call of calls.filter((one) => one.agent && one.answered_at)) {
    const done = work.get(call.agent) ?? { customers: 0, seconds: 0, longest: 0, last: "" };
    const seconds = call.duration_s ?? 0;
    work.set(call.agent, {
      customers: done.customers + 1,
      seconds: done.seconds + seconds,
      longest: Math.max(done.longest, seconds),
      last: call.answered_at > done.last ? call.answered_at : done.last,
    });
  }
  return [...work].sort((a, b) => b[1].customers - a[1].customers);
}

/** A card that counts when somebody asks. `namesOf()` has the name of each agent by id. */
export function makeWork(flow, namesOf) {
  const told = make("div", { role: "status" });
  const ask = press("Count the calls", async () => {
    const from = new Date(Date.now() - DAY_MS);
    const query = new URLSearchParams({ flow, from: from.toISOString().replace("Z", "+00:00") });
    const calls = await getAll(`/v1/attempts?${query}`);
    const names = namesOf();
    const lost = calls.filter((one) => one.abandoned).length;
    const rows = workOf(calls).map(([agent, done]) => makeRow(HEADS, [
      names.get(agent) ?? "an agent who was removed", count(done.customers), duration(done.seconds), duration(done.longest), moment(done.last),
    ]));
    const first = calls.length >= CALLS_MAX ? ` Counted are the first ${count(calls.length)} of them.` : "";
    const abandoned = lost ? ` ${count(lost)} answered and met no agent.` : "";
    told.replaceChildren(
      make("p.faint", {}, `${count(calls.length)} ${calls.length === 1 ? "call" : "calls"} in the last 24 hours.${abandoned}${first}`),
      rows.length ? makeTable("What agents did", HEADS, make("tbody", {}, rows)) : "No agent has had a customer.");
    write(ask, "Count again");
  });
  return card("What they did in the last 24 hours",
    make("p.faint", {}, "A customer’s call counts from the answer to its end, with what was played before the agent came."),
    told, make("div.actions", {}, ask));
}
