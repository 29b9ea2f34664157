// The console: what an account's key may see, live. It uses the public API and nothing else.
// What the server sends reaches the page as text only, never as markup.

const LISTS_SHOWN = 20;
const EVENTS_SHOWN = 200;
const FAULTS_SHOWN = 20;
const REFRESH_MS = 700; // a list whose events come thick is asked for again this often at most
const PACE_WINDOW_MS = 5000;
const RECONNECT_MS = [500, 1000, 2000, 5000, 10000];
const READINESS_MS = 5000;

const $ = (id) => document.getElementById(id);
const session = { key: sessionStorage.getItem("key"), account: sessionStorage.getItem("account") };
const lists = new Map(); // id → { view, element }
const flowNames = new Map();
let olderLists = null; // cursor
let socket = null;
let failures = 0;
let lastSeq = null;
let stale = new Set();
let starts = []; // when attempts began, milliseconds

class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `The server answered ${status}.`);
    this.status = status;
    this.errors = problem.errors || [];
  }
}

async function call(method, path, body, headers = {}) {
  const sent = { Authorization: `Bearer ${session.key}`, ...headers };
  if (session.account) sent["Callwheel-Account"] = session.account;
  if (body !== undefined && !(body instanceof FormData)) {
    sent["Content-Type"] = "application/json";
    body = JSON.stringify(body);
  }
  const answer = await fetch(path, { method, headers: sent, body, cache: "no-store" });
  if (!answer.ok) throw new Refusal(answer.status, await answer.json().catch(() => ({})));
  return answer;
}

const get = async (path) => (await call("GET", path)).json();

