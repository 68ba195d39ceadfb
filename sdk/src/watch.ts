// Puts the second part together: what a page does by itself becomes events.
import { watchClicks } from "./clicks";
import { watchErrors } from "./errors";
import { watchForms } from "./forms";
import type { Grove, TrackingRules } from "./grove";
import { watchReturns } from "./returns";
import { watchRule } from "./rules";
import { watchScroll } from "./scroll";
import { watchVitals } from "./vitals";

export function watch({ event, options, page }: Grove): void {
  const { autoTrack, rules, select = [] } = options;
  const wants = (rule: keyof TrackingRules) => autoTrack != "false" && rules?.[rule] != false;
  if (wants("auto_page_view")) watchReturns(page);
  watchClicks(event, wants("track_clicks"), wants("track_outbound"));
  if (wants("track_scroll")) watchScroll(event);
  if (wants("track_forms")) watchForms(event);
  if (wants("track_errors")) watchErrors(event);
  if (wants("web_vitals")) watchVitals(event);
  for (const rule of select) watchRule(event, rule);
}
