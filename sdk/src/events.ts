// Puts an event together: what happened, where, and as much of by whom as may be told.
import type { Details, Grove } from "./grove";
import { identity } from "./identity";
import { redact, redactValue } from "./redaction";
import { attempt, makeId } from "./storage";
import { enqueue } from "./transport";

/** Where the visitor came from to this page: another site, or the page before in a single-page site. */
export const origin = { referrer: "" };

/** What an event of our own may say beside what anybody may: `page`, if it is not the one that is open. */
type OwnDetails = { [name in keyof Details]: Details[name] | undefined } & { page?: { url: string } };

/** Record an event. What cannot be written as JSON is left out; the page never breaks. */
export const event = (name: string, properties?: Record<string, unknown>, details?: OwnDetails | ""): void => {
  attempt(() => {
    const id = makeId();
    const page = { url: location.href, title: document.title, referrer: origin.referrer };
    const said = JSON.parse(JSON.stringify({ name, page, properties, ...details }, redactValue));
    enqueue(id, JSON.stringify({ event_id: id, occurred_at: new Date(), ...identity, ...said }));
  });
};

/** Say who this is. An e-mail address is no id: redacted, it would make one person of everybody. */
export const identify: Grove["identify"] = (userId, traits) => {
  const id = "" + userId;
  identity.user_id = redact(id) == id ? id : undefined;
  event("identify", traits);
};
