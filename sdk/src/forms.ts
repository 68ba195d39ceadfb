// Forms that are sent: which one, and of what was put in only fields that bear `data-grove-value`.
import type { Grove } from "./grove";

export function watchForms(event: Grove["event"]): void {
  addEventListener(
    "submit",
    ({ target }) => {
      const form = target as HTMLFormElement;
      const fields = form.querySelectorAll<HTMLInputElement>("[data-grove-value]:not([type=password])");
      const data = new FormData(form);
      const values: Record<string, unknown> = {};
      for (const { name } of fields) if (name) values[name] = data.get(name);
      // A field may be called `id` or `name`, and would then stand in place of the form's.
      event("form_submit", { form: form.getAttribute("id") || form.getAttribute("name"), values });
    },
    true,
  );
}
