// The first view: what goes on in the account.

import { make, press } from "./dom.js";
import { makeCalls, makeFigure, makeListCards, stateOf } from "./parts.js";
import { OPEN, known, loadFlows, loadLists, may, pace, watch } from "./state.js";
import { count, percent } from "./words.js";

const DAY_MS = 86_400_000;

function makeFigures(signal) {
  const figures = {
    calls: makeFigure("calls now"),
    pace: makeFigure("new calls a second"),
    waiting: makeFigure("people to call"),
    done: makeFigure("done, last 24 hours"),
    answered: makeFigure("of those answered"),
  };
  const draw = () => {
    const since = Date.now() - DAY_MS;
    const lists = [...known.lists.values()];
    const recent = lists.filter((list) => OPEN.includes(list.status) || new Date(list.created_at) > since);
    const sum = (of, what) => of.reduce((total, list) => total + what(list), 0);
    const done = sum(recent, (list) => list.counts.completed);
    figures.calls.set(count(known.calls.size));
    figures.pace.set(pace().toFixed(1));
    figures.waiting.set(count(sum(lists, (list) => list.counts.waiting + list.counts.scheduled)));
    figures.done.set(count(done));
    figures.answered.set(percent(sum(recent, (list) => list.dispositions.answered ?? 0), done));
  };
  for (const topic of ["calls", "list", "lists"]) watch(topic, draw, signal);
  const ticking = setInterval(draw, 1000);
  signal.addEventListener("abort", () => clearInterval(ticking));
  draw();
  return make("section.figures", { "aria-label": "Figures" }, Object.values(figures).map((one) => one.element));
}

function makeFlow(flow) {
  const [word, tone] = stateOf(flow);
  return make("li", {}, make("a.flow", { href: `#/flows/${flow.id}` },
    make("b", {}, flow.name),
    make("span.faint", {}, `${flow.kind}, ${flow.dids.length === 1 ? "1 number" : `${count(flow.dids.length)} numbers`}`),
    make(`span.state.${tone}`, {}, word)));
}

function makeFlows(signal) {
  if (!known.flows.size) {
    return make("p.empty", {}, "There is no flow yet. ",
      may("owner") ? make("a", { href: "#/new-flow" }, "Make the first one") : "An owner of the account makes one.");
  }
  const shelf = make("ul.flows", { "aria-label": "Flows" });
  const draw = () => {
    const held = document.activeElement?.getAttribute("href");
    const isInside = shelf.contains(document.activeElement);
    shelf.replaceChildren(...[...known.flows.values()].map(makeFlow));
    if (isInside) shelf.querySelector(`[href="${held}"]`)?.focus();
  };
  watch("flows", draw, signal);
  draw();
  return shelf;
}

export async function showOverview(place, signal) {
  const { next } = await loadLists();
  let cursor = next;
  const older = press("Show older lists", async () => {
    ({ next: cursor } = await loadLists({ cursor }));
    older.hidden = !cursor;
  });
  older.hidden = !cursor;
  place.append(
    make("h1", { tabindex: "-1" }, "Overview"),
    makeFigures(signal),
    make("section.part", { "aria-labelledby": "flows-title" }, make("h2", { id: "flows-title" }, "Flows"), makeFlows(signal)),
    make("section.part", { "aria-labelledby": "lists-title" },
      make("h2", { id: "lists-title" }, "Call lists"),
      makeListCards({
        isShown: () => true, withFlow: true, label: "Call lists",
        empty: may("operator") ? "Nobody to call yet: open a flow, and drop a list on it." : "No list yet.",
      }, signal),
      older),
    makeCalls({ isShown: () => true }, signal),
  );
  loadFlows().catch(() => {}); // what others changed meanwhile
}
