// One list: how far it is, what the others wait for, and what was not taken.

import { makeAnswers } from "./answers.js";
import { get, post } from "./api.js";
import { announce, make, press, write } from "./dom.js";
import { ROWS_COUNTED, card, facts, makeActions, makeCalls, makeLegend, makeFaults, makeRow, makeTable, makeTrack, setPill, statusOf, waitsOf } from "./parts.js";
import { known, loadList, nameOf, watch } from "./state.js";
import { CALL_STATE, count, ends, moment, plain, rows } from "./words.js";

const CONTACTS_PAGE = 25;
const SOURCES = { api: "the API", upload: "an upload", email: "e-mail", sftp: "SFTP" };

function makeWaits() {
  const waits = make("ul.plain");
  const element = card("What the others wait for", waits);
  return {
    element,
    update(list) {
      const texts = waitsOf(list);
      element.hidden = texts.length === 0;
      texts.forEach((text, place) => write(waits.children[place] ?? waits.appendChild(make("li")), text));
      while (waits.children.length > texts.length) waits.lastElementChild.remove();
    },
  };
}

function makeRejected(list) {
  const { report } = list;
  if (!report.rejected) return null;
  const more = report.rejected > report.errors.length
    ? ` The first ${count(report.errors.length)} of them are shown; “Rejected rows” has all.`
    : "";
  return card(
    "Rejected rows",
    make("p.faint", {}, `${rows(report.rejected)} of ${count(report.rows)} could not be taken.${more} ${list.source === "api" ? "" : ROWS_COUNTED}`),
    makeFaults("Rejected rows", report.errors),
  );
}

function stateOf(contact) {
  if (contact.disposition) return plain(contact.disposition);
  if (contact.blocker) return contact.blocker.until ? `${contact.blocker.detail} Until ${moment(contact.blocker.until)}.` : contact.blocker.detail;
  return contact.status === "dialing" ? "being called" : contact.status;
}

function sayAttempt(one) {
  return [
    `${moment(one.initiated_at)}: ${one.number}`,
    plain(one.disposition ?? CALL_STATE[one.status] ?? one.status),
    one.digits && `pressed ${one.digits}`,
    one.duration_s && `${Math.round(one.duration_s)} s`,
  ].filter(Boolean).join(", ");
}

/** One contact's calls, asked for when somebody opens it. */
function makeAttempts(contact) {
  const place = make("div", {}, "…");
  const details = make("details", { ontoggle: async () => {
    if (!details.open) return;
    try {
      const { attempts } = await get(`/v1/contacts/${contact.id}`);
      place.replaceChildren(attempts.length
        ? make("ul.plain", {}, attempts.map((one) => make("li", {}, sayAttempt(one))))
        : "No call yet.");
    } catch (error) {
      place.textContent = error.message;
    }
  } }, make("summary", {}, stateOf(contact)), place);
  return details;
}

function makeContacts(id) {
  const heads = ["Row", "Number", "Reference", "State and calls"];
  const body = make("tbody");
  const people = makeTable("People on the list", heads, body);
  people.hidden = true;
  let cursor = "";
  const more = press("Show who is on it", load);
  async function load() {
    const page = await get(`/v1/lists/${id}/contacts?limit=${CONTACTS_PAGE}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    body.append(...page.items.map((one) => makeRow(heads, [String(one.row), one.tel.join(", "), one.reference, makeAttempts(one)])));
    people.hidden = false;
    cursor = page.next;
    more.hidden = !cursor;
    write(more, "Show more");
  }
  return card("People", people, make("div.actions", {}, more));
}

/** When the rest of the list will have been called, told when somebody asks. */
function makeForecast(id) {
  const told = make("div", { role: "status" });
  const ask = press("When does it end?", async () => {
    const one = await post(`/v1/lists/${id}/forecast`);
    told.replaceChildren(make("p", {}, ends(one)), make("p.faint", {}, one.assumes));
    write(ask, "Ask again");
  });
  const element = card("When it ends", told, make("div.actions", {}, ask));
  return { element, update: (list) => { element.hidden = Boolean(list.finished_at); } };
}

export async function showList(place, signal, id) {
  const list = await loadList(id);
  const [state, done] = [make("span.pill"), make("p.score", {}, make("b"), make("span.faint"))];
  const [track, legend, actions, waits] = [makeTrack(), makeLegend(), makeActions(list), makeWaits()];
  const [end, answers] = [makeForecast(id), makeAnswers(list)];
  const times = make("div");
  const draw = () => {
    const now = known.lists.get(id);
    if (!now) return;
    const [word, tone] = statusOf(now);
    if (state.textContent && state.textContent !== word) announce(`${now.name}: ${word}.`);
    setPill(state, word, tone);
    write(done.firstElementChild, count(now.counts.completed));
    write(done.lastElementChild, ` of ${count(now.counts.contacts)} done`);
    [track, legend, actions, waits, end, answers].forEach((part) => part.update(now));
    const shown = [
      ["Came in by", SOURCES[now.source] ?? now.source],
      ["At", moment(now.created_at)],
      ["First call", now.started_at && moment(now.started_at)],
      ["Finished", now.finished_at && moment(now.finished_at)],
      ["Rows", `${count(now.report.rows)}, of which ${count(now.report.accepted)} taken`],
    ];
    times.replaceChildren(facts(shown));
  };
  watch("list", (changed) => changed === id && draw(), signal);
  draw();
  place.append(
    make("header.page-head", {},
      make("div", {},
        make("p.crumb", {}, make("a", { href: `#/flows/${list.flow}` }, nameOf(list.flow))),
        make("div.with-button", {}, make("h1", { tabindex: "-1" }, list.name), state)),
      actions.element),
    make("section.card", { "aria-label": "Progress" }, done, track.element, legend.element, times),
    waits.element,
    makeCalls({ isShown: (call) => call.list === id, withList: false, hidesEmpty: true }, signal),
    end.element,
    answers.element,
    ...[makeRejected(list), makeContacts(id)].filter(Boolean),
  );
}
