// The agents of a dialer flow: who is there, what they do, and why others are away. An operator lets them
// come and go, ends their talks, and adds and removes them.

import { get, getAll, patch, post, send } from "./api.js";
import { announce, confirmed, doing, make, press, write } from "./dom.js";
import { card, makeRow, makeTable, pill } from "./parts.js";
import { may, watch } from "./state.js";
import { makeWork } from "./work.js";
import { AWAY_REASON, PRESENCE, count, moment, percent } from "./words.js";

const REFRESH_MS = 2000; // agents whose events come thick are asked for again this often at most
const HEADS = ["Name", "Number", "Presence", "Since", "Actions"];
const SHOWN = 200;
const ACTIONS = {
  away: ["come", "remove"],
  available: ["go"],
  busy: ["end", "go"],
  wrap_up: ["ready", "go"],
};
/** What can be done with an agent, by presence. */

/** The buttons of an agent's row. `asked` has the labels of those that wait for their answers. */
function makeActions(agent, path, asked, onDone) {
  const own = `${path}/agents/${agent.id}`;
  const acts = {
    come: ["Log in", () => patch(own, { presence: "available" })],
    go: ["Log out", () => patch(own, { presence: "away" })],
    ready: ["End wrap-up", () => patch(own, { presence: "available" })],
    end: ["End talk", () => send("POST", `${own}/hangup`, { contact: agent.contact })],
    remove: ["Remove", async () => {
      const text = "Calls that they have taken stay on record.";
      if (await confirmed({ title: `Remove ${agent.name}?`, text, yes: "Remove the agent" })) await send("DELETE", own);
    }],
  };
  return make("div.actions", {}, ACTIONS[agent.presence].map((name) => {
    const [text, act] = acts[name];
    const label = `${text}: ${agent.name}`;
    const button = press(text, async () => {
      asked.add(label);
      try {
        await act();
        announce(`${label}: done.`);
      } finally {
        asked.delete(label);
        onDone();
      }
    }, { tag: "button.small", "aria-label": label, "aria-busy": asked.has(label) ? "true" : null });
    return button;
  }));
}

/** What an operator adds an agent with. */
function makeAdd(path, onAdded) {
  const name = make("input", { id: "agent-name", required: true, maxlength: 100, autocomplete: "off" });
  const number = make("input", { id: "agent-number", required: true, inputmode: "tel", placeholder: "+14155550100", autocomplete: "off" });
  const add = doing(async () => {
    const agent = await post(`${path}/agents`, { name: name.value.trim(), number: number.value.trim() });
    announce(`${agent.name} was added.`);
    name.value = number.value = "";
    onAdded();
  });
  return card("Add an agent",
    make("p.faint", {}, "Whoever is logged in has their telephone called, and keeps it up while customers are connected to it. ",
      "With the dialling ‘preview’ it is called for each customer."),
    make("form.fields", { onsubmit: (event) => {
      event.preventDefault();
      add(event);
    } }, make("div", {}, make("label", { for: "agent-name" }, "Name"), name),
    make("div", {}, make("label", { for: "agent-number" }, "Telephone"), number), make("button", {}, "Add")));
}

function makeAgent(agent, actions) {
  const [word, tone] = PRESENCE[agent.presence];
  const reason = agent.presence === "away" ? AWAY_REASON[agent.presence_reason] : null;
  return makeRow(HEADS, [
    agent.name,
    agent.number,
    make("span", {}, pill(word, tone), reason ? ` ${reason}` : ""),
    moment(agent.presence_at),
    actions,
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
  const busy = new Set(); // labels of buttons that wait for their answers
  let isAsking = false; // no answer overtakes another
  let agents = [];
  const ask = async () => {
    const asked = new Set(stale);
    stale.clear();
    isAsking = true;
    try {
      const [found, floor] = await Promise.all([asked.has("agents") ? getAll(`${path}/agents`) : agents, get(`${path}/floor`)]);
      if (found !== agents) draw(found);
      agents = found;
      show(floor);
    } catch (error) {
      write(about, error.message);
      if (error.status !== 403) asked.forEach((one) => stale.add(one)); // a key that is for other parts of the API
    } finally {
      isAsking = false;
    }
  };
  const draw = (found) => {
    const focused = body.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
    body.replaceChildren(...found.slice(0, SHOWN).map((agent) =>
      makeAgent(agent, may("operator") ? makeActions(agent, path, busy, look) : "")));
    // Who pressed a button that went away finds what can be done now.
    if (focused) {
      const name = focused.slice(focused.indexOf(": "));
      (body.querySelector(`[aria-label="${CSS.escape(focused)}"]`) ?? body.querySelector(`[aria-label$="${CSS.escape(name)}"]`))?.focus();
    }
  };
  const look = () => {
    stale.add("agents");
    refresh();
  };
  const show = (floor) => {
    table.hidden = agents.length === 0;
    const more = agents.length > SHOWN ? ` The first ${SHOWN} of ${count(agents.length)} are shown.` : "";
    write(about, agents.length
      ? sayFloor(floor) + more
      : "The flow has no agent yet. An operator adds them.");
  };
  const refresh = () => {
    if (stale.size && !isAsking && !document.hidden && element.checkVisibility()) ask();
  };
  const element = make("div.stack", {}, card("Agents", about, table), makeWork(id, () => new Map(agents.map((one) => [one.id, one.name]))), may("operator") ? makeAdd(path, look) : null);
  const ticking = setInterval(refresh, REFRESH_MS);
  signal.addEventListener("abort", () => clearInterval(ticking));
  watch("agents", (changed) => changed === id && stale.add("agents"), signal);
  watch("calls", () => stale.add("floor"), signal); // calls on the way are there before any agent is told of
  watch("feed", () => stale.add("agents"), signal); // what happened while it was broken off
  ask();
  return element;
}
