// How things are called and counted.

const DAY_MS = 86_400_000;
const regions = new Intl.DisplayNames(["en"], { type: "region" });

export function count(number) {
  return number.toLocaleString("en");
}

/** `people(1)` is "1 person". */
export function people(number) {
  return `${count(number)} ${number === 1 ? "person" : "people"}`;
}

export function rows(number) {
  return `${count(number)} ${number === 1 ? "row" : "rows"}`;
}

/** Calls a second, or a minute where they are few. */
export function pace(perSecond) {
  const [number, of] = perSecond < 0.95 ? [perSecond * 60, "minute"] : [perSecond, "second"];
  const shown = number.toLocaleString("en", { maximumFractionDigits: number < 10 ? 1 : 0 });
  return `${shown} ${shown === "1" ? "call" : "calls"} a ${of}`;
}

export function percent(part, whole) {
  return whole ? `${Math.round((100 * part) / whole)} %` : "–";
}

const timeOfDay = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayAndTime = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});
const dateAndTime = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});

/** A moment on the reader's own clock, as short as it can be told: "09:00", "3 Mar, 09:00", "3 Mar 2027, 09:00". */
export function moment(text, now = new Date()) {
  const at = new Date(text);
  if (at.toDateString() === now.toDateString()) return timeOfDay.format(at);
  return (Math.abs(at - now) < 300 * DAY_MS ? dayAndTime : dateAndTime).format(at);
}

/** Seconds as a person says them: "0:42", "1:02:03". */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** A time to wait, as short as it can be told: "30 s", "5 min", "24 h". */
export function span(seconds) {
  const [number, unit] = seconds < 120 ? [seconds, "s"] : seconds < 7200 ? [seconds / 60, "min"] : [seconds / 3600, "h"];
  return `${number.toLocaleString("en", { maximumFractionDigits: 1 })} ${unit}`;
}

/** The name of a region of ISO 3166; 001 is the whole world. */
export function country(region) {
  if (region === "001") return "no country";
  try {
    return regions.of(region);
  } catch {
    return region;
  }
}

export const STATUS = {
  scheduled: ["scheduled", ""],
  running: ["calling", "good"],
  paused: ["paused", "warn"],
  completed: ["completed", "done"],
  canceled: ["canceled", "bad"],
  rejected: ["nothing taken", "bad"],
};
/** Of a list: its word and its tone. */

export const HELD = {
  account_stopped: ["account stopped", "bad"],
  account_paused: ["account paused", "warn"],
  flow_paused: ["flow paused", "warn"],
};
/** What lets nobody of a list be called, whatever its status says: word and tone. */

export const LONG_WAITS = {
  trunk_down: ["trunk down", "bad"],
  no_trunk: ["no trunk", "bad"],
  starttime: null,
  calling_window: null,
  retry_wait: null,
  did_cap: null,
  trunk_cap: null,
  callee_cap: null,
  account_limit: null,
  agents_busy: null,
};
/** What lasts longer than until a call ends. A list of which all wait for these waits, or has this word and tone. */

export const CALL_STATE = {
  initiated: "dialling",
  ringing: "ringing",
  "in-progress": "talking",
};

