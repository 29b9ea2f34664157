// The live feed: events as they happen, over a websocket that comes back by itself and misses nothing.

import { post } from "./api.js";

const RECONNECT_MS = [300, 1000, 2000, 5000, 10_000];
const SINCE_TRIES = 5; // openings that fail before we no longer insist on what was missed

export class Feed {
  #stopped = false;
  #failures = 0;
  #since = null; // the number of the last event that came
  #socket = null;
  #timer = null;

  /** `onEvents(events)` gets what came. `onState(isLive)` is told of each change. `onGap()` is told when what
   * happened before now is not known, also at the beginning. */
  constructor({ onEvents, onState, onGap }) {
    this.onEvents = onEvents;
    this.onState = onState;
    this.onGap = onGap;
    this.#open();
  }

  close() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    // One that is just being opened is closed when it is open: browsers complain otherwise.
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.close();
  }

  async #open() {
    let ticket;
    try {
      ({ ticket } = await post("/v1/feed/tickets"));
    } catch {
      return this.#comeBack();
    }
    if (this.#stopped) return;
    const url = new URL("/v1/feed", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    url.searchParams.set("ticket", ticket);
    const isFromNow = this.#since === null;
    if (!isFromNow) url.searchParams.set("since", this.#since);
    this.#socket = new WebSocket(url);
    this.#socket.onopen = () => {
      if (this.#stopped) return this.#socket.close();
      this.#failures = 0;
      this.onState(true);
      if (isFromNow) this.onGap();
    };
    this.#socket.onmessage = (message) => this.#take(JSON.parse(message.data));
    this.#socket.onclose = () => this.#comeBack();
  }

  #take(events) {
    if (this.#stopped || !events.length) return;
    this.#since = events.at(-1).seq;
    if (events.some((event) => event.type === "gap")) this.onGap();
    this.onEvents(events);
  }

  #comeBack() {
    if (this.#stopped) return;
    this.onState(false);
    if (++this.#failures >= SINCE_TRIES) this.#since = null; // another database may be there now
    const wait = RECONNECT_MS[Math.min(this.#failures, RECONNECT_MS.length) - 1];
    this.#timer = setTimeout(() => this.#open(), wait);
  }
}
