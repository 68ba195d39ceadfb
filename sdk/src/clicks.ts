// Clicks on what is made to be clicked on.
import type { Grove } from "./grove";

const CLICKABLE = "a,button,summary,[role=button],[type=submit]";
/** A longer text is no label; cut, it might show the half of what would have been redacted. */
const LABEL = 100;

/** Record clicks: those that stay on the site if `inside`, those that leave it if `outbound`. */
export function watchClicks(event: Grove["event"], inside: boolean, outbound: boolean): void {
  addEventListener(
    "click",
    ({ target }) => {
      const element = (target as Element).closest?.(CLICKABLE) as HTMLAnchorElement | null;
      if (!element) return;
      const leaves = element.host && element.host != location.host;
      if (!(leaves ? outbound : inside)) return;
      const text = element.textContent!.trim();
      event(leaves ? "external_link_click" : "click", {
        tag: element.localName,
        id: element.id || undefined,
        text: text && text.length <= LABEL ? text : undefined,
        href: element.getAttribute("href") || undefined,
      });
    },
    true,
  );
}
