// The agents of a dialer flow: who is there, what they do, and why others are away.

import { get, getAll } from "./api.js";
import { make, write } from "./dom.js";
import { card, makeRow, makeTable, pill } from "./parts.js";
import { watch } from "./state.js";
import { AWAY_REASON, PRESENCE, count, moment, percent } from "./words.js";

const REFRESH_MS = 2000; // agents whose events come thick are asked for again this often at most
const HEADS = ["Name", "Number", "Presence", "Since"];
const SHOWN = 200;

function makeAgent(agent) {
  const [word, tone] = PRESENCE[agent.presence];
  const reason = agent.presence === "away" ? AWAY_REASON[agent.presence_reason] : null;
  return makeRow(HEADS, [
    agent.name,
    agent.number,
    make("span", {}, pill(word, tone), reason ? ` ${reason}` : ""),
    moment(agent.presence_at),
  ]);
}

function sayFloor({ free, in_air: inAir, abandoned }) {
  const calls = `${count(free)} free, ${count(inAir)} ${inAir === 1 ? "call" : "calls"} on the way to them.`;
  if (!abandoned.answered) return calls;
  const share = percent(abandoned.abandoned, abandoned.answered);
  return `${calls} Of the people who answered in 30 days, ${share} met no agent.`;
}

/** What a flow's agents do, which keeps itself up to date while it is looked at. */
export function makeAgents(id, signal) {
  const body = make("tbody");
  const about = make("p.faint");
  const table = makeTable("Agents", HEADS, body);
  table.hidden = true; // until there is an answer
  const path = `/v1/flows/${encodeURIComponent(id)}`;
  const stale = new Set(["agents", "floor"]);
  let isAsking = false; // no answer overtakes another
  let agents = [];
  const ask = async () => {
    const asked = new Set(stale);
    stale.clear();
    isAsking = true;
    try {
      const [found, floor] = await Promise.all([asked.has("agents") ? getAll(`${path}/agents`) : agents, get(`${path}/floor`)]);
      if (found !== agents) body.replaceChildren(...found.slice(0, SHOWN).map(makeAgent));
      agents = found;
      show(floor);
    } catch (error) {
      write(about, error.message);
      if (error.status !== 403) asked.forEach((one) => stale.add(one)); // a key that is for other parts of the API
    } finally {
      isAsking = false;
    }
  };
  const show = (floor) => {
    table.hidden = agents.length === 0;
    const more = agents.length > SHOWN ? ` The first ${SHOWN} of ${count(agents.length)} are shown.` : "";
    write(about, agents.length
      ? sayFloor(floor) + more
      : "The flow has no agent; an operator adds them over the API (POST /v1/flows/{flow}/agents).");
  };
  const refresh = () => {
    if (stale.size && !isAsking && !document.hidden && element.checkVisibility()) ask();
  };
  const element = make("div.stack", {}, card("Agents", about, table));
  const ticking = setInterval(refresh, REFRESH_MS);
  signal.addEventListener("abort", () => clearInterval(ticking));
  watch("agents", (changed) => changed === id && stale.add("agents"), signal);
  watch("calls", () => stale.add("floor"), signal); // calls on the way are there before any agent is told of
  watch("feed", () => stale.add("agents"), signal); // what happened while it was broken off
  ask();
  return element;
}
