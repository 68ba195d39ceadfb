// A corpus of what must not leave the browser, in every place where it has been seen.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isCard, redact, redactValue } from "../src/redaction";
import corpus from "./corpus.json";

const within = (frame, secret) => frame.replaceAll("{}", secret);
const digitsOf = (text) => text.replace(/%20|\D/g, "");

function grouped(card, sizes, separator) {
  const groups = [];
  let at = 0;
  for (const size of sizes) groups.push(card.slice(at, (at += size)));
  groups.push(card.slice(at));
  return groups.filter(Boolean).join(separator);
}

test("no card leaks, wherever it stands", () => {
  for (const card of corpus.cards) {
    assert.ok(isCard(card), card);
    for (const frame of [...corpus.frames, ...corpus.beside]) {
      assert.ok(!redact(within(frame, card)).includes(card), within(frame, card));
    }
  }
});

test("no card leaks, however its digits are grouped", () => {
  for (const card of corpus.cards) {
    for (const sizes of corpus.groupings) {
      for (const separator of corpus.separators) {
        const written = grouped(card, sizes, separator);
        for (const frame of [...corpus.frames, ...corpus.beside]) {
          assert.ok(!digitsOf(redact(within(frame, written))).includes(card), within(frame, written));
        }
      }
    }
  }
});

test("no e-mail address leaks, wherever it stands", () => {
  for (const email of corpus.emails) {
    const [name, host] = email.split(/@|%40/);
    for (const frame of corpus.frames) {
      const left = redact(within(frame, email));
      assert.ok(!left.includes(host), within(frame, email));
      assert.ok(name.includes("'") || !left.includes(name), within(frame, email));
    }
  }
});

test("no value of a telling parameter leaks, and what is beside it stays", () => {
  for (const [text, kept] of corpus.assigned) {
    const left = redact(text);
    assert.ok(!left.includes("S3CR3T"), left);
    assert.ok(left.includes(kept), left);
  }
});

test("no value of a telling name leaks, of whatever type it is, at whatever depth", () => {
  for (const name of corpus.named) {
    for (const value of ["S3CR3T", 53637, ["S3CR3T"], { inner: "S3CR3T" }]) {
      const left = JSON.stringify({ deep: [{ [name]: value }] }, redactValue);
      assert.equal(left, JSON.stringify({ deep: [{ [name]: "REDACTED" }] }), name);
    }
  }
});

test("whether there is such a value may be told", () => {
  const consent = { email: true, phone: false, token: null, password: "" };
  assert.deepEqual(JSON.parse(JSON.stringify(consent, redactValue)), consent);
});

test("a card leaks neither as a number nor among others", () => {
  const left = JSON.stringify({ paid: 4111111111111111, all: [1, 5555555555554444] }, redactValue);
  assert.equal(left, '{"paid":"REDACTED","all":[1,"REDACTED"]}');
});

test("ids of a shop are no cards, though they are long numbers", () => {
  const fitting = [1795261409126, 4006381334013, 4111111111111111];
  for (const id of fitting) assert.ok(isCard(`${id}`), `${id}`);
  const [id, ean] = fitting;
  const names = ["order_id", "orderId", "Order-ID", "product_id", "refundId", "payment_id", "transactionId", "item_id"];
  for (const name of [...names, "variant_id", "INVOICE_ID", "sku", "SKU", "ean", "gtin", "upc", "barcode", "bar-code"]) {
    for (const value of [id, `${id}`, ean, "1795261409122"]) {
      const said = { [name]: value, items: [{ [name]: value }], products: [{ deep: { [name]: value } }] };
      assert.deepEqual(JSON.parse(JSON.stringify(said, redactValue)), said, name);
    }
  }
});

test("of an id of a shop nothing is kept but digits, and of other names not these", () => {
  const left = (said) => JSON.parse(JSON.stringify(said, redactValue));
  for (const text of ["4111 1111 1111 1111", "4111-1111-1111-1111", "no. 4111111111111111", "ana@shop.example"]) {
    assert.ok(left({ order_id: text }).order_id.includes("REDACTED"), text);
  }
  const others = ["id", "order", "reorder_id", "order_ids", "note", "customer_id", "skus"];
  for (const name of others) assert.deepEqual(left({ [name]: 4111111111111111 }), { [name]: "REDACTED" });
  assert.deepEqual(left({ order_id: [4111111111111111] }), { order_id: ["REDACTED"] });
});

test("what is harmless stays as it is", () => {
  for (const text of corpus.harmless) assert.equal(redact(text), text);
  const numbers = { n: 1795261409123.5, price: 12.5, at: 1795261409121, no: 0, tokens_in: 12, author: "jane" };
  assert.deepEqual(JSON.parse(JSON.stringify(numbers, redactValue)), numbers);
});

test("redacting twice changes nothing", () => {
  for (const [text] of corpus.assigned) assert.equal(redact(redact(text)), redact(text));
});

test("a long text is cut between two characters, where the server would refuse it", () => {
  assert.equal(redact("🌳".repeat(3000)), "🌳".repeat(2048));
});

test("a text made to be slow is not", () => {
  const began = performance.now();
  for (const piece of ["a", "1 ", "a@", "token", "mail.", "token%", "@a.", "%20", "1%20", "key="]) {
    redact(piece.repeat(20_000));
  }
  assert.ok(performance.now() - began < 5000, `${performance.now() - began} ms`);
});
