// The ways in beside the API: e-mail, an SFTP server, a watched folder; how each stands, and what came by it.

import { get, post } from "./api.js";
import { announce, copyable, make, press, prose } from "./dom.js";
import { card, facts, makeRow, makeTable, pill } from "./parts.js";
import { known, may, watch } from "./state.js";
import { moment, plain } from "./words.js";

const REFRESH_MS = 10_000;
const PICKUPS_SHOWN = 10;
const HEADS = ["File", "At", "What became of it"];

function makeEmail(flow) {
  const { email } = flow.triggers;
  if (!email) return make("p.faint", {}, "This installation takes no lists by e-mail.");
  const senders = flow.settings.email_senders ?? [];
  const who = senders.length
    ? `Lists are taken from ${senders.join(", ")}.`
    : "No sender is allowed yet: the flow's setting email_senders names them.";
  return make("div.way", {}, copyable("E-mail address of the flow", email), make("p.faint", {}, who));
}

function stateOf(door) {
  if (!door.code) return [pill("not visited yet")];
  if (door.code === "ok") return [pill("works", "good"), make("span", {}, `since ${moment(door.since)}`)];
  return [pill(plain(door.code), "bad"), make("span", {}, prose(door.detail), ` (since ${moment(door.since)})`)];
}

function drawDoor(place, door, visit) {
  place.replaceChildren(
    make("p.with-button", {}, stateOf(door)),
    facts([
      ["Place", door.place],
      ["Last visit", door.looked_at && moment(door.looked_at)],
      ["Next visit", door.next_at && moment(door.next_at)],
      ["Files that wait", door.growing + door.waiting ? `${door.waiting}, and ${door.growing} that may still grow` : null],
    ]),
    may("operator") ? make("div.actions", {}, visit) : "",
  );
}

/** A place from which lists are picked up: `sftp` or `folder`. `load()` draws it anew. */
function makeDoor(flow, kind, none) {
  const place = make("div.way");
  if (!flow.triggers[kind]) {
    place.append(make("p.faint", {}, none));
    return { place, load: async () => {} };
  }
  const path = `/v1/flows/${flow.id}/${kind}`;
  const visit = press("Visit now", async () => {
    drawDoor(place, await post(`${path}/visit`), visit);
    announce("It is visited now.");
    visit.focus();
  }, { tag: "button.small" });
  return { place, load: async () => drawDoor(place, await get(path), visit) };
}

function makePickup(one) {
  const list = one.list && make("a", { href: `#/lists/${one.list}` }, known.lists.get(one.list)?.name ?? "its list");
  return makeRow(HEADS, [one.file, moment(one.at), list ?? plain(one.code)]);
}

/** The card of a flow's other ways in, which keeps itself up to date. */
export function makeDoors(id, signal) {
  const flow = known.flows.get(id);
  const sftp = makeDoor(flow, "sftp", "No SFTP server is set up for this flow: its setting sftp names one.");
  const folder = makeDoor(flow, "folder", "No folder is watched for this flow: its setting folder names one.");
  const isWatched = Boolean(flow.triggers.sftp || flow.triggers.folder);
  const body = make("tbody");
  const pickups = makeTable("Files that were picked up", HEADS, body);
  const shown = make("div.way", { hidden: true }, make("h3", {}, "Picked up of late"), pickups);
  const load = async () => {
    const [{ items }] = await Promise.all([get(`/v1/flows/${id}/pickups?limit=${PICKUPS_SHOWN}`), sftp.load(), folder.load()]);
    body.replaceChildren(...items.map(makePickup));
    shown.hidden = items.length === 0;
  };
  const refresh = () => {
    // Nothing is drawn anew below the hands of who is about to press it.
    if (!document.hidden && !element.contains(document.activeElement)) load().catch(() => {});
  };
  const element = card("Other ways in",
    make("h3", {}, "E-mail"), makeEmail(flow), make("h3", {}, "SFTP"), sftp.place, make("h3", {}, "Watched folder"), folder.place, shown);
  if (isWatched) {
    load().catch(() => {});
    const ticking = setInterval(refresh, REFRESH_MS);
    signal.addEventListener("abort", () => clearInterval(ticking));
    watch("door", (changed) => changed === id && refresh(), signal);
  }
  return element;
}
