// How far down a page was scrolled: each quarter once.
import { withoutAnchor } from "./address";
import type { Grove } from "./grove";

export function watchScroll(event: Grove["event"]): void {
  let page = "";
  let depth = 0;
  addEventListener("scroll", () => {
    const now = withoutAnchor(location.href);
    if (now != page) depth = 0;
    page = now;
    // A pixel less is the end, too: browsers round.
    const seen = (100 * (scrollY + innerHeight + 1)) / document.documentElement.scrollHeight;
    while (depth < 100 && seen >= depth + 25) event("scroll_depth", { depth: (depth += 25) });
  });
}
