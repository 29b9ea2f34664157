// A call list on its way in: chosen or dropped, tried first so that nobody is called by mistake, shown
// with all that it would come to, and sent when somebody says so.

import { newIdempotencyKey, upload } from "./api.js";
import { announce, make, notify, write } from "./dom.js";
import { makeReview } from "./review.js";
import { known, may, putList, watch } from "./state.js";
import { people } from "./words.js";

const FILE_BYTES_MAX = 5 * 1024 * 1024;
const FAULTS_SHOWN = 20;
const KINDS = ".csv,.xlsx,.zip,text/csv,application/zip,application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/** The card that takes lists for a flow. `saveTemplate` downloads the flow's template. */
export function makeUpload(flowId, saveTemplate, signal) {
  const flow = () => known.flows.get(flowId);
  const path = (query) => `/v1/flows/${flowId}/lists${query}`;
  let stopping = null; // of what is being sent
  let isCall = false; // whether that is the list itself, and not a dry run

  const input = make("input.unseen", { type: "file", id: "file", accept: KINDS, onchange: () => take(input.files[0]) });
  const choose = make("label.button.primary", { for: "file" }, "Choose a file");
  const template = make("button", { type: "button", onclick: saveTemplate }, "Get the template");
  const off = make("p.warn", {}, "The listener is off. Switch it on, and lists are taken.");
  const drop = make(
    "div.drop",
    {},
    make("p.drop-title", {}, "Drop a call list here"),
    make("p.faint", {}, "CSV, Excel or ZIP, up to 5 MB. It is checked first: nobody is called before you say so."),
    make("div.actions", {}, input, choose, template),
  );
  const bar = make("progress", { max: "1", value: "0", "aria-label": "Upload" });
  const step = make("span");
  const stop = make("button", { type: "button", onclick: () => stopping?.abort() }, "Stop");
  const going = make("div.going", { hidden: true }, step, bar, stop);
  const wrong = make("div.wrong", { role: "alert" });
  const place = make("div");
  const title = make("h2", { id: "upload-title" }, "Call a list");
  const element = make("section.card.upload", { "aria-labelledby": "upload-title" }, title, off, drop, going, wrong, place);

  const isOpen = () => (flow()?.listener.active ?? false) && may("operator") && !stopping;

  function showState() {
    off.hidden = flow()?.listener.active ?? false;
    drop.hidden = !isOpen() || !place.hidden;
  }

  function fail(error) {
    if (error.name === "AbortError") return announce("Stopped.");
    wrong.replaceChildren(make("p", {}, error.message));
    const faults = (error.errors ?? []).filter((one) => one.row || one.code !== error.code); // the header's is said already
    if (faults.length) {
      const said = (one) => [one.row && `Row ${one.row}`, one.column, one.detail].filter(Boolean).join(", ");
      wrong.append(make("ul", {}, faults.slice(0, FAULTS_SHOWN).map((one) => make("li", {}, said(one)))));
    }
  }

  /** Send the file and show how far it is; gives the answer. */
  async function send(file, query, headers, verb) {
    stopping = new AbortController();
    wrong.replaceChildren();
    going.hidden = false;
    showState();
    const onProgress = (share) => {
      bar.value = share;
      write(step, share < 1 ? `Sending ${file.name}: ${Math.round(100 * share)} %` : `${verb} ${file.name} …`);
      if (share === 1) bar.removeAttribute("value"); // how long the rest takes is not known
    };
    onProgress(0);
    announce(`Sending ${file.name}.`);
    try {
      return await upload(path(query), file, { headers, onProgress, signal: stopping.signal });
    } finally {
      going.hidden = true;
      stopping = null;
      showState();
    }
  }

  function leave() {
    place.replaceChildren();
    place.hidden = true;
    showState();
    input.focus();
  }

  async function take(file) {
    input.value = "";
    if (!file || stopping) return;
    isCall = false;
    place.hidden = true;
    if (file.size > FILE_BYTES_MAX) {
      showState();
      return fail(new Error(`${file.name} is larger than 5 MB. Send it in several parts, or as a ZIP of smaller files.`));
    }
    try {
      const tried = await send(file, "?dry_run=true", {}, "Checking");
      const review = makeReview(file, tried, { onCall: (again) => call(file, again), onLeave: leave });
      place.replaceChildren(review);
      place.hidden = false;
      showState();
      review.querySelector("h3").focus();
    } catch (error) {
      fail(error);
      showState();
    }
  }

  // One list however often the button is pressed, and however often the network fails meanwhile.
  const keys = new Map();

  async function call(file, again) {
    const query = again ? "?again=true" : "";
    const name = `${query}/${file.name}/${file.size}/${file.lastModified}`;
    if (!keys.has(name)) keys.set(name, newIdempotencyKey());
    place.hidden = true;
    isCall = true;
    try {
      const list = putList(await send(file, query, { "Idempotency-Key": keys.get(name) }, "Taking"));
      keys.delete(name);
      place.replaceChildren();
      const told = `${list.name}: ${people(list.report.accepted)} will be called.`;
      if (signal.aborted) return notify(told, "good");
      announce(told);
      location.hash = `#/lists/${list.id}`;
    } catch (error) {
      place.hidden = false;
      showState();
      if (signal.aborted) notify(`${file.name}: ${error.message}`);
      else if (error.code === "duplicate_list") place.firstElementChild.askAgain(error.list);
      else fail(error);
    }
  }

  place.hidden = true;
  element.addEventListener("dragover", (event) => {
    event.preventDefault();
    element.classList.toggle("over", isOpen());
  });
  element.addEventListener("dragleave", (event) => {
    if (!element.contains(event.relatedTarget)) element.classList.remove("over");
  });
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    element.classList.remove("over");
    if (isOpen()) take(event.dataTransfer.files[0]);
  });
  watch("flows", showState, signal);
  // Who goes elsewhere has said already that the list is to be called; what was only tried is forgotten.
  signal.addEventListener("abort", () => isCall || stopping?.abort());
  showState();
  return element;
}
