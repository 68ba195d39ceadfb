// Says one of everything by Segment's library for Node. Environment: GROVE_URL, GROVE_KEY, SAY_AT, SAY_USER.
import { createRequire } from "node:module";

const { Analytics } = createRequire(new URL("../../sdk/", import.meta.url))("@segment/analytics-node");
const { GROVE_URL, GROVE_KEY, SAY_AT, SAY_USER } = process.env;
const analytics = new Analytics({ host: GROVE_URL, writeKey: GROVE_KEY, maxRetries: 0 });
analytics.on("error", (error) => {
  console.error(error);
  process.exitCode = 1;
});
const who = { userId: SAY_USER, timestamp: new Date(SAY_AT) };
const products = [{ product_id: "p-1", price: 49.9 }];
const page = { url: "https://shop.example/a?utm_source=mail" };

analytics.identify({ ...who, traits: { plan: "pro" } });
analytics.track({
  ...who,
  event: "Order Completed",
  properties: { order_id: "o-1", total: 49.9, currency: "eur", products },
});
analytics.page({ ...who, name: "Front", properties: page });
analytics.screen({ ...who, name: "Basket" });
analytics.group({ ...who, groupId: "g-1", traits: { seats: 3 } });
analytics.alias({ ...who, previousId: `anonymous-${SAY_USER}` });
await analytics.closeAndFlush();
