// Puts the first part together, by the options of a page.
import { trackEcommerce } from "./commerce";
import { event, identify, origin, type Started } from "./events";
import type { Grove, Options } from "./grove";
import { assume } from "./identity";
import { page } from "./pages";
import { connect, leave } from "./transport";

/**
 * Begin to track, unless the visitor asked not to be: then nothing is sent, and nothing kept.
 * `bringMore` gets the second part, which watches what a page does by itself.
 */
export const start = (options: Options, bringMore: (grove: Started) => void): Grove => {
  const grove = { event, track: event, page, trackPageview: page, identify, trackEcommerce, options, origin };
  const refused = navigator.doNotTrack == "1" || (navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl;
  assume(refused ? "" : options.privacy);
  if (!refused && options.apiKey) {
    connect(options.apiUrl!, options.apiKey);
    if (options.autoTrack != "false") {
      origin.url = location.href;
      if (options.rules?.auto_page_view != false) page();
      bringMore(grove);
    }
    // Comes also when a page is left, and after whatever is told in the first phase of it.
    addEventListener("visibilitychange", () => document.hidden && leave());
  }
  return grove;
};
