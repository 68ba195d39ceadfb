// What happens in a shop. The money of it becomes the event's amount.
import { event } from "./events";
import type { Grove } from "./grove";

/** Record an event of a shop; what is no number and a currency that is no code stay in the data alone. */
export const trackEcommerce: Grove["trackEcommerce"] = (name, data = {}) =>
  event(name, data, {
    category: "ecommerce",
    amount: ["order_value", "value", "total", "revenue", "order_total", "amount"]
      .map((name) => data[name] as number)
      .find((value) => value - parseFloat(value as never) == 0),
    currency: /^[a-z]{3}$/i.exec((data.order_currency ?? data.currency) as string)?.[0].toUpperCase(),
  });
