// How sites use the SDK; `tsc` checks that the published types allow it, and nothing else.
import { type Options, start } from "../src/grove";

const options: Options = { privacy: "balanced", rules: { track_clicks: false } };
const made = start({ ...options, apiKey: "grv_w_…", apiUrl: "https://grove.example" });
made.event("sign_up", { plan: "gold" });
made.event("donation", {}, { amount: "12.50", currency: "EUR", category: "giving" });
window.groveConfig = { select: [{ selector: ".product-card", event: "product_view", types: { price: "number" } }] };
grove.page();
grove.page("/thanks");
ecomDashAnalytics.trackEcommerce("purchase", { order_id: "o-1", order_value: 19.9, order_currency: "EUR" });
grove.identify("user-7", { plan: "gold" });
grove.identify(null);
// @ts-expect-error: without a key nothing is sent
start({ apiUrl: "https://grove.example" });
// @ts-expect-error: an event has a name
grove.event();
