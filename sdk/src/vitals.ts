// Web Vitals: loading (LCP), shifting (CLS), answering (INP, FID). Told once, when the page is first hidden.
import { Interactions, Shifts } from "./measures";
import type { Grove } from "./grove";

interface Shift extends PerformanceEntry {
  hadRecentInput: boolean;
  value: number;
}
interface Interaction extends PerformanceEventTiming {
  interactionId: number;
}

/** Have `take` called with all entries of a type, and return what calls it with those that are still to come. */
function observe<T extends PerformanceEntry>(type: string, take: (entry: T) => void): () => void {
  const takeAll = (entries: PerformanceEntryList) => (entries as T[]).forEach(take);
  const observer = new PerformanceObserver((list) => takeAll(list.getEntries()));
  observer.observe({ type, buffered: true, durationThreshold: 16 } as PerformanceObserverInit);
  return () => takeAll(observer.takeRecords());
}

export function watchVitals(event: Grove["event"]): void {
  // A page that was opened in the background is painted when it is looked at; and not every browser can tell.
  if (document.hidden || !window.PerformanceObserver?.supportedEntryTypes) return;
  let lcp: number | undefined;
  let fid: number | undefined;
  const shifts = new Shifts();
  const interactions = new Interactions();
  const takers: Record<string, (entry: never) => void> = {
    "largest-contentful-paint": (entry: PerformanceEntry) => (lcp = entry.startTime),
    "layout-shift": (entry: Shift) => entry.hadRecentInput || shifts.add(entry.startTime, entry.value),
    "first-input": (entry: Interaction) => {
      fid = entry.processingStart - entry.startTime;
      interactions.add(entry.interactionId, entry.duration);
    },
    event: (entry: Interaction) => interactions.add(entry.interactionId, entry.duration),
  };
  const types = PerformanceObserver.supportedEntryTypes.filter((type) => type in takers);
  let finish = types.map((type) => observe(type, takers[type]!));
  const tell = () => {
    if (!finish[0]) return;
    for (const takeRest of finish) takeRest();
    finish = [];
    event("web_vitals", { lcp, cls: types.includes("layout-shift") ? shifts.worst : undefined, inp: interactions.slow(), fid });
  };
  // In the first phase, so that it comes before what waits is handed over to the browser.
  addEventListener("visibilitychange", () => document.hidden && tell(), true);
  addEventListener("pagehide", tell, true);
}
