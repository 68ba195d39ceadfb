// What happens in a shop. The money of it becomes the event's amount.
import { event } from "./events";
import type { Grove } from "./grove";

/** Record an event of a shop; a value that is no number or a currency that is no code stays in the data alone. */
export const trackEcommerce: Grove["trackEcommerce"] = (name, data = {}) =>
  event(name, data, {
    category: "ecommerce",
    amount: +(data.order_value ?? data.value)!,
    currency: /^[A-Z]{3}$/.exec("" + (data.order_currency ?? data.currency))?.[0],
  });
