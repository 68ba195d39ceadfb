// Pages of single-page sites: whatever changes the address but its anchor opens one.
import { withoutAnchor } from "./address";
import type { Started } from "./events";

/** Record all pages that are navigated to, and the one that is open if it is another than that which was loaded. */
export function watchNavigation({ origin, page }: Started): void {
  let current = withoutAnchor(origin.url!);
  const arrive = () => {
    const now = withoutAnchor(location.href);
    if (now == current) return;
    origin.referrer = current;
    current = now;
    page();
  };
  // Sites set the title after the address.
  const later = () => setTimeout(arrive);
  for (const way of ["pushState", "replaceState"] as const) {
    const original = history[way];
    history[way] = function (...given) {
      original.apply(this, given);
      later();
    };
  }
  addEventListener("popstate", later);
  arrive();
}
