// What several views are made of.

import { download, post } from "./api.js";
import { announce, arrange, confirmed, make, press, prose, write } from "./dom.js";
import { OPEN, isStanding, known, loadList, may, nameOf, putList, serverNow, watch } from "./state.js";
import { CALL_STATE, HELD, LONG_WAITS, STATUS, count, duration, moment, plain, waiting } from "./words.js";

const CALLS_SHOWN = 12;
const WAITS_SHOWN = 2; // on the card of a list; its page has all

export function pill(text, tone = "") {
  return make(`span.pill${tone && `.${tone}`}`, {}, text);
}

export function setPill(element, text, tone = "") {
  element.className = `pill ${tone}`;
  write(element, text);
}

/** A heading with what belongs to it: a card that screen readers know by its name. */
export function card(title, ...children) {
  const id = `card-${title.toLowerCase().replaceAll(/\W+/g, "-")}`;
  return make("section.card", { "aria-labelledby": id }, make("h2", { id }, title), ...children);
}

/** Terms and what they stand for. */
export function facts(pairs) {
  return make(
    "dl.facts",
    {},
    pairs.filter(([, value]) => value !== null).map(([term, value]) => make("div", {}, make("dt", {}, term), make("dd", {}, value))),
  );
}

/** A row of a table: the cells in the order of its heads. The first is what the row is about. */
export function makeRow(heads, cells) {
  // The roles are said, because a telephone's layout of rows as blocks would take them away.
  return make("tr", { role: "row" }, cells.map((cell, place) =>
    place ? make("td", { role: "cell", "data-head": heads[place] }, cell ?? "") : make("th", { role: "rowheader", scope: "row" }, cell ?? "")));
}

/** A table around a body of rows, which scrolls by itself where it is too long, also by keyboard. */
export function makeTable(caption, heads, body) {
  body.setAttribute("role", "rowgroup");
  const head = make("tr", { role: "row" }, heads.map((text) => make("th", { role: "columnheader", scope: "col" }, text)));
  return make("div.scroll", { tabindex: "0", role: "region", "aria-label": caption },
    make("table", { role: "table", "aria-label": caption }, make("thead", { role: "rowgroup" }, head), body));
}

export const ROWS_COUNTED = "Row 1 is the one below the header, which is line 2 of a spreadsheet.";

/** Rows that were not taken, with what is wrong with them. */
export function makeFaults(caption, errors) {
  const heads = ["Row", "Column", "Reason", "What is wrong"];
  const rows = errors.map((one) => makeRow(heads, [one.row ? String(one.row) : "header", one.column, plain(one.code), make("span", {}, prose(one.detail))]));
  return makeTable(caption, heads, make("tbody", {}, rows));
}

// --- how far a list is

function partsOf(list) {
  const parts = Object.entries(list.dispositions).sort((a, b) => b[1] - a[1]);
  if (list.counts.dialing) parts.push(["dialing", list.counts.dialing]);
  return parts;
}

