// What a list would come to, before anybody is called.

import { make } from "./dom.js";
import { ROWS_COUNTED, makeFaults } from "./parts.js";
import { known, loadList } from "./state.js";
import { count, country, ends, moment, people, rows } from "./words.js";

const COUNTRIES_SHOWN = 8;
const WARNINGS_SHOWN = 100;

function tile(value, label, tone = "") {
  return make(`div.tile${tone && `.${tone}`}`, {}, make("b", {}, value), make("span", {}, label));
}

function tiles({ report, preflight }) {
  const { numbers, contacts } = preflight.do_not_call;
  return make(
    "div.tiles",
    {},
    tile(count(report.accepted), report.accepted === 1 ? "row is taken" : "rows are taken", report.accepted ? "good" : ""),
    tile(count(report.rejected), report.rejected === 1 ? "row is not taken" : "rows are not taken", report.rejected ? "bad" : ""),
    tile(count(preflight.numbers), preflight.numbers === 1 ? "number" : "numbers"),
    tile(count(numbers), `on the do-not-call list${contacts ? `: ${people(contacts)} will be skipped` : ""}`, numbers ? "warn" : ""),
  );
}

function countries({ preflight }) {
  const found = Object.entries(preflight.countries).sort((a, b) => b[1] - a[1]);
  const shown = found.slice(0, COUNTRIES_SHOWN).map(([region, number]) =>
    make("li", {}, `${country(region)} `, make("b", {}, count(number))));
  const others = found.slice(COUNTRIES_SHOWN).reduce((sum, [, number]) => sum + number, 0);
  if (others) shown.push(make("li", {}, "others ", make("b", {}, count(others))));
  return make("div", {}, make("h4", {}, "Countries"), make("ul.chips", {}, shown));
}

function starts({ report, preflight }) {
  const { now, earliest, latest } = preflight.starts;
  const later = report.accepted - now;
  const texts = [];
  if (now) texts.push(later ? `${people(now)} at once` : "All of them at once.");
  if (later) {
    const span = earliest === latest ? `at ${moment(latest)}` : `from ${moment(earliest)} to ${moment(latest)}`;
    texts.push(`${people(later)} ${now ? `later, the last at ${moment(latest)}` : span}.`);
  }
  return make("div", {}, make("h4", {}, "When it starts"), make("p", {}, texts.join(", ")));
}

function forecast({ preflight }) {
  const one = preflight.forecast;
  if (!one) return null;
  return make("div", {}, make("h4", {}, "When it ends"), make("p", {}, ends(one)), make("p.faint", {}, one.assumes));
}

function faults(report) {
  if (!report.errors.length) return null;
  const more = report.rejected > report.errors.length ? ` The first ${count(report.errors.length)} of them:` : "";
  return make(
    "div",
    {},
    make("h4", {}, `Not taken: ${rows(report.rejected)}`),
    make("p.faint", {},
      "Everybody else can be called all the same. Once the list is sent, these rows can be downloaded, corrected and ",
      `sent as a list of their own.${more} ${ROWS_COUNTED}`),
    makeFaults("Rows that are not taken", report.errors),
  );
}

function warnings(report) {
  const shown = report.warnings.filter((one) => one.code !== "duplicate_list").slice(0, WARNINGS_SHOWN);
  if (!shown.length) return null;
  return make(
    "details",
    {},
    make("summary", {}, `Warnings: ${count(shown.length)}`),
    make("ul.plain", {}, shown.map((one) => make("li", {}, [one.row ? `Row ${one.row}` : "", one.column, one.detail].filter(Boolean).join(", ")))),
  );
}

/** The review of a tried list. `onCall(again)` sends it, `onLeave()` does not. */
export function makeReview(file, tried, { onCall, onLeave }) {
  const { report, preflight } = tried;
  const title = make("h3", { tabindex: "-1" }, report.accepted ? `${people(report.accepted)} would be called` : "Nobody would be called");
  const question = make("div.question", { role: "alert" });
  const callThem = make("button.primary", { type: "button", onclick: () => onCall(false) }, `Call ${people(report.accepted)}`);
  const leave = make("button", { type: "button", onclick: onLeave }, "Leave it");
  const review = make(
    "div.review",
    { role: "group", "aria-label": `Review of ${file.name}` },
    make("div", {}, title, make("p.faint", {}, `${file.name}, ${rows(report.rows)}`)),
    tiles(tried),
    question,
    report.accepted ? make("div.columns", {}, countries(tried), starts(tried), forecast(tried)) : null,
    faults(report),
    warnings(report),
    make("div.actions", {}, callThem, leave),
  );

  /** The same file made a list within the last day: whether these people are to be called again. */
  review.askAgain = async (id) => {
    callThem.hidden = true;
    const ask = (list) =>
      question.replaceChildren(
        make("p", {},
          make("b", {}, "The same file came in already. "),
          list ? `It made the list ` : "It made a list ",
          list ? make("a", { href: `#/lists/${id}` }, list.name) : "",
          list ? ` (${moment(list.created_at)}). ` : "within the last day. ",
          "Whoever is called again is called twice."),
        make("div.actions", {}, make("button.danger", { type: "button", onclick: () => onCall(true) }, `Call ${people(report.accepted)} again`)),
      );
    ask(known.lists.get(id) ?? (await loadList(id).catch(() => null)));
  };
  callThem.hidden = report.accepted === 0;
  if (preflight.duplicate_of && report.accepted) review.askAgain(preflight.duplicate_of);
  return review;
}
