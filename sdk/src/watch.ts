// Puts the second part together: what a page does by itself becomes events.
import { watchClicks } from "./clicks";
import { watchErrors } from "./errors";
import type { Started } from "./events";
import { watchForms } from "./forms";
import type { TrackingRules } from "./grove";
import { watchNavigation } from "./navigation";
import { watchReturns } from "./returns";
import { watchRule } from "./rules";
import { watchScroll } from "./scroll";
import { watchVitals } from "./vitals";

export function watch(grove: Started): void {
  const { event, options, page } = grove;
  const { autoTrack, rules, select = [] } = options;
  const wants = (rule: keyof TrackingRules) => autoTrack != "false" && rules?.[rule] != false;
  if (wants("auto_page_view")) {
    watchNavigation(grove);
    watchReturns(page);
  }
  watchClicks(event, wants("track_clicks"), wants("track_outbound"));
  if (wants("track_scroll")) watchScroll(event);
  if (wants("track_forms")) watchForms(event);
  if (wants("track_errors")) watchErrors(event);
  if (wants("web_vitals")) watchVitals(event);
  for (const rule of select) watchRule(event, rule);
}
