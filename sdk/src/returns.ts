// A page that the browser kept in memory and shows again is opened once more, without being loaded.
import type { Grove } from "./grove";

export function watchReturns(page: Grove["page"]): void {
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted) page();
  });
}
