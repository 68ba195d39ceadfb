// Events that wait to be sent. Each is also an entry of localStorage of its own, so that it survives a reload and tabs
// do not overwrite each other's; what two tabs send twice has one id.
import { attempt } from "./storage";

const enum Limit {
  Waiting = 500,
  Batch = 20,
}

/** An event: where it is kept, and as JSON. It stays the same however often it is sent. */
export type Entry = [key: string, text: string];

let waiting: Entry[] = [];
let prefix: string;

/** Begin with what earlier pages could not send. */
export const open = (apiKey: string): void => {
  prefix = "grove:" + apiKey + ":";
  attempt(() => {
    for (const key in localStorage) {
      if (key.startsWith(prefix)) waiting.push([key, localStorage[key]]);
    }
  });
};

/** Have an event wait. What is kept of it for the next page may be less than what this one sends. */
export const add = (id: string, text: string, kept: string): void => {
  if (waiting.length < Limit.Waiting) {
    const key = prefix + id;
    waiting.push([key, text]);
    localStorage[key] = kept;
  }
};

/** Take the next batch out. It is still kept, until it is forgotten. */
export const take = (): Entry[] => waiting.splice(0, Limit.Batch);

export const putBack = (batch: Entry[]): void => {
  waiting = [...batch, ...waiting];
};

export const forget = (batch: Entry[]): void =>
  batch.forEach(([key]) => attempt(() => delete localStorage[key]));
