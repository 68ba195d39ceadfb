// What a script tag loads: options from the tag's attributes and from what a tag file says, and the global names.
import type { Options } from "./grove";
import { start } from "./start";

const { dataset, src } = document.currentScript as HTMLScriptElement;
const options: Options = { apiUrl: new URL(src).origin, more: "sdk-more.js", ...dataset, ...self.groveConfig };

self.grove = self.ecomDashAnalytics = start(options, () => {
  // A site whose policy does not let the second part in keeps what this one does.
  if (options.more) import(new URL(options.more, src) as never).catch(() => {});
});
