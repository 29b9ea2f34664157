// A flow: its lists, and how it is set up.

import { download, get, post, put } from "./api.js";
import { announce, doing, make, press, write } from "./dom.js";
import { makeAgents } from "./agents.js";
import { makeConfiguration } from "./configuration.js";
import { makeCalls, makeListCards, setPill } from "./parts.js";
import { OPEN, known, loadFlows, loadLists, may, putFlow, refreshOpen, watch } from "./state.js";
import { makeUpload } from "./upload.js";

/** The switch that lets a flow take lists and call. */
export function makeListener(id, signal) {
  const state = make("span");
  const flip = async () => {
    const active = !known.flows.get(id)?.listener.active;
    const flow = await put(`/v1/flows/${id}/listener`, { active });
    putFlow(flow);
    announce(`The listener of ${flow.name} is ${active ? "on" : "off"}.`);
  };
  const about = { role: "switch", "aria-labelledby": "listener-label", disabled: !may("operator") };
  const knob = press("", flip, { tag: "button.switch", ...about });
  const draw = () => {
    const isOn = known.flows.get(id)?.listener.active ?? false;
    knob.setAttribute("aria-checked", isOn);
    write(state, isOn ? "on" : "off");
  };
  watch("flows", draw, signal);
  draw();
  return make("div.listener", {}, make("span", { id: "listener-label" }, "Listener"), knob, state);
}

/** Pause and resume of all calls of a flow: its lists, its single calls, and its transfers. */
function makeHold(id, signal) {
  const act = async (what, told) => {
    const flow = await post(`/v1/flows/${id}/${what}`);
    putFlow(flow);
    refreshOpen();
    announce(`${flow.name}: ${told}`);
  };
  const pause = press("Pause all calls", () => act("pause", "no call begins. Those that were answered go on."));
  const resume = press("Resume all calls", () => act("resume", "calls begin again."), { tag: "button.primary" });
  const draw = () => {
    const isPaused = Boolean(known.flows.get(id)?.paused_at);
    const hadFocus = [pause, resume].includes(document.activeElement);
    pause.hidden = !may("operator") || isPaused;
    resume.hidden = !may("operator") || !isPaused;
    if (hadFocus) (isPaused ? resume : pause).focus();
  };
  watch("flows", draw, signal);
  draw();
  return make("div.actions", {}, pause, resume);
}

/** Tabs as the ARIA practices have them: one stop for Tab, arrows between them. */
function makeTabs(label, tabs, current, onChoose) {
  const heads = tabs.map(({ key, title }) =>
    make("button.tab", { type: "button", role: "tab", id: `tab-${key}`, "aria-controls": `panel-${key}`, onclick: () => choose(key) }, title));
  const panels = tabs.map(({ key, panel }) => {
    panel.id = `panel-${key}`;
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", `tab-${key}`);
    return panel;
  });
  function choose(key) {
    tabs.forEach((tab, place) => {
      const isChosen = tab.key === key;
      heads[place].setAttribute("aria-selected", isChosen);
      heads[place].tabIndex = isChosen ? 0 : -1;
      panels[place].hidden = !isChosen;
    });
    onChoose(key);
  }
  const bar = make("div.tabs", { role: "tablist", "aria-label": label, onkeydown: (event) => {
    const place = heads.indexOf(document.activeElement);
    const to = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: heads.length - 1 }[event.key];
    if (to === undefined || place < 0) return;
    event.preventDefault();
    const next = (to + heads.length) % heads.length;
    heads[next].focus();
    choose(tabs[next].key);
  } }, heads);
  choose(current);
  return [bar, ...panels];
}

function makeLists(id, next, signal) {
  let cursor = next;
  const older = press("Show older lists", async () => {
    ({ next: cursor } = await loadLists({ flow: id, cursor }));
    older.hidden = !cursor;
  });
  older.hidden = !cursor;
  const saveTemplate = doing(() => download(`/v1/flows/${id}/template.csv`, `${known.flows.get(id).name}.csv`));
  const isOpen = (list) => list.flow === id && OPEN.includes(list.status);
  const isPast = (list) => list.flow === id && !OPEN.includes(list.status);
  return make(
    "div.stack",
    {},
    may("operator") ? makeUpload(id, saveTemplate, signal) : null,
    make("section.part", { "aria-labelledby": "open-title" }, make("h2", { id: "open-title" }, "Going on"),
      makeListCards({ isShown: isOpen, empty: "No list is being called.", label: "Lists going on" }, signal)),
    makeCalls({ isShown: (call) => call.flow === id, hidesEmpty: true }, signal),
    make("section.part", { "aria-labelledby": "past-title" }, make("h2", { id: "past-title" }, "Past lists"),
      makeListCards({ isShown: isPast, empty: "None yet.", label: "Past lists" }, signal), older),
  );
}

export async function showFlow(place, signal, id, tab = "lists") {
  const [flow, { next }] = await Promise.all([get(`/v1/flows/${encodeURIComponent(id)}`), loadLists({ flow: id })]);
  putFlow(flow);
  const title = make("h1", { tabindex: "-1" }, flow.name);
  const hasAgents = flow.kind === "dialer";
  const state = make("span.pill");
  const draw = () => {
    const now = known.flows.get(id) ?? flow;
    write(title, now.name);
    setPill(state, now.paused_at ? "paused" : "", "warn");
  };
  watch("flows", draw, signal);
  draw();
  const head = make("header.page-head", {},
    make("div", {},
      make("div.with-button", {}, title, state),
      make("p.faint", {}, `${flow.kind} flow, ${flow.timezone}`)),
    make("div.actions.apart", {}, makeHold(id, signal), makeListener(id, signal)));
  place.append(head, ...makeTabs(
    flow.name,
    [
      { key: "lists", title: "Call lists", panel: makeLists(id, next, signal) },
      ...(hasAgents ? [{ key: "agents", title: "Agents", panel: makeAgents(id, signal) }] : []),
      { key: "configuration", title: "Configuration", panel: makeConfiguration(id, signal) },
    ],
    tab === "agents" && !hasAgents ? "lists" : tab,
    (key) => history.replaceState(null, "", `#/flows/${id}${key === "lists" ? "" : `/${key}`}`),
  ));
  loadFlows().catch(() => {}); // what others changed meanwhile
}
