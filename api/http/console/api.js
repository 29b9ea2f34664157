// Requests to the public API with the key of this tab. The page uses that API and nothing else.

const BUSY_TRIES = 3; // of a question that came too often
const BUSY_S_MAX = 10;
const EDIT_TRIES = 3; // of a change while others change the same
const PAGES_MAX = 20; // of a long answer that is read whole
const UNREACHABLE = "Callwheel does not answer. The network may be gone, or Callwheel may be starting.";

/** Who asks. It stays in this tab, and is forgotten when the tab is closed. */
export const session = {
  key: sessionStorage.getItem("key") ?? "",
  account: sessionStorage.getItem("account") ?? "",
  keep() {
    sessionStorage.setItem("key", this.key);
    sessionStorage.setItem("account", this.account);
  },
  forget() {
    sessionStorage.clear();
    this.key = this.account = "";
  },
};

/** What the server refused, with its stable code (RFC 9457). */
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `The server answered ${status}.`);
    this.status = status;
    this.code = problem.code ?? "";
    this.errors = problem.errors ?? [];
    this.list = problem.list ?? null;
  }
}

let whenKeyEnded = () => {};

/** Be told when the key is not good any more. */
export function onKeyEnded(act) {
  whenKeyEnded = act;
}

function headersOf(more) {
  const headers = { Authorization: `Bearer ${session.key}`, ...more };
  // Header values are Latin-1; a name beyond that is given by its id.
  if (session.account) headers["Callwheel-Account"] = session.account;
  return headers;
}

function refuse(status, problem) {
  const refusal = new Refusal(status, problem);
  if (status === 401) whenKeyEnded(refusal);
  return refusal;
}

async function request(method, path, body, headers = {}) {
  const sent = { method, headers: headersOf(headers), cache: "no-store" };
  if (body !== undefined) {
    sent.headers["Content-Type"] = "application/json";
    sent.body = JSON.stringify(body);
  }
  for (let tries = 1; ; tries++) {
    const answer = await fetch(path, sent).catch(() => {
      throw new Error(UNREACHABLE);
    });
    if (answer.ok) return answer;
    if (answer.status !== 429 || method !== "GET" || tries === BUSY_TRIES) {
      throw refuse(answer.status, await answer.json().catch(() => ({})));
    }
    const wait = Math.min(Number(answer.headers.get("Retry-After")) || 1, BUSY_S_MAX);
    await new Promise((resolve) => setTimeout(resolve, wait * 1000));
  }
}

export const get = async (path) => (await request("GET", path)).json();
export const post = async (path, body, headers) => (await request("POST", path, body, headers)).json();
export const put = async (path, body, headers) => (await request("PUT", path, body, headers)).json();
export const patch = async (path, body) => (await request("PATCH", path, body)).json();
/** For requests whose answer has no body. */
export const send = async (method, path, body) => void (await request(method, path, body));

/** A thing with its tag, for an edit that is made only while nobody else has changed it. */
export async function getTagged(path) {
  const answer = await request("GET", path);
  return { body: await answer.json(), tag: answer.headers.get("ETag") ?? "*" };
}

/** Change a thing as it is now: `body(thing)` is asked again where somebody else was quicker. */
export async function edit(path, part, body) {
  for (let tries = 1; ; tries++) {
    const { body: thing, tag } = await getTagged(path);
    try {
      return await put(path + part, body(thing), { "If-Match": tag });
    } catch (error) {
      if (error.code !== "precondition_failed" || tries === EDIT_TRIES) throw error;
    }
  }
}

/** All items of a paged answer, as far as `PAGES_MAX` pages have them. */
export async function getAll(path) {
  const items = [];
  let cursor = "";
  for (let page = 0; page < PAGES_MAX && cursor !== null; page++) {
    const more = cursor && `&cursor=${encodeURIComponent(cursor)}`;
    const part = await get(`${path}${path.includes("?") ? "&" : "?"}limit=1000${more}`);
    items.push(...part.items);
    cursor = part.next;
  }
  return items;
}

/** Save an answer as a file. */
export async function download(path, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await (await request("GET", path)).blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Send a file as a form. `onProgress` is told the share that has left, 0 to 1; fetch() cannot tell it. */
export function upload(path, file, { headers = {}, onProgress = () => {}, signal } = {}) {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    form.append("file", file, file.name);
    const sending = new XMLHttpRequest();
    sending.open("POST", path);
    sending.responseType = "json";
    for (const [name, value] of Object.entries(headersOf(headers))) sending.setRequestHeader(name, value);
    sending.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    sending.upload.onload = () => onProgress(1);
    sending.onload = () => {
      if (sending.status < 300) resolve(sending.response);
      else reject(refuse(sending.status, sending.response ?? {}));
    };
    sending.onerror = () => reject(new Error(UNREACHABLE));
    sending.onabort = () => reject(new DOMException("Stopped.", "AbortError"));
    signal?.addEventListener("abort", () => sending.abort());
    sending.send(form);
  });
}

/** A key that makes a request the same however often it is sent. */
export function newIdempotencyKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