/** A bar of what became of a list's contacts; `update(list)` moves it. */
export function makeTrack() {
  const track = make("div.track", { role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" });
  return {
    element: track,
    update(list) {
      const { counts } = list;
      const parts = partsOf(list);
      while (track.children.length > parts.length) track.lastElementChild.remove();
      parts.forEach(([name, number], place) => {
        const part = track.children[place] ?? track.appendChild(make("i"));
        part.className = `is-${name}`;
        part.style.setProperty("width", `${(100 * number) / counts.contacts}%`);
      });
      const done = counts.contacts ? Math.floor((100 * counts.completed) / counts.contacts) : 0;
      track.setAttribute("aria-valuenow", done);
      track.setAttribute("aria-valuetext", `${done} % done`);
      track.setAttribute("aria-label", `Progress of ${list.name}`);
    },
  };
}

/** The bar's parts in words. */
export function makeLegend() {
  const legend = make("ul.legend");
  return {
    element: legend,
    update(list) {
      const waiting = list.counts.waiting + list.counts.scheduled;
      const parts = [...partsOf(list), ...(waiting ? [["waiting", waiting]] : [])];
      legend.replaceChildren(
        ...parts.map(([name, number]) =>
          make("li", {}, make(`i.is-${name}`, { "aria-hidden": "true" }), `${plain(name)} `, make("b", {}, count(number))),
        ),
      );
    },
  };
}

/** What a flow does: its word, and the tone of its state. */
export function stateOf(flow) {
  if (flow.paused_at) return ["paused", "held"];
  return flow.listener.active ? ["listening", "on"] : ["not listening", "off"];
}

/** A list's status: its word and its tone. A list of which nobody can be called just now does not call. */
export function statusOf(list) {
  if (list.status === "paused" || !OPEN.includes(list.status)) return STATUS[list.status];
  const blockers = Object.keys(list.blocked ?? {});
  const held = blockers.find((code) => HELD[code]);
  if (held) return held === "flow_paused" && !known.flows.get(list.flow)?.paused_at ? ["listener off", "warn"] : HELD[held];
  if (isStanding(list)) return ["single calls", ""];
  const isCalling = list.counts.dialing > 0 || blockers.length === 0 || blockers.some((code) => !(code in LONG_WAITS));
  if (list.status !== "running" || isCalling) return STATUS[list.status];
  return LONG_WAITS[blockers.find((code) => LONG_WAITS[code])] ?? ["waiting", ""];
}

/** What a list's contacts wait for, a sentence each, the most of them first. */
export function waitsOf(list) {
  const blocked = Object.entries(list.blocked ?? {}).sort((a, b) => b[1] - a[1]);
  return blocked.map(([code, number]) => waiting(code, number, list.blocked_until?.[code], list.blocked_detail?.[code]));
}

// --- what can be done with a list

async function act(list, what) {
  putList(await post(`/v1/lists/${list.id}/${what}`));
  announce(`${list.name}: ${{ pause: "paused", resume: "goes on", cancel: "canceled" }[what]}.`);
}

async function cancel(list) {
  const open = list.counts.scheduled + list.counts.waiting;
  const isSure = await confirmed({
    title: `Cancel ${list.name}?`,
    text: [
      `${count(open)} who were not called yet will not be called, and calls that nobody has answered are taken back.`,
      "Those that were answered go on. There is no way back.",
    ].join(" "),
    yes: "Cancel the list",
  });
  if (isSure) await act(list, "cancel");
}

/** Pause, resume, cancel, and what is downloaded; `update(list)` shows what is possible now. */
export function makeActions({ id }) {
  const list = async () => known.lists.get(id) ?? loadList(id);
  const save = (name) => download(`/v1/lists/${id}/${name}.csv`, `${name}-${id}.csv`);
  const parts = {
    pause: press("Pause", async () => act(await list(), "pause")),
    resume: press("Resume", async () => act(await list(), "resume"), { tag: "button.primary" }),
    cancel: press("Cancel", async () => cancel(await list()), { tag: "button.danger" }),
    results: press("Results", () => save("results")),
    rejected: press("Rejected rows", () => save("rejected")),
  };
  return {
    element: make("div.actions", { role: "group", "aria-label": "What can be done with the list" }, Object.values(parts)),
    update(list) {
      const { status, counts, report } = list;
      const hadFocus = Object.values(parts).find((part) => part === document.activeElement);
      parts.pause.hidden = !may("operator") || !["scheduled", "running"].includes(status);
      parts.resume.hidden = !may("operator") || status !== "paused";
      parts.cancel.hidden = !may("operator") || !OPEN.includes(status) || isStanding(list);
      parts.results.hidden = counts.contacts === 0;
      parts.rejected.hidden = report.rejected === 0;
      // Who pressed a button that went away finds the one that came in its place.
      if (hadFocus?.hidden) Object.values(parts).find((part) => !part.hidden)?.focus();
    },
  };
}

// --- lists as cards

function makeListCard(id, withFlow) {
  const track = makeTrack();
  const legend = makeLegend();
  const actions = makeActions({ id });
  const [name, state, about] = [make("a", { href: `#/lists/${id}` }), pill(""), make("span.faint")];
  const [title, waits] = [make("h3", {}, name), make("p.faint")];
  const head = make("div.list-head", {}, make("div.list-title", {}, title, state, about), actions.element);
  const element = make("li.list", {}, head, track.element, legend.element, waits);
  const update = (list) => {
    write(name, list.name);
    const [word, tone] = statusOf(list);
    setPill(state, word, tone);
    const { counts } = list;
    const done = `${count(counts.completed)} of ${count(counts.contacts)} done`;
    write(about, `${withFlow ? `${nameOf(list.flow)} · ` : ""}${moment(list.created_at)} · ${done}`);
    const why = OPEN.includes(list.status) ? waitsOf(list) : [];
    waits.hidden = why.length === 0;
    write(waits, why.length > WAITS_SHOWN ? `${why.slice(0, WAITS_SHOWN).join("; ")}; …` : why.join("; "));
    [track, legend, actions].forEach((part) => part.update(list));
  };
  return { element, update };
}

/** Cards of lists that keep themselves up to date. `isShown(list)` says which; newest first. */
export function makeListCards({ isShown, withFlow = false, empty, label }, signal) {
  const cards = new Map();
  const shelf = make("ul.lists", { "aria-label": label });
  const nothing = make("p.empty", {}, empty);
  const draw = () => {
    const shown = [...known.lists.values()].filter(isShown);
    shown.sort((a, b) => (a.created_at < b.created_at ? 1 : -1));
    for (const list of shown) {
      if (!cards.has(list.id)) cards.set(list.id, makeListCard(list.id, withFlow));
      cards.get(list.id).update(list);
    }
    arrange(shelf, shown.map((list) => cards.get(list.id).element));
    nothing.hidden = shown.length > 0;
    shelf.hidden = shown.length === 0;
  };
  watch("list", draw, signal);
  watch("lists", draw, signal);
  draw();
  return make("div", {}, shelf, nothing);
}

// --- calls going on now

function makeCallRow(call, heads) {
  const state = pill(CALL_STATE[call.status] ?? call.status);
  const since = make("span");
  const list = known.lists.get(call.list);
  const name = list ? make("a", { href: `#/lists/${call.list}` }, list.name) : nameOf(call.flow);
  const cells = { Number: call.number, State: state, For: since, List: name, From: call.did };
  const element = makeRow(heads, heads.map((head) => cells[head]));
  const update = (now) => {
    setPill(state, CALL_STATE[now.status] ?? now.status, now.status === "in-progress" ? "good" : "");
    write(since, duration((serverNow() - new Date(now.at)) / 1000));
  };
  update(call);
  return { element, update };
}

/** A card of the calls that `isShown` lets through, which keeps itself up to date. */
export function makeCalls({ isShown, withList = true, hidesEmpty = false }, signal) {
  const rows = new Map();
  const body = make("tbody");
  const more = make("p.faint");
  const heads = ["Number", "State", "For", ...(withList ? ["List"] : []), "From"];
  const shown = makeTable("Calls going on now", heads, body);
  const element = card("Calls now", shown, more);
  const draw = () => {
    const calls = [...known.calls.values()].filter(isShown);
    const first = calls.slice(0, CALLS_SHOWN);
    for (const id of rows.keys()) if (!known.calls.has(id)) rows.delete(id);
    for (const call of first) {
      if (!rows.has(call.id)) rows.set(call.id, makeCallRow(call, heads));
      rows.get(call.id).update(call);
    }
    arrange(body, first.map((call) => rows.get(call.id).element));
    shown.hidden = calls.length === 0;
    element.hidden = hidesEmpty && shown.hidden;
    write(more, calls.length > first.length ? `and ${count(calls.length - first.length)} more` : calls.length ? "" : "No call at this moment.");
  };
  watch("calls", draw, signal);
  const ticking = setInterval(draw, 1000);
  signal.addEventListener("abort", () => clearInterval(ticking));
  draw();
  return element;
}

/** A figure and what it counts. */
export function makeFigure(label) {
  const value = make("b", {}, "–");
  return { element: make("div.figure", {}, make("span", {}, label), value), set: (text) => write(value, text) };
}

