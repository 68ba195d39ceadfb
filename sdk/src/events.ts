// Puts an event together: what happened, where, and as much of by whom as may be told.
import type { Details, Grove } from "./grove";
import { identity, keepable, renew } from "./identity";
import { redact, redactValue } from "./redaction";
import { attempt, makeId } from "./storage";
import { enqueue } from "./transport";

/** Which page was loaded, and which came before the present one in a single-page site; both parts know it. */
export const origin: { url?: string; referrer?: string } = {};

/** What the second part gets. */
export type Started = Grove & { origin: typeof origin };

/** What an event of our own may say beside what anybody may: `page`, if it is not the one that is open. */
type OwnDetails = { [name in keyof Details]: Details[name] | undefined } & { page?: { url: string } };

/** Record an event. What cannot be written as JSON is left out; the page never breaks. */
export const event = (name: string, properties?: Record<string, unknown>, details?: OwnDetails | ""): void => {
  attempt(() => {
    const id = makeId();
    renew();
    const made = {
      event_id: id,
      occurred_at: new Date(),
      ...identity,
      ...JSON.parse(
        JSON.stringify(
          {
            name,
            page: { url: location.href, title: document.title, referrer: origin.referrer || document.referrer },
            properties,
            ...details,
          },
          redactValue,
        ),
      ),
    };
    enqueue(id, JSON.stringify(made), JSON.stringify(made, keepable));
  });
};

/** Say who this is; nothing is nobody. An e-mail address is no id: redacted, it would make one person of everybody. */
export const identify: Grove["identify"] = (userId, traits) => {
  const id = "" + (userId ?? "");
  identity.user_id = (redact(id) == id && id) || undefined;
  if (id) event("identify", traits);
};
