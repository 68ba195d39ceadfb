/** What an event carries beside its name. Names and values are redacted before they leave the browser. */
export type Properties = Record<string, unknown>;

/** Named fields of an event that are not properties. */
export interface Details {
  category?: string;
  /** Money, with `currency`. */
  amount?: number | string;
  /** ISO 4217, as in `EUR`. */
  currency?: string;
  /** The event schema that the event follows. */
  schema?: string | { name: string; version?: number };
}

/**
 * `strict`: no identifier is kept in the browser. `balanced`: one per session of a tab, in sessionStorage; half an
 * hour without an event ends it. `off`: one per browser, in localStorage. Anything else is taken as `strict`.
 */
export type Privacy = "strict" | "balanced" | "off";

/** What is tracked without being asked for; what is not named is on. */
export interface TrackingRules {
  auto_page_view?: boolean;
  track_clicks?: boolean;
  track_outbound?: boolean;
  track_scroll?: boolean;
  track_forms?: boolean;
  track_errors?: boolean;
  web_vitals?: boolean;
}

/** An event that is made of an element's `data-*` attributes whenever something happens to it. */
export interface SelectorRule {
  /** As in `.product-card`; whatever is inside belongs to it. */
  selector: string;
  /** The event's name, as in `product_view`. */
  event: string;
  /** The DOM event to listen for; `click` unless given. */
  on?: string;
  /** Properties that are no text, by their names in the event. */
  types?: Record<string, "number" | "boolean">;
}

/** The options of the script tag (`data-api-key` → `apiKey`), and those that only `groveConfig` and `start` take. */
export interface Options {
  apiKey?: string;
  /** Where Grove is; may end in `/api/v1/analytics`. The origin of the script unless given. */
  apiUrl?: string;
  /** `"false"` tracks nothing by itself. */
  autoTrack?: string;
  privacy?: Privacy | (string & {});
  rules?: TrackingRules;
  select?: SelectorRule[];
  /** Where the second part is, seen from the first; empty if it is in the same file. */
  more?: string;
}

export interface Grove {
  /** Record that something happened. */
  event(name: string, properties?: Properties, details?: Details): void;
  /** Record a page view of this page, or of another address. */
  page(url?: string): void;
  /** Say who this is, from now on and until the page is left; nothing is nobody. */
  identify(userId: string | null | undefined, traits?: Properties): void;
  /**
   * Record something of a shop. The first number among `order_value`, `value`, `total`, `revenue`, `order_total` and
   * `amount` becomes its amount, `order_currency` or `currency` its currency.
   */
  trackEcommerce(name: string, data?: Properties): void;
  /** Another name of `event`. */
  track: Grove["event"];
  /** Another name of `page`. */
  trackPageview: Grove["page"];
  /** What it was started with. */
  options: Options;
}

/** Begin to track. Call it once, where no script tag does. */
export function start(options: Options & { apiKey: string; apiUrl: string }): Grove;

declare global {
  interface Window {
    grove: Grove;
    ecomDashAnalytics: Grove;
    /** Set before the script runs: options that win over those of its tag. */
    groveConfig?: Options;
  }
  const grove: Grove;
  const ecomDashAnalytics: Grove;
}