async function download(path, name) {
  const blob = await (await call("GET", path)).blob();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// --- signing in and out

async function signIn(key, account) {
  session.key = key;
  session.account = account;
  await get("/v1/flows?limit=1");
  sessionStorage.setItem("key", key);
  sessionStorage.setItem("account", account || "");
  await open();
}

function signOut() {
  sessionStorage.clear();
  location.reload();
}

function ask(message = "") {
  $("sign-in").hidden = false;
  $("console").hidden = true;
  $("sign-out").hidden = true;
  $("sign-in-error").textContent = message;
  $("key").focus();
}

async function open() {
  $("sign-in").hidden = true;
  $("console").hidden = false;
  $("sign-out").hidden = false;
  await Promise.all([showFlows(), showLists()]);
  setInterval(refreshStale, REFRESH_MS);
  setInterval(showPace, 1000);
  connect();
}

function report(error) {
  if (error instanceof Refusal && error.status === 401) return signOut();
  $("notice").textContent = error.message;
  $("notice").hidden = false;
  setTimeout(() => ($("notice").hidden = true), 8000);
}

const guarded = (doing) => (...given) => Promise.resolve(doing(...given)).catch(report);

// --- flows

async function readAll(path) {
  const items = [];
  let cursor = "";
  do {
    const page = await get(`${path}?limit=1000${cursor}`);
    items.push(...page.items);
    cursor = page.next && `&cursor=${encodeURIComponent(page.next)}`;
  } while (cursor);
  return items;
}

async function showFlows() {
  const flows = await readAll("/v1/flows");
  flows.forEach((flow) => flowNames.set(flow.id, flow.name));
  $("flows").replaceChildren(...flows.map(makeFlow));
  $("no-flows").hidden = flows.length > 0;
}

function makeFlow(flow) {
  const card = $("flow-template").content.firstElementChild.cloneNode(true);
  const find = (selector) => card.querySelector(selector);
  find("h3").textContent = flow.name;
  setPill(find(".pill"), flow.listener.active ? "listening" : "not listening", flow.listener.active ? "good" : "warn");
  const dids = flow.dids.length === 1 ? flow.dids[0] : `${flow.dids.length} numbers`;
  find(".facts").textContent = `${flow.kind} · calls from ${dids} · ${flow.timezone}`;
  find(".template").addEventListener("click", guarded((event) => {
    event.preventDefault();
    return download(`/v1/flows/${flow.id}/template.csv`, `${flow.name}.csv`);
  }));
  const input = find("input");
  const take = (file) => file && review(card, flow, file);
  input.addEventListener("change", () => { take(input.files[0]); input.value = ""; });
  card.addEventListener("dragover", (event) => { event.preventDefault(); card.classList.add("over"); });
  card.addEventListener("dragleave", () => card.classList.remove("over"));
  card.addEventListener("drop", (event) => {
    event.preventDefault();
    card.classList.remove("over");
    take(event.dataTransfer.files[0]);
  });
  return card;
}

// A file is tried first, so that nobody is called by mistake.
async function review(card, flow, file) {
  const find = (selector) => card.querySelector(selector);
  const fail = (error) => { find(".error").textContent = error.message; };
  find(".error").textContent = "";
  find(".review").hidden = true;
  try {
    const { report } = await upload(flow, file, "?dry_run=true");
    find(".summary").textContent = describe(file, report);
    find(".faults").replaceChildren(...report.errors.concat(report.warnings).slice(0, FAULTS_SHOWN).map((fault) =>
      make("li", `row ${fault.row}${fault.column ? `, ${fault.column}` : ""}: ${fault.detail}`)));
    find(".start").hidden = report.accepted === 0;
    find(".review").hidden = false;
  } catch (error) {
    return fail(error);
  }
  // One upload however often the button is pressed, and however often the network fails meanwhile.
  const once = { "Idempotency-Key": crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}` };
  find(".drop-it").onclick = () => { find(".review").hidden = true; };
  find(".start").onclick = async () => {
    find(".start").disabled = true;
    try {
      showList(await upload(flow, file, "", once), true);
      find(".review").hidden = true;
    } catch (error) {
      fail(error);
    } finally {
      find(".start").disabled = false;
    }
  };
}

async function upload(flow, file, query, headers) {
  const form = new FormData();
  form.append("file", file, file.name);
  return (await call("POST", `/v1/flows/${flow.id}/lists${query}`, form, headers)).json();
}

function describe(file, report) {
  const rejected = report.rejected ? `, ${count(report.rejected)} cannot be taken` : "";
  return `${file.name}: ${count(report.accepted)} of ${count(report.rows)} rows can be called${rejected}.`;
}

// --- lists

async function showLists(cursor = "") {
  const page = await get(`/v1/lists?limit=${LISTS_SHOWN}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
  page.items.forEach((view) => showList(view, false));
  olderLists = page.next;
  $("more-lists").hidden = !olderLists;
  $("no-lists").hidden = lists.size > 0;
}

function showList(view, isNew) {
  let entry = lists.get(view.id);
  if (!entry) {
    entry = { element: makeList(view) };
    lists.set(view.id, entry);
    if (isNew) $("lists").prepend(entry.element);
    else $("lists").append(entry.element);
    $("no-lists").hidden = true;
  }
  entry.view = view;
  drawList(entry);
  showFigures();
}

function makeList(view) {
  const element = $("list-template").content.firstElementChild.cloneNode(true);
  const act = (name) => element.querySelector(`.${name}`).addEventListener("click", guarded(async () => {
    if (name === "cancel" && !confirm(`Cancel ${view.name}? Those who were not called yet will not be.`)) return;
    showList(await (await call("POST", `/v1/lists/${view.id}/${name}`)).json(), false);
  }));
  ["pause", "resume", "cancel"].forEach(act);
  for (const name of ["results", "rejected"]) {
    element.querySelector(`.${name}`).addEventListener("click", guarded((event) => {
      event.preventDefault();
      return download(`/v1/lists/${view.id}/${name}.csv`, `${name}-${view.id}.csv`);
    }));
  }
  return element;
}

const TONES = { running: "good", paused: "warn", canceled: "bad", rejected: "bad" };

function drawList({ view, element }) {
  const find = (selector) => element.querySelector(selector);
  const { counts } = view;
  find("h3").textContent = view.name;
  setPill(find(".pill"), view.status, TONES[view.status]);
  const flow = flowNames.get(view.flow) || view.flow;
  find(".facts").textContent = `${flow} · ${new Date(view.created_at).toLocaleString()}`;
  const open = ["scheduled", "running"].includes(view.status);
  find(".pause").hidden = !open;
  find(".resume").hidden = view.status !== "paused";
  find(".cancel").hidden = !open && view.status !== "paused";
  find(".results").hidden = counts.contacts === 0;
  find(".rejected").hidden = view.report.rejected === 0;

  const parts = Object.entries(view.dispositions).sort((a, b) => b[1] - a[1]);
  if (counts.dialing) parts.push(["dialing", counts.dialing]);
  const waiting = counts.waiting + counts.scheduled;
  const track = find(".track");
  while (track.children.length > parts.length) track.lastElementChild.remove();
  parts.forEach(([name, number], place) => {
    const part = track.children[place] || track.appendChild(document.createElement("i"));
    part.className = `is-${name}`;
    part.style.setProperty("width", `${(100 * number) / counts.contacts}%`);
  });
  const done = counts.contacts ? Math.round((100 * counts.completed) / counts.contacts) : 0;
  track.setAttribute("aria-valuenow", done);
  track.setAttribute("aria-label", `${view.name}: ${done} % done`);
  if (waiting) parts.push(["waiting", waiting]);
  const legend = parts.map(([name, number]) => {
    const item = make("li", `${name} ${count(number)}`);
    item.prepend(Object.assign(document.createElement("i"), { className: `is-${name}` }));
    return item;
  });
  if (view.report.rejected) legend.push(make("li", `rejected rows ${count(view.report.rejected)}`));
  find(".legend").replaceChildren(...legend);
}

async function refreshStale() {
  const due = [...stale];
  stale = new Set();
  await Promise.all(due.map(async (id) => {
    try {
      showList(await get(`/v1/lists/${id}`), !lists.has(id));
    } catch (error) {
      if (error.status !== 404) stale.add(id);
    }
  }));
}

function showFigures() {
  const sum = { dialing: 0, waiting: 0, completed: 0, answered: 0 };
  for (const { view } of lists.values()) {
    sum.dialing += view.counts.dialing;
    sum.waiting += view.counts.waiting + view.counts.scheduled;
    sum.completed += view.counts.completed;
    sum.answered += view.dispositions.answered || 0;
  }
  for (const name of ["dialing", "waiting", "completed"]) $(`figure-${name}`).textContent = count(sum[name]);
  $("figure-answered").textContent = sum.completed ? `${Math.round((100 * sum.answered) / sum.completed)} %` : "–";
}

function showPace() {
  const since = Date.now() - PACE_WINDOW_MS;
  starts = starts.filter((at) => at > since);
  $("figure-pace").textContent = count(Math.round((10_000 * starts.length) / PACE_WINDOW_MS) / 10);
}

// --- the feed

async function connect() {
  try {
    const { ticket } = await (await call("POST", "/v1/feed/tickets")).json();
    const url = new URL("/v1/feed", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    url.searchParams.set("ticket", ticket);
    if (lastSeq !== null) url.searchParams.set("since", lastSeq);
    socket = new WebSocket(url);
  } catch (error) {
    report(error);
    return reconnect();
  }
  socket.onopen = () => { failures = 0; setPill($("feed"), "live", "good"); };
  socket.onmessage = (message) => takeEvents(JSON.parse(message.data));
  socket.onclose = reconnect;
}

function reconnect() {
  setPill($("feed"), "not live", "warn");
  setTimeout(connect, RECONNECT_MS[Math.min(failures++, RECONNECT_MS.length - 1)]);
}

function takeEvents(events) {
  const now = Date.now();
  for (const event of events) {
    lastSeq = event.seq;
    if (event.list) stale.add(event.list);
    else if (event.type === "gap") lists.forEach((_, id) => stale.add(id));
    if (event.type === "attempt.initiated") starts.push(now);
  }
  const latest = events.slice(-EVENTS_SHOWN).reverse().map(makeEvent);
  $("events").prepend(...latest);
  while ($("events").children.length > EVENTS_SHOWN) $("events").lastElementChild.remove();
}

function makeEvent(event) {
  const item = document.createElement("li");
  item.append(make("time", new Date(event.time).toLocaleTimeString()), make("b", event.type));
  const facts = Object.entries(event.data).filter(([, value]) => value !== null && typeof value !== "object");
  item.append(make("span", facts.map(([name, value]) => `${name} ${plain(value)}`).join(" · ")));
  return item;
}

// --- small things

function make(name, text) {
  return Object.assign(document.createElement(name), { textContent: text });
}

function setPill(pill, text, tone = "") {
  pill.hidden = false;
  pill.className = `pill ${tone}`;
  pill.textContent = text;
}

function plain(value) {
  return typeof value === "number" ? String(Math.round(value * 100) / 100) : value;
}

function count(number) {
  return number.toLocaleString();
}

async function showReadiness() {
  try {
    const answer = await fetch("/readyz", { cache: "no-store" });
    const body = await answer.json();
    setPill($("readiness"), answer.ok ? "ready to call" : "not ready", answer.ok ? "good" : "warn");
    $("readiness").title = answer.ok ? "" : body.detail;
  } catch {
    setPill($("readiness"), "no connection", "bad");
  }
}

$("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn($("key").value.trim(), $("account").value.trim()).catch((error) => ask(error.message));
});
$("sign-out").addEventListener("click", signOut);
$("more-lists").addEventListener("click", guarded(() => showLists(olderLists)));
showReadiness();
setInterval(showReadiness, READINESS_MS);
if (session.key) signIn(session.key, session.account).catch((error) => ask(error.message));
else ask();
