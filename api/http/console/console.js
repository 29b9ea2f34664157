// The console: what an account's key may see and do, live. Views are in modules of their own; which one is
// shown stands in the address after the #.

import { showActivations } from "./activations.js";
import { onKeyEnded, session } from "./api.js";
import { $, arrange, make, notify, write } from "./dom.js";
import { showFlow } from "./flow.js";
import { showList } from "./list.js";
import { showLookUp } from "./look_up.js";
import { showNewFlow } from "./new_flow.js";
import { showNumbers } from "./numbers.js";
import { showOverview } from "./overview.js";
import { setPill, stateOf } from "./parts.js";
import { showPrompts } from "./prompts.js";
import { actFor, begin, known, may, stop, watch } from "./state.js";
import { count } from "./words.js";

const READINESS_MS = 10_000;
const FLOWS_SHOWN = 100; // beside the view; the overview has all
const VIEWS = [
  [/^#?\/?$/, showOverview],
  [/^#\/flows\/([^/]+)(?:\/(configuration|agents))?$/, showFlow],
  [/^#\/lists\/([^/]+)$/, showList],
  [/^#\/new-flow$/, showNewFlow],
  [/^#\/numbers$/, showNumbers],
  [/^#\/requests$/, showActivations],
  [/^#\/prompts$/, showPrompts],
  [/^#\/look-up(?:\/([^/]+))?$/, showLookUp],
];

let leaving = new AbortController(); // of the view that is shown

// --- signing in and out

async function signIn(key) {
  session.key = key;
  try {
    await begin();
  } catch (error) {
    session.forget();
    return ask(error.message);
  }
  session.keep();
  $("key").value = "";
  $("sign-in").hidden = true;
  $("console").hidden = false;
  document.body.classList.add("signed-in");
  drawAccount();
  await showView(false);
}

function signOut(message = "") {
  leaving.abort();
  stop();
  session.forget();
  history.replaceState(null, "", "/");
  ask(message);
}

function ask(message) {
  document.body.classList.remove("signed-in");
  document.title = "Sign in · Callwheel";
  $("view").replaceChildren();
  $("console").hidden = true;
  $("sign-in").hidden = false;
  write($("sign-in-error"), message);
  $("key").focus();
}

// --- views

async function showView(isMoved = true) {
  if (!known.me) return;
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const place = make("div.view");
  closeMenu();
  $("main").setAttribute("aria-busy", "true");
  const [match, show] = findView();
  try {
    await show(place, signal, ...match.slice(1).filter((part) => part !== undefined).map(decodeURIComponent));
  } catch (error) {
    if (signal.aborted) return;
    place.replaceChildren(
      make("h1", { tabindex: "-1" }, "That did not work"),
      make("p", {}, error.message),
      make("p", {}, make("a", { href: "#/" }, "To the overview")),
    );
  }
  if (signal.aborted) return;
  $("view").replaceChildren(place);
  $("main").removeAttribute("aria-busy");
  const title = place.querySelector("h1");
  document.title = `${title?.textContent ?? "Console"} · Callwheel`;
  drawNavigation();
  if (isMoved) {
    scrollTo(0, 0);
    title?.focus({ preventScroll: true });
  }
}

function findView() {
  for (const [pattern, show] of VIEWS) {
    const match = location.hash.match(pattern);
    if (match) return [match, show];
  }
  return [[""], showOverview];
}

// --- around the views

function drawNavigation() {
  const here = location.hash.replace(/\/(configuration|agents)$/, "").replace(/^#\/look-up\/.*/, "#/look-up") || "#/";
  const link = (href, ...children) =>
    make("li", {}, make("a", { href, "aria-current": here === href ? "page" : null }, children));
  const flows = [...known.flows.values()].slice(0, FLOWS_SHOWN);
  const asked = known.activations.size;
  const badge = asked ? make("span.badge", {}, count(asked), make("span.unseen", {}, " waiting")) : null;
  $("navigation").replaceChildren(
    make("ul", {}, link("#/", "Overview"), link("#/numbers", "Caller numbers"), link("#/prompts", "Prompts"),
      link("#/look-up", "Look up"),
      link("#/requests", make("span", {}, "Requests"), badge)),
    make("p", { id: "nav-flows" }, "Flows"),
    make("ul", { "aria-labelledby": "nav-flows" }, may("owner") ? link("#/new-flow", "New flow") : null, flows.map((flow) =>
      link(`#/flows/${flow.id}`, make(`i.dot.${stateOf(flow)[1]}`, { "aria-hidden": "true" }), make("span", {}, flow.name),
        stateOf(flow)[1] === "on" ? null : make("span.unseen", {}, ` (${stateOf(flow)[0]})`)))),
  );
}

function drawAccount() {
  const { me, accounts } = known;
  const label = $("account-label");
  const select = $("account");
  label.hidden = select.hidden = accounts.length < 2;
  $("account-name").hidden = accounts.length >= 2;
  write($("account-name"), me.name);
  write($("role"), me.role);
  arrange(select, accounts.map((account) => make("option", { value: account.id, selected: account.id === me.account },
    account.stopped_at ? `${account.name} (stopped)` : account.paused_at ? `${account.name} (paused)` : account.name)));
}

async function chooseAccount() {
  leaving.abort(); // what is shown would ask the other account for what it has not
  try {
    await actFor($("account").value);
  } catch (error) {
    notify(error.message);
    if (known.me) drawAccount();
    return showView(false);
  }
  if (!known.me) return; // another was chosen meanwhile, and is begun with
  drawAccount();
  if (["", "#/"].includes(location.hash)) await showView();
  else location.hash = "#/";
}

function closeMenu() {
  $("menu").setAttribute("aria-expanded", "false");
  $("side").classList.remove("open");
}

function toggleMenu() {
  const isOpen = $("side").classList.toggle("open");
  $("menu").setAttribute("aria-expanded", isOpen);
}

async function drawReadiness() {
  if (document.hidden) return;
  try {
    const answer = await fetch("/readyz", { cache: "no-store" });
    const body = await answer.json();
    setPill($("readiness"), answer.ok ? "ready to call" : "cannot call now", answer.ok ? "good" : "warn");
    $("readiness").title = answer.ok ? "" : body.detail;
  } catch {
    setPill($("readiness"), "no connection", "bad");
  }
}

$("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn($("key").value.trim());
});
$("sign-out").addEventListener("click", () => signOut());
$("menu").addEventListener("click", toggleMenu);
$("account").addEventListener("change", chooseAccount);
$("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names the view
  $("main").focus();
});
addEventListener("hashchange", () => showView());
addEventListener("keydown", (event) => event.key === "Escape" && closeMenu());
// A file that misses its place must not take the page away.
for (const type of ["dragover", "drop"]) addEventListener(type, (event) => event.preventDefault());
onKeyEnded(() => known.me && signOut("The key is not good any more."));
const always = new AbortController().signal;
watch("flows", drawNavigation, always);
watch("activations", drawNavigation, always);
watch("feed", () => setPill($("live"), known.isLive ? "live" : "connecting …", known.isLive ? "good" : "warn"), always);
drawReadiness();
setInterval(drawReadiness, READINESS_MS);
if (session.key) signIn(session.key);
else ask("");