/** [what one does, what several do, what is said before the moment when the first goes on]. */
const WAITS = {
  starttime: ["waits for its start time", "wait for their start time", "the first until"],
  calling_window: ["waits for the calling window", "wait for the calling window", "until"],
  retry_wait: ["was tried, and waits to be tried again", "were tried, and wait to be tried again", "the first at"],
  did_cps: [
    "waits for its turn: the caller numbers are at their calls a second",
    "wait for their turn: the caller numbers are at their calls a second",
    "until",
  ],
  did_channels: ["waits for a free line of the caller numbers", "wait for a free line of the caller numbers", "until"],
  did_cap: [
    "waits, as the caller numbers have made as many calls as they may for now",
    "wait, as the caller numbers have made as many calls as they may for now",
    "until",
  ],
  trunk_cps: [
    "waits for its turn: the trunk is at its calls a second",
    "wait for their turn: the trunk is at its calls a second",
    "until",
  ],
  trunk_cap: [
    "waits, as the trunk has made as many calls as it may for now",
    "wait, as the trunk has made as many calls as it may for now",
    "until",
  ],
  trunk_channels: ["waits for a free line of the trunk", "wait for a free line of the trunk", "until"],
  trunk_down: [
    "waits for the trunk, which does not answer",
    "wait for the trunk, which does not answer",
    "it is tried again at",
  ],
  no_trunk: [
    "waits for a trunk: none is set up for the flow's caller numbers",
    "wait for a trunk: none is set up for the flow's caller numbers",
    "until",
  ],
  flow_paused: [
    "waits, as the flow is paused or its listener is off",
    "wait, as the flow is paused or its listener is off",
    "until",
  ],
  list_paused: ["waits, as the list is paused", "wait, as the list is paused", "until"],
  flow_limit: ["waits for a limit of the flow", "wait for a limit of the flow", "until"],
  account_limit: ["waits for a limit of the account", "wait for a limit of the account", "until"],
  engine_limit: ["waits for a limit of the installation", "wait for a limit of the installation", "until"],
  callee_cap: [
    "was called as often as allowed for now",
    "were called as often as allowed for now",
    "the first goes on at",
  ],
  agents_busy: ["waits for a free agent", "wait for a free agent", "until"],
  account_stopped: [
    "waits, as an administrator has stopped all calls",
    "wait, as an administrator has stopped all calls",
    "until",
  ],
  account_paused: ["waits, as the account is paused", "wait, as the account is paused", "until"],
  list_canceled: ["is about to be canceled", "are about to be canceled", "until"],
};

/** "812 wait for the calling window until 09:00", and what is particular about it, a sentence of the server's. */
export function waiting(code, number, until, detail) {
  const [one, many, before] = WAITS[code] ?? [`waits (${code})`, `wait (${code})`, "until"];
  const sentence = `${count(number)} ${number === 1 ? one : many}`;
  const when = !until ? "" : before === "until" ? ` until ${moment(until)}` : `, ${before} ${moment(until)}`;
  return `${sentence}${when}${detail ? `. ${detail.replace(/\.$/, "")}` : ""}`;
}

/** What a forecast says holds calls back; null is nothing. */
export function bottleneck(code) {
  if (!code) return "nothing";
  const limits = {
    did_cps: "the calls a second of the caller numbers",
    did_channels: "the lines of the caller numbers",
    did_cap: "the caps of the caller numbers",
    trunk_cps: "the calls a second of the trunk",
    trunk_channels: "the lines of the trunk",
    trunk_cap: "the cap of the trunk",
    flow_limit: "a limit of the flow",
    account_limit: "a limit of the account",
    engine_limit: "a limit of the installation",
    no_trunk: "no trunk is set up",
    calling_window: "the calling window",
    retry_wait: "the waits before further tries",
    starttime: "the start times",
  };
  return limits[code] ?? code.replaceAll("_", " ");
}

/** When a list ends by a forecast: "About 14:05, between 13:58 and 14:20, …". */
export function ends(one) {
  if (!one.ends_at) return `No end is in sight. What stands in the way: ${bottleneck(one.bottleneck)}.`;
  const first = moment(one.earliest_at);
  const range = one.latest_at ? `between ${first} and ${moment(one.latest_at)}` : `not before ${first}`;
  return `About ${moment(one.ends_at)}, ${range}, at ${pace(one.calls_per_s)}. What holds it back most: ${bottleneck(one.bottleneck)}.`;
}

/** A code as words: "spreadsheet_damage" → "spreadsheet damage". */
export function plain(code) {
  return code.replaceAll("_", " ").replaceAll("-", " ");
}

/** What an agent does: its word and its tone. */
export const PRESENCE = {
  available: ["free", "good"],
  busy: ["has a customer", "done"],
  wrap_up: ["writes up a call", "warn"],
  away: ["away", ""],
};

/** Why an agent is away who did not ask to be. */
export const AWAY_REASON = {
  hung_up: "hung up",
  busy: "the telephone was busy",
  no_answer: "the telephone was not answered",
  restart: "the engine was started anew",
};

/** Why a number rests. */
export const REST_REASON = {
  blocked: "too many of its calls were blocked",
  answer_rate: "too few of its calls were answered",
  operator: "somebody let it rest",
};
