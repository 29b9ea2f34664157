// Caller numbers, how busy they are and how their calls are taken.

import { getAll, post } from "./api.js";
import { announce, doing, make, press } from "./dom.js";
import { card, makeRow, makeTable, pill } from "./parts.js";
import { known, may } from "./state.js";
import { REST_REASON, count, moment, percent } from "./words.js";

const REFRESH_MS = 5000;
const HEADS = ["Number", "Health", "Calls at once", "Calls a second", "Flows", "Actions"];
const SHOWN = 200;

/** How a number is, in a pill and a few words. */
export function makeHealth(did) {
  if (did.rest) {
    const until = did.rest.until ? `until ${moment(did.rest.until)}` : "until somebody lets it call again";
    return make("span.health", {}, pill("resting", "warn"), ` ${until}: ${REST_REASON[did.rest.reason] ?? did.rest.detail}`);
  }
  const { calls, answer_rate: answered, blocked_share: blocked } = did.health;
  const said = calls
    ? `${percent(answered, 1)} of ${count(calls)} calls answered${blocked ? `, ${percent(blocked, 1)} blocked` : ""}`
    : "no calls of late";
  return make("span.health", {}, pill("good", "good"), ` ${said}`);
}

function makeNumber(did, refresh) {
  const { number } = did;
  const change = async (what, told) => {
    await post(`/v1/dids/${encodeURIComponent(number)}/${what}`, what === "rest" ? {} : undefined);
    announce(told);
    await refresh();
  };
  const tag = "button.small";
  const act = did.rest
    ? press("Call again", () => change("resume", `${number} calls again.`), { tag, "aria-label": `Let ${number} call again` })
    : press("Let rest", () => change("rest", `${number} rests.`), { tag, "aria-label": `Let ${number} rest` });
  const flows = [...known.flows.values()].filter((flow) => flow.dids.includes(did.number));
  const links = flows.flatMap((flow, place) => [place ? ", " : "", make("a", { href: `#/flows/${flow.id}/configuration` }, flow.name)]);
  return makeRow(HEADS, [
    did.number,
    makeHealth(did),
    `${count(did.load.channels_in_use)} of ${count(did.channels)}`,
    `${count(did.load.calls_last_s)} of ${did.cps}`,
    make("span", {}, links.length ? links : "none"),
    may("operator") ? act : "",
  ]);
}

/** What an administrator adds a number of the account with. `onAdded()` is told. */
function makeAdd(onAdded) {
  const field = (id, text, attributes) => {
    const input = make("input", { id, required: true, autocomplete: "off", ...attributes });
    return { input, label: make("label", { for: id }, text) };
  };
  const number = field("did-number", "Number", { inputmode: "tel", placeholder: "+14155550100" });
  const trunk = field("did-trunk", "Trunk or route", { placeholder: "main" });
  const cps = field("did-cps", "Calls a second", { type: "number", min: "0.01", step: "any", value: "1" });
  const channels = field("did-channels", "Calls at once", { type: "number", min: "1", value: "30" });
  const fields = [number, trunk, cps, channels];
  const send = doing(async () => {
    const did = await post("/v1/dids", {
      number: number.input.value.trim(), account: known.me.account, trunk: trunk.input.value.trim(),
      cps: Number(cps.input.value), channels: Number(channels.input.value),
    });
    announce(`${did.number} was added.`);
    number.input.value = "";
    await onAdded();
  });
  return card("Add a number",
    make("p.faint", {}, "A number that your carrier lets you show, the trunk or route of the configuration that its calls go by, ",
      "and what the carrier allows it."),
    make("form.fields", { onsubmit: (event) => {
      event.preventDefault();
      send(event);
    } }, fields.map(({ input, label }) => make("div", {}, label, input)), make("button", {}, "Add")));
}

export async function showNumbers(place, signal) {
  const body = make("tbody");
  const about = make("p.faint");
  const load = async () => {
    const dids = (await getAll("/v1/dids")).filter((did) => [known.me.account, known.me.name].includes(did.account));
    const focused = document.activeElement?.getAttribute("aria-label");
    body.replaceChildren(...dids.slice(0, SHOWN).map((did) => makeNumber(did, load)));
    if (focused) body.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
    about.textContent = dids.length === 0
      ? "The account has no number to call from; an administrator adds one."
      : dids.length > SHOWN
        ? `The first ${SHOWN} of ${count(dids.length)}.`
        : "Of the last hour. A number whose calls are blocked too often rests by itself.";
  };
  await load();
  const ticking = setInterval(() => document.hidden || load().catch(() => {}), REFRESH_MS);
  signal.addEventListener("abort", () => clearInterval(ticking));
  place.append(
    make("h1", { tabindex: "-1" }, "Caller numbers"),
    card("Health", about, makeTable("Caller numbers", HEADS, body)),
    ...(may("administrator") ? [makeAdd(load)] : []),
  );
}
