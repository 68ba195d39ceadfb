// Sends batches: soon after they come, again with growing pauses when that fails, and by beacon when the page is left.
import { add, type Entry, forget, open, putBack, take } from "./queue";

const enum Pause {
  Soon = 1000,
  Longest = 300_000,
  Timer = 1e9,
}
/** What a browser lets outlive the page is 64 KiB in all; a character may take three bytes. */
const enum Size {
  Lasting = 20_000,
}

let address = "";
let pause: number = Pause.Soon;
/** When to send; while that is under way, what is being sent. */
let timer: ReturnType<typeof setTimeout> | Entry | 0 | undefined;

/** Find where events are sent: what is given may be the server, its API, or the path of an SDK of before. */
export const collectionUrl = (apiUrl: string, apiKey: string): string =>
  apiUrl.replace(/(\/api\/v1(\/.*)?)?\/*$/, "/api/v1/events?key=") + apiKey;

const plan = (ms: number): void => {
  timer ||= setTimeout(send, ms);
};

const body = (batch: Entry[]): string => "[" + batch.map((entry) => entry[1]) + "]";

const send = async (): Promise<void> => {
  clearTimeout(timer as never);
  const batch = take();
  timer = batch[0];
  if (!timer) return;
  let wait = 0;
  try {
    const text = body(batch);
    // A text, and no header, so that browsers ask for no leave beforehand.
    const answer = await fetch(address, { method: "POST", body: text, credentials: "omit", keepalive: text.length < Size.Lasting });
    if (/5..|408|429/.test(answer.status as never)) throw +answer.headers.get("retry-after")! * 1000;
    forget(batch);
    pause = Pause.Soon;
  } catch (told) {
    // Requests of a page that is left fail just before it hears of that. This says nothing of the server, and such a page
    // does not live to see the next moment.
    await new Promise((next) => setTimeout(next));
    putBack(batch);
    pause = Math.min(pause * 2, Pause.Longest);
    // A quota may be gone for weeks, and a timer cannot wait that long.
    wait = Math.min(+(told as number) || pause, Pause.Timer);
  }
  timer = 0;
  plan(wait);
};

export const connect = (apiUrl: string, apiKey: string): void => {
  address = collectionUrl(apiUrl, apiKey);
  open(apiKey);
  addEventListener("online", send);
  send();
};

export const enqueue = (id: string, text: string, kept: string): void => {
  if (address) {
    plan(pause);
    add(id, text, kept);
  }
};

/** Hand over to the browser what waits. What it cannot deliver now is kept for the next page. */
export const leave = (): void => {
  const batch = take();
  if (batch[0] && navigator.onLine && pause == Pause.Soon && navigator.sendBeacon(address, body(batch))) {
    forget(batch);
    leave();
  } else putBack(batch);
};
