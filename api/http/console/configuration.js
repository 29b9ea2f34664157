// How a flow is reached and from which numbers it calls.

import { edit, getAll, session } from "./api.js";
import { announce, copyable, doing, make, press } from "./dom.js";
import { makeDoors } from "./doors.js";
import { card } from "./parts.js";
import { makeHealth } from "./numbers.js";
import { makeRules } from "./source.js";
import { known, may, putFlow, watch } from "./state.js";
import { count } from "./words.js";

const NUMBERS_SHOWN = 50;
const OFFERED = 500;
const EXAMPLE_NUMBER = "+14155550123";
const VARIABLES_SHOWN = 3; // of those that have a default
const VALUES = { // of each type, as in the flow's template
  text: "Some text", integer: "1200", number: "3.5", money: "12.50", date: "2030-12-31", time: "09:30", datetime: "2030-12-31T09:30",
  digits: "4711", phone: "+14155550100",
};

// --- numbers

/** Attach and detach caller numbers. */
function makeNumbers(id, signal) {
  const flow = () => known.flows.get(id);
  let all = [];
  const attached = make("ul.numbers", { "aria-label": "Attached numbers" });
  const more = make("p.faint");
  const offered = make("datalist", { id: "offered-numbers" });
  const input = make("input", {
    id: "new-number", list: "offered-numbers", autocomplete: "off", inputmode: "tel", placeholder: "+14155550100", required: true,
  });
  const form = make("form.row", { onsubmit: (event) => {
    event.preventDefault();
    attach();
  } }, make("label", { for: "new-number" }, "Attach a number"), input, offered, make("button", {}, "Attach"));
  const change = async (numbersOf, told) => {
    putFlow(await edit(`/v1/flows/${id}`, "/dids", ({ dids }) => ({ numbers: numbersOf(dids) })));
    announce(told);
  };
  const attach = doing(async () => {
    const added = input.value.split(/[\s,;]+/).filter(Boolean).map((number) => (number.startsWith("+") ? number : `+${number}`));
    await change((dids) => [...new Set([...dids, ...added])], `Attached ${added.join(", ")}.`);
    input.value = "";
  });
  const detach = async (number) => {
    await change((dids) => dids.filter((one) => one !== number), `Detached ${number}.`);
    input.focus();
  };
  const draw = () => {
    const mine = flow()?.dids ?? [];
    const found = new Map(all.map((did) => [did.number, did]));
    attached.replaceChildren(...mine.slice(0, NUMBERS_SHOWN).map((number) => make("li", {},
      make("b.number", {}, number),
      found.has(number) ? makeHealth(found.get(number)) : null,
      may("owner") ? press("Detach", () => detach(number), { tag: "button.small", "aria-label": `Detach ${number}` }) : null)));
    more.textContent = mine.length === 0
      ? "None. The listener can be switched on when there is one."
      : mine.length > NUMBERS_SHOWN ? `and ${count(mine.length - NUMBERS_SHOWN)} more` : "";
    offered.replaceChildren(...all.filter((did) => !mine.includes(did.number)).slice(0, OFFERED).map((did) => make("option", { value: did.number })));
  };
  watch("flows", draw, signal);
  draw();
  getAll("/v1/dids").then((dids) => {
    all = dids.filter((did) => did.account === known.me.account || did.account === known.me.name);
    draw();
  }).catch(() => {});
  return card("Caller numbers", attached, more, may("owner") ? form : null);
}

// --- ways in

/** Values that a call is taken with: of every variable that needs one, and of some others. */
function variablesOf(flow) {
  const all = Object.entries(flow.definition.variables ?? {});
  const isNeeded = ([, of]) => (of?.default ?? null) === null;
  const others = all.filter((one) => !isNeeded(one)).slice(0, VARIABLES_SHOWN);
  return all.filter((one) => isNeeded(one) || others.includes(one))
    .map(([name, of]) => [name, String(of?.default || VALUES[of?.type ?? "text"])]);
}

/** As a shell takes it between single quotes. */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function curl(url, ...more) {
  const account = known.me.role === "administrator" && session.account ? [`-H ${quoted(`Callwheel-Account: ${session.account}`)}`] : [];
  return [`curl ${quoted(url)}`, '-H "Authorization: Bearer $CALLWHEEL_KEY"', ...account, ...more].join(" \\\n  ");
}

function makeEndpoints(flow) {
  const variables = Object.fromEntries(variablesOf(flow));
  const some = Object.keys(variables).length ? { variables } : {};
  const json = (body) => ["-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(body))}`];
  const ways = [
    ["Upload a list", flow.triggers.upload_url, ["-F file=@people.csv"],
      ["Add ", make("code", {}, "?dry_run=true"), " to try it: nobody is called."]],
    ["Send many people at once", flow.triggers.multicast_url, json({ name: "June", contacts: [{ tel: [EXAMPLE_NUMBER], ...some }] }),
      ["As ", make("code", {}, "application/x-ndjson"), " with a person a line it may go on for as long as you like."]],
    ["Make one call", flow.triggers.calls_url, json({ to: EXAMPLE_NUMBER, ...some }), []],
  ];
  return card(
    "API",
    make("p.faint", {}, "A key with the role operator goes into ", make("code", {}, "$CALLWHEEL_KEY"), ". An ",
      make("code", {}, "Idempotency-Key"), " makes repeating safe. ",
      make("a", { href: "/docs", target: "_blank", rel: "noreferrer" }, "All of the API")),
    ways.map(([title, url, more, hint]) =>
      make("div.way", {}, make("h3", {}, title), copyable(title, curl(url, ...more)), make("p.faint", {}, hint))),
  );
}

/** The configuration tab. */
export function makeConfiguration(id, signal) {
  const flow = known.flows.get(id);
  return make("div.stack", {}, makeNumbers(id, signal), makeRules(id, signal), makeEndpoints(flow), makeDoors(id, signal));
}
