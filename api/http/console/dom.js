// Elements, and how the page speaks to people. What the server sends reaches the page as text only,
// never as markup.

const NOTICE_MS = 8000;
const COPIED_MS = 2000;

export const $ = (id) => document.getElementById(id);

/** An element: `make("div.card", { role: "group", onclick: act }, "text", child, …)`. An attribute that is
 * `true` stands alone; one that is null, undefined or false is left out, and so is such a child. */
export function make(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A text of the server's, with what stands between backticks as code. */
export function prose(text) {
  const parts = text.split("`");
  return parts.map((part, place) => (place % 2 && place < parts.length - 1 ? make("code", {}, part) : part));
}

/** A button: `press("Pause", act)`. What goes wrong in `act` is told. */
export function press(text, act, { tag = "button", ...attributes } = {}) {
  return make(tag, { type: "button", onclick: doing(act), ...attributes }, text);
}

/** Write a text where it is not there yet, so that nobody is told of it again. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Let a container have exactly these children, and leave those alone that are there. */
export function arrange(container, children) {
  children.forEach((child, place) => {
    if (container.children[place] !== child) container.insertBefore(child, container.children[place] ?? null);
  });
  while (container.children.length > children.length) container.lastElementChild.remove();
}

/** Say something to those who do not look at the screen. */
export function announce(text) {
  write($("announcer"), text);
}

let noticeTimer = null;

/** Say for a while what went wrong, or what was done. */
export function notify(text, tone = "bad") {
  const notice = $("notice");
  notice.className = `notice ${tone}`;
  notice.textContent = text;
  notice.hidden = false;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => (notice.hidden = true), NOTICE_MS);
}

/** A handler whose failure is told, and whose button cannot be pressed again while it works. */
export function doing(act) {
  return async (event) => {
    const button = event?.currentTarget;
    if (button?.getAttribute?.("aria-busy") === "true") return;
    button?.setAttribute?.("aria-busy", "true");
    try {
      await act(event);
    } catch (error) {
      notify(error.message);
    } finally {
      button?.removeAttribute?.("aria-busy");
    }
  };
}

/** Ask before something that cannot be taken back; whether the answer is yes. */
export function confirmed({ title, text, yes, no = "No, go back" }) {
  return new Promise((resolve) => {
    const dialog = make(
      "dialog",
      { "aria-labelledby": "dialog-title", "aria-describedby": "dialog-text" },
      make(
        "form",
        { method: "dialog" },
        make("h2", { id: "dialog-title" }, title),
        make("p", { id: "dialog-text" }, text),
        make(
          "div.actions",
          {},
          make("button.danger.solid", { value: "yes" }, yes),
          make("button", { value: "no", autofocus: true }, no),
        ),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Put a text on the clipboard. Where the browser does not let us, mark it for the reader's own hands. */
export async function copy(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    announce("Copied.");
    return true;
  } catch {
    getSelection().selectAllChildren(shown);
    notify("The browser does not let the page copy. The text is marked: copy it yourself.", "warn");
    return false;
  }
}

/** A text with a button that copies it. */
export function copyable(label, text) {
  const code = make("code", {}, text);
  const take = async () => {
    if (!(await copy(text, code))) return;
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), COPIED_MS);
  };
  const button = press("Copy", take, { tag: "button.small", "aria-label": `Copy: ${label}` });
  return make("div.copyable", {}, make("pre", { tabindex: "0", role: "region", "aria-label": label }, code), button);
}
