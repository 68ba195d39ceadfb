// Takes out of what is sent what must not be: card numbers, e-mail addresses, and values with telling names. Pure.

export const REDACTED = "REDACTED";

const NAMES =
  "passw|pwd|secret|token(?!s)|mail|auth(?!or(?!i))|signature|credential|phone|ssn|iban|cv[cv]|jwt|sess.{0,4}id" +
  "|(?:key|pass|otp)\\b|(?:\\b|3F|26)(?:code|pin|sid|sig)\\b";
const telling = RegExp(NAMES, "i");
const assigned = RegExp(`((?:${NAMES})[\\w.%[\\]-]{0,99}?(?:"?\\s?[=:]\\s?"?|%3[AD]))[^&#\\s"]+`, "gi");
const email = /[^\s/?&#=:;,<>"'()]{1,99}(?:@|%40)[^\s/?&#=:;,<>"'()@]{1,99}\.[^\s\d/?&#=:;,<>"'().]+/gi;
const business = /^((order|product|refund|payment|transaction|item|variant|invoice)id|sku|ean|gtin|upc|barcode)$/i;
const digits = /\d(?:(?:[\s+.-]|%20){0,3}\d){12,}/g;

/** Tell by its checksum whether a row of digits may be the number of a card. */
export const isCard = (row: string): boolean => {
  let sum = 0;
  [...row].reverse().map((digit, place) => (sum += place % 2 ? (+digit * 2) % 9 || +digit : +digit));
  return sum % 10 < 1 && /^\d{13,19}$/.test(row);
};

/** Redact neighbouring groups of digits if there is a card among them, since others may stand beside it. */
const redactDigits = (found: string): string => {
  const groups = found.split(/%20|\D+/);
  return groups.some((_, first) => {
    let row = "";
    return groups.slice(first, first + 19).some((group) => isCard((row += group)));
  })
    ? REDACTED
    : found;
};

/** Redact a text, then cut it between two characters where the server would refuse it. */
export const redact = (text: string): string =>
  [...text.replace(assigned, "$1" + REDACTED).replace(email, REDACTED).replace(digits, redactDigits)]
    .slice(0, 2048)
    .join("");

/** Redact a value on its way into JSON, by what it is and by what it is called. Ids of a shop are digits, and no cards. */
export const redactValue = (name: string, value: unknown): unknown =>
  business.test(name.replace(/[\W_]/g, "")) && /^\d+$/.test(value as string)
    ? value
    : (value && value !== true && telling.test(name)) || isCard("" + value)
      ? REDACTED
      : typeof value == "string"
        ? redact(value)
        : value;
