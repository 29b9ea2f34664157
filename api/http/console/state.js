// What the page knows of the account: flows, lists and the calls that go on. The feed says what has
// changed; what an event cannot tell is asked for again, a little later and once for many events.

import { get, getAll, session } from "./api.js";
import { Feed } from "./feed.js";

const REFRESH_MS = 600; // a list whose events come thick is asked for again this often at most
const OPEN_REFRESH_MS = 15_000; // an open list where nothing happens: its contacts' times come
const CALLS_MAX = 5000; // that are followed
const LISTS_MAX = 1000; // that are kept: of more, those that are over go first
const PACE_MS = 5000;
const TELL_MS = 250;
const ROLES = ["viewer", "operator", "owner", "administrator"];

export const known = {
  me: null,
  accounts: [], // of an administrator
  flows: new Map(),
  lists: new Map(),
  activations: new Map(), // requests by mail that wait, the oldest first
  calls: new Map(), // attempt → { id, flow, list, number, did, status, at }
  isLive: false,
};

export const OPEN = ["scheduled", "running", "paused"];

const changes = new EventTarget();
let feed = null;
let timers = [];
const stale = new Set(); // lists that have changed
let isRefreshing = false;
let visit = 0; // changes with the account: what was asked of one is nothing to the next
let starts = []; // when calls began, milliseconds
let ended = null; // attempts that ended while the open ones are asked for
let callsTold = null;
let aheadMs = Infinity; // by how much the reader's clock is ahead of the server's

/** Be told of `flows`, `list` (with its id), `lists`, `calls`, `activations`, `door` or `agents` (with
 * their flow) or `feed`, until the signal. */
export function watch(topic, act, signal) {
  changes.addEventListener(topic, (event) => act(event.detail), { signal });
}

function tell(topic, detail) {
  changes.dispatchEvent(new CustomEvent(topic, { detail }));
}

/** Whether the key's role is this one or above it. */
export function may(role) {
  return ROLES.indexOf(known.me?.role) >= ROLES.indexOf(role);
}

/** Begin with the account that the session names. Throws where the key is not good. */
export async function begin() {
  stop();
  const asked = visit;
  const me = await get("/v1/me");
  if (asked !== visit) return;
  known.me = me;
  known.accounts = may("administrator") ? await getAll("/v1/accounts") : [];
  await Promise.all([loadFlows(), loadActivations()]);
  if (asked !== visit) return;
  feed = new Feed({ onEvents: takeEvents, onState: setLive, onGap: catchUp });
  timers = [setInterval(refreshStale, REFRESH_MS), setInterval(refreshOpen, OPEN_REFRESH_MS)];
}

/** Forget all that is known. */
export function stop() {
  feed?.close();
  timers.forEach(clearInterval);
  feed = null;
  visit++;
  isRefreshing = false;
  ended = null;
  known.me = null;
  timers = [];
  starts = [];
  for (const some of [known.flows, known.lists, known.calls, known.activations, stale]) some.clear();
}

/** Act for another account: an administrator's choice. */
export async function actFor(account) {
  const before = session.account;
  session.account = account;
  try {
    await begin();
  } catch (error) {
    if (session.account !== account) return; // another was chosen meanwhile
    session.account = before;
    await begin();
    throw error;
  } finally {
    session.keep();
  }
}

// --- flows

export async function loadFlows() {
  const asked = visit;
  const flows = await getAll("/v1/flows");
  if (asked !== visit) return;
  known.flows.clear();
  flows.forEach((flow) => known.flows.set(flow.id, flow));
  tell("flows");
}

/** Requests that wait. A key that is for other parts of the API sees none. */
export async function loadActivations() {
  const asked = visit;
  let pending = [];
  try {
    pending = await getAll("/v1/activations?status=pending");
  } catch (error) {
    if (error.status !== 403) throw error;
  }
  if (asked !== visit) return;
  known.activations.clear();
  pending.reverse().forEach((one) => known.activations.set(one.id, one));
  tell("activations");
}

/** A request was decided. */
export function forgetActivation(id) {
  if (known.activations.delete(id)) tell("activations");
}

export function putFlow(flow) {
  known.flows.set(flow.id, flow);
  tell("flows");
}

/** Whether a list is the one that holds its flow's single calls. */
export function isStanding(list) {
  return known.flows.get(list.flow)?.calls_list === list.id;
}

export function nameOf(flow) {
  return known.flows.get(flow)?.name ?? "a flow that was deleted";
}

// --- lists

