// One number: what bars it, and every call of it. And the do-not-call list as a file.

import { download, getAll, post, send, upload } from "./api.js";
import { announce, confirmed, doing, make, press, write } from "./dom.js";
import { card, makeRow, makeTable } from "./parts.js";
import { known, may, nameOf } from "./state.js";
import { count, moment, plain, rows } from "./words.js";

const CALLS = ["When", "Flow", "List", "From", "What became of it", "Recordings"];
const BARS = ["Entry", "For", "Since", "Until", "Listed by", "Actions"];
const CALLS_SHOWN = 100;
const SOURCES = { api: "a request", import: "a file", call: "the callee, on a call" };

function sayOutcome(call) {
  return [
    plain(call.disposition ?? call.status),
    call.digits && `pressed ${call.digits}`,
    call.duration_s && `${Math.round(call.duration_s)} s`,
  ].filter(Boolean).join(", ");
}

/** A button for each recording of a call. */
function makeRecordings(call) {
  const found = Object.entries(call.result).filter(([, value]) => String(value).startsWith("rec_"));
  return make("span", {}, found.map(([name, id]) =>
    press(name, () => download(`/v1/recordings/${encodeURIComponent(id)}`, `${name}-${call.id}.wav`),
      { tag: "button.small", "aria-label": `Save ${name} of ${moment(call.initiated_at)}` })));
}

function makeCall(call) {
  return makeRow(CALLS, [
    moment(call.initiated_at),
    nameOf(call.flow),
    make("a", { href: `#/lists/${call.list}` }, known.lists.get(call.list)?.name ?? "its list"),
    call.did,
    sayOutcome(call),
    makeRecordings(call),
  ]);
}

function makeBar(entry, onStruck) {
  const strike = press("Strike off", async () => {
    const isSure = await confirmed({
      title: `Strike ${entry.number} off?`,
      text: "Whoever it bars may be called again by all flows of the account, unless another entry bars them.",
      yes: "Strike it off",
    });
    if (!isSure) return;
    await send("DELETE", `/v1/dnc/${encodeURIComponent(entry.number)}`);
    announce(`${entry.number} was struck off.`);
    await onStruck();
  }, { tag: "button.small", "aria-label": `Strike ${entry.number} off` });
  return makeRow(BARS, [
    entry.number,
    entry.flow ? nameOf(entry.flow) : "all flows",
    moment(entry.added_at),
    entry.expires_at ? moment(entry.expires_at) : "for good",
    [SOURCES[entry.source] ?? entry.source, entry.note].filter(Boolean).join(": "),
    may("owner") ? strike : "",
  ]);
}

/** What is known of one number. */
async function showNumber(place, number) {
  const query = `number=${encodeURIComponent(number)}`;
  const look = async () => {
    const [bars, calls] = await Promise.all([getAll(`/v1/dnc?${query}`), getAll(`/v1/attempts?${query}`)]);
    const newest = calls.reverse().slice(0, CALLS_SHOWN);
    const isBarred = bars.some((entry) => !entry.flow && !(new Date(entry.expires_at ?? "9999-01-01") < new Date()));
    const list = press("Do not call it any more", async () => {
      await post("/v1/dnc", { numbers: [number] });
      announce(`${number} is on the do-not-call list.`);
      await look();
    }, { tag: "button.danger" });
    const more = calls.length > newest.length ? `The last ${count(newest.length)} of ${count(calls.length)}.` : "";
    place.replaceChildren(
      card("Do not call",
        make("p", { role: "status" }, isBarred ? "No flow calls this number." : bars.length
          ? "It stands on the do-not-call list, but not for all flows, or not any more."
          : "It is not on the do-not-call list."),
        bars.length ? makeTable("What bars it", BARS, make("tbody", {}, bars.map((entry) => makeBar(entry, look)))) : null,
        may("operator") && !isBarred ? make("div.actions", {}, list) : null),
      card("Calls",
        make("p.faint", {}, calls.length ? more
          : "No contact was called at it. Calls to agents, and to whom a call was transferred, stand with the call that they were made for."),
        calls.length ? makeTable("Calls of the number", CALLS, make("tbody", {}, newest.map(makeCall))) : null),
    );
  };
  await look();
}

/** The whole list, out of a file and into one. */
function makeFile(signal) {
  const told = make("p", { role: "status" });
  const input = make("input.unseen", { type: "file", id: "dnc-file", accept: ".csv,text/csv", onchange: doing(async () => {
    const [file] = input.files;
    input.value = "";
    if (!file) return;
    const done = await upload("/v1/dnc/import", file, { signal });
    const [first] = done.errors;
    const wrong = first ? ` ${rows(done.rejected)} could not be taken; row ${first.row}: ${first.detail}` : "";
    write(told, `${rows(done.rows)}, ${count(done.added)} of them new.${wrong}`);
  }) });
  return card("The whole do-not-call list",
    make("p.faint", {}, "A CSV with a column ‘number’, and perhaps ‘expires_at’ and ‘note’. A range ends in a star: +1900*."),
    make("div.actions", {},
      may("operator") ? [input, make("label.button", { for: "dnc-file" }, "Add a file")] : null,
      press("Save as CSV", () => download("/v1/dnc.csv", "do-not-call.csv"))),
    told);
}

export async function showLookUp(place, signal, asked = "") {
  const found = make("div.stack");
  const input = make("input", { id: "look-up", inputmode: "tel", required: true, autocomplete: "off", placeholder: "+14155550100", value: asked });
  const look = async () => {
    found.replaceChildren();
    const number = input.value.trim();
    history.replaceState(null, "", `#/look-up/${encodeURIComponent(number)}`);
    await showNumber(found, number);
  };
  const act = doing(look);
  if (asked) await act();
  place.append(
    make("h1", { tabindex: "-1" }, "Look up a number"),
    card("Number",
      make("p.faint", {}, "With its country code: when it was called, what became of it, and whether it may be called."),
      make("form.fields", { onsubmit: (event) => {
        event.preventDefault();
        act(event);
      } }, make("div", {}, make("label", { for: "look-up" }, "Telephone number"), input), make("button.primary", {}, "Look up"))),
    found,
    makeFile(signal),
  );
}
