// Page views, also of single-page sites: whatever changes the address but its anchor opens a page.
import { withoutAnchor } from "./address";
import { event, origin } from "./events";
import type { Grove } from "./grove";

let current = "";

export const page: Grove["page"] = (url) => event("page_view", {}, url && { page: { url } });

/** Record this page and all that are navigated to from here. */
export const follow = (): void => {
  for (const way of ["pushState", "replaceState"] as const) {
    const original = history[way];
    history[way] = function (...given) {
      original.apply(this, given);
      later();
    };
  }
  addEventListener("popstate", later);
  arrive();
};

/** Sites set the title after the address. */
const later = () => setTimeout(arrive);

const arrive = (): void => {
  const now = withoutAnchor(location.href);
  if (now == current) return;
  origin.referrer = current || origin.referrer;
  current = now;
  page();
};
