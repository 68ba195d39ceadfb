// Puts the first part together, by the options of a page.
import { trackEcommerce } from "./commerce";
import { event, identify, origin } from "./events";
import type { Grove, Options } from "./grove";
import { assume } from "./identity";
import { follow, page } from "./pages";
import { connect, leave } from "./transport";

/**
 * Begin to track, unless the visitor asked not to be: then nothing is sent, and nothing kept.
 * `bringMore` gets the second part, which watches what a page does by itself.
 */
export const start = (options: Options, bringMore: (grove: Grove) => void): Grove => {
  const grove = { event, track: event, page, trackPageview: page, identify, trackEcommerce, options };
  const refused = navigator.doNotTrack == "1" || (navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl;
  assume(refused ? "" : options.privacy);
  if (!refused && options.apiKey) {
    origin.referrer = document.referrer;
    connect(options.apiUrl!, options.apiKey);
    if (options.autoTrack != "false") {
      if (options.rules?.auto_page_view != false) follow();
      bringMore(grove);
    }
    addEventListener("pagehide", leave);
    document.addEventListener("visibilitychange", () => document.hidden && leave());
  }
  return grove;
};