/** Keep what an answer said of a list. Pages of lists leave out what their contacts wait for. */
export function putList(list) {
  const before = known.lists.get(list.id);
  known.lists.set(list.id, { ...(list.blocked ? {} : { blocked: before?.blocked, blocked_until: before?.blocked_until, blocked_detail: before?.blocked_detail }), ...list });
  if (known.lists.size > LISTS_MAX) forgetList();
  tell("list", list.id);
  return known.lists.get(list.id) ?? list;
}

function forgetList() {
  const over = [...known.lists.values()].find((list) => !OPEN.includes(list.status));
  known.lists.delete((over ?? known.lists.values().next().value).id);
}

export async function loadList(id) {
  const asked = visit;
  const list = await get(`/v1/lists/${encodeURIComponent(id)}`);
  return asked === visit ? putList(list) : list;
}

/** A page of lists, of one flow or of all; gives the cursor of the next. */
export async function loadLists({ flow = "", cursor = "", limit = 20 } = {}) {
  const query = new URLSearchParams({ limit, ...(flow && { flow }), ...(cursor && { cursor }) });
  const asked = visit;
  const page = await get(`/v1/lists?${query}`);
  if (asked !== visit) return { lists: page.items, next: page.next };
  const lists = page.items.map(putList);
  lists.filter((list) => OPEN.includes(list.status)).forEach((list) => stale.add(list.id));
  return { lists, next: page.next };
}

async function refreshStale() {
  if (document.hidden || isRefreshing) return;
  isRefreshing = true;
  const asked = visit;
  const due = [...stale];
  stale.clear();
  for (const id of due) {
    try {
      await loadList(id);
    } catch (error) {
      if (error.status !== 404 && asked === visit) stale.add(id);
    }
    if (asked !== visit) return;
  }
  isRefreshing = false;
}

/** Ask for every open list again. */
export function refreshOpen() {
  for (const list of known.lists.values()) if (OPEN.includes(list.status)) stale.add(list.id);
}

// --- calls

/** The moment on the server's clock, as far as events tell it; milliseconds. */
export function serverNow() {
  return Date.now() - (Number.isFinite(aheadMs) ? aheadMs : 0);
}

/** New calls a second, over the last seconds. */
export function pace() {
  const since = Date.now() - PACE_MS;
  starts = starts.filter((at) => at > since);
  return (1000 * starts.length) / PACE_MS;
}

function setCall(call) {
  if (known.calls.has(call.id) || known.calls.size < CALLS_MAX) known.calls.set(call.id, call);
}

const MOVES = {
  "attempt.ringing": "ringing",
  "attempt.answered": "in-progress",
};

function takeEvents(events) {
  let isAsked = false;
  aheadMs = Math.min(aheadMs, Date.now() - new Date(events.at(-1).time));
  for (const event of events) {
    if (event.list) stale.add(event.list);
    if (event.type.startsWith("activation.")) isAsked = true;
    if (event.type.startsWith("agent.")) tell("agents", event.flow);
    if (event.type === "activation.confirmed") loadFlows().catch(() => {});
    if (event.type === "list.accepted" || event.type.startsWith("door.")) tell("door", event.flow);
    if (event.type === "attempt.initiated") {
      starts.push(Date.now());
      const { attempt: id, flow, list, time: at, data } = event;
      setCall({ id, flow, list, number: data.number, did: data.did, status: "initiated", at });
    } else if (event.type === "attempt.ended") {
      known.calls.delete(event.attempt);
      ended?.add(event.attempt);
    } else if (MOVES[event.type] && known.calls.has(event.attempt)) {
      setCall({ ...known.calls.get(event.attempt), status: MOVES[event.type], at: event.time });
    }
  }
  tellCalls();
  if (isAsked) loadActivations().catch(() => {}); // the next event, or the next visit, asks again
}

function tellCalls() {
  callsTold ??= setTimeout(() => {
    callsTold = null;
    tell("calls");
  }, TELL_MS);
}

function setLive(isLive) {
  known.isLive = isLive;
  tell("feed");
}

/** Ask anew for what events did not tell. */
async function catchUp() {
  refreshOpen();
  const asked = visit;
  ended = new Set();
  try {
    const open = await getAll("/v1/attempts?open=true");
    if (asked !== visit) return;
    known.calls.clear();
    for (const one of open.filter((attempt) => !ended.has(attempt.id))) {
      const { id, flow, list, number, did, status } = one;
      setCall({ id, flow, list, number, did, status, at: one.answered_at ?? one.ringing_at ?? one.initiated_at });
    }
    await Promise.all([loadLists(), loadActivations()]);
  } catch {
    // The feed goes on, and whoever looks at a list asks for it.
  }
  if (asked !== visit) return;
  ended = null;
  tellCalls();
  tell("lists");
}
