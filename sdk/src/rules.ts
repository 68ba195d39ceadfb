// Rules without code: something happens to an element, and an event is made of its `data-*` attributes.
import type { Grove, SelectorRule } from "./grove";

/** Make an event's properties of `data-*` attributes: `data-product-id` → `product_id`. */
export function propertiesOf(
  dataset: Record<string, string | undefined>,
  types: SelectorRule["types"] = {},
): Record<string, unknown> {
  const properties: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(dataset)) {
    const name = key.replace(/[A-Z]/g, (letter) => "_" + letter.toLowerCase());
    const type = types[name];
    properties[name] = type == "number" ? +value! : type == "boolean" ? value != "false" : value;
  }
  return properties;
}

export function watchRule(event: Grove["event"], { selector, event: name, on = "click", types }: SelectorRule): void {
  addEventListener(
    on,
    ({ target }) => {
      const element = (target as Element).closest?.(selector) as HTMLElement | null;
      if (element) event(name, propertiesOf(element.dataset, types));
    },
    true,
  );
}
