// What goes wrong in a page's scripts, up to a few per page so that a loop does not flood.
import type { Grove } from "./grove";

const MOST = 10;

export function watchErrors(event: Grove["event"]): void {
  let left = MOST;
  const report = (message: unknown, place?: Record<string, unknown>) => {
    if (left-- > 0) event("error", { message: "" + message, ...place });
  };
  addEventListener("error", ({ message, filename, lineno, colno }) =>
    report(message, { source: filename, line: lineno, column: colno }),
  );
  addEventListener("unhandledrejection", ({ reason }) => report(reason?.message || reason));
}
