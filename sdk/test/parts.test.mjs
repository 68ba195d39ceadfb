// The parts that need no browser: addresses, rules, and how single figures are made of many.
import assert from "node:assert/strict";
import { test } from "node:test";
import { withoutAnchor } from "../src/address";
import { Interactions, Shifts } from "../src/measures";
import { propertiesOf } from "../src/rules";
import { collectionUrl } from "../src/transport";

test("whatever address of the server is given, events go where they are collected", () => {
  for (const given of ["", "/", "/api/v1", "/api/v1/", "/api/v1/analytics", "/api/v1/analytics/", "/api/v1/events"]) {
    assert.equal(collectionUrl(`https://grove.example${given}`, "k"), "https://grove.example/api/v1/events?key=k");
  }
  assert.equal(collectionUrl("https://shop.example/grove/", "k"), "https://shop.example/grove/api/v1/events?key=k");
  assert.equal(collectionUrl("/grove", "k"), "/grove/api/v1/events?key=k");
});

test("an anchor is no page, a route behind it is", () => {
  assert.equal(withoutAnchor("https://shop.example/a?b=1#reviews"), "https://shop.example/a?b=1");
  assert.equal(withoutAnchor("https://shop.example/a#"), "https://shop.example/a");
  assert.equal(withoutAnchor("https://shop.example/#/goods"), "https://shop.example/#/goods");
  assert.equal(withoutAnchor("https://shop.example/#!goods"), "https://shop.example/#!goods");
});

test("attributes become properties by their names, and stay text unless a rule says otherwise", () => {
  const dataset = { productId: "007", price: "12.50", inStock: "", used: "false", name: undefined };
  const types = { price: "number", in_stock: "boolean", used: "boolean" };
  assert.deepEqual(propertiesOf(dataset, types), {
    product_id: "007",
    price: 12.5,
    in_stock: true,
    used: false,
    name: undefined,
  });
});

test("the worst window of shifts counts: a second apart, five seconds long", () => {
  const near = (shifts, expected) => assert.ok(Math.abs(shifts.worst - expected) < 1e-9, `${shifts.worst}`);
  const apart = new Shifts();
  apart.add(100, 0.2);
  apart.add(1200, 0.1);
  near(apart, 0.2);
  const together = new Shifts();
  together.add(100, 0.1);
  together.add(1100, 0.1);
  near(together, 0.2);
  const long = new Shifts();
  for (let at = 0; at <= 6000; at += 1000) long.add(at, 0.1);
  near(long, 0.6);
  near(new Shifts(), 0);
});

test("the longest interaction counts, but for one in fifty", () => {
  const few = new Interactions();
  few.add(0, 900);
  assert.equal(few.slow(), undefined);
  few.add(1, 40);
  few.add(1, 120);
  few.add(2, 80);
  assert.equal(few.slow(), 120);
  const many = new Interactions();
  for (let id = 1; id <= 50; id++) many.add(id, id * 10);
  assert.equal(many.slow(), 490);
});
