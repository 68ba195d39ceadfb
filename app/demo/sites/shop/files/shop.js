// What the shop's pages do. Each part looks for its place on the page and does nothing where that is missing.
import { clear, count, put, read } from "/cart.js";

const CURRENCY = "USD";
const find = (selector) => document.querySelector(selector);
const money = (amount) => "$" + amount.toFixed(2);
const toNumber = (text, fallback) => (Number.isInteger(+text) && text !== "" ? +text : fallback);

/** Tell the tag of something, which may be late, blocked or switched off. */
const tell = (name, data) => {
  const say = () => window.grove?.trackEcommerce(name, data);
  if (document.readyState === "complete") say();
  else addEventListener("load", say);
};

const showCount = () => {
  const badge = find("#count");
  const goods = count(read());
  badge.textContent = goods;
  badge.hidden = !goods;
};

/** Show the lines of a cart and their sum, or that there is none; return the sum. */
const showLines = (cart) => {
  let total = 0;
  for (const line of document.querySelectorAll("[data-line]")) {
    const quantity = cart[line.dataset.line] ?? 0;
    const sum = quantity * line.dataset.price;
    total += sum;
    line.hidden = !quantity;
    line.querySelector(".line-sum").textContent = money(sum);
    const field = line.querySelector("input");
    if (field) field.value = quantity;
    else line.querySelector(".line-quantity").textContent = `× ${quantity}`;
  }
  find("#total").textContent = money(total);
  find("#filled").hidden = !count(cart);
  find("#empty").hidden = !!count(cart);
  return Math.round(total * 100) / 100;
};

const itemsOf = (cart) =>
  Object.entries(cart).map(([id, quantity]) => ({
    product_id: id,
    quantity,
    price: +find(`[data-line="${id}"]`).dataset.price,
  }));

const sellGood = () => {
  const button = find(".add-to-cart");
  const field = find("#quantity");
  field.addEventListener("input", () => {
    button.disabled = !field.checkValidity();
    button.dataset.quantity = field.value; // what the tag's rule reads
  });
  button.addEventListener("click", () => {
    const { productId, quantity } = button.dataset;
    put(productId, (read()[productId] ?? 0) + +quantity);
    showCount();
    const link = Object.assign(document.createElement("a"), { href: "/cart", textContent: "See the cart" });
    find(".said").replaceChildren("In the cart. ", link);
  });
};

const keepCart = () => {
  const change = (id, quantity) => {
    put(id, quantity);
    showLines(read());
    showCount();
  };
  for (const line of document.querySelectorAll("[data-line]")) {
    const { line: id } = line.dataset;
    line.querySelector("input").addEventListener("change", ({ target }) => change(id, toNumber(target.value, read()[id])));
    line.querySelector("button").addEventListener("click", () => change(id, 0));
  }
  showLines(read());
};

const checkOut = () => {
  const cart = read();
  const total = showLines(cart);
  if (!count(cart)) return;
  tell("checkout_start", { items: count(cart), value: total, currency: CURRENCY });
  find("#order").addEventListener("submit", (submit) => {
    submit.preventDefault();
    const order = {
      order_id: "C" + String(Math.floor(Math.random() * 1e8)).padStart(8, "0"),
      order_value: total,
      order_currency: CURRENCY,
      items: itemsOf(cart),
      payment_method: new FormData(submit.target).get("payment_method"),
    };
    sessionStorage.setItem("order", JSON.stringify({ order, cart, told: false }));
    clear();
    location.assign("/thanks");
  });
};

const giveThanks = () => {
  const kept = JSON.parse(sessionStorage.getItem("order") ?? "null");
  showLines(kept?.cart ?? {});
  if (!kept) return;
  find("#order-id").textContent = kept.order.order_id;
  if (kept.told) return; // the page was loaded again
  tell("purchase", kept.order);
  sessionStorage.setItem("order", JSON.stringify({ ...kept, told: true }));
};

const takeAddress = () => {
  const form = find("#newsletter");
  form.addEventListener("submit", (submit) => {
    submit.preventDefault();
    form.reset();
    form.querySelector(".said").textContent = "Thank you. The first letter comes with the next season.";
  });
};

const PARTS = { ".add-to-cart": sellGood, "#lines input": keepCart, "#order": checkOut, "#order-id": giveThanks, "#newsletter": takeAddress };
for (const [place, part] of Object.entries(PARTS)) if (find(place)) part();
showCount();
find("#break").addEventListener("click", () => {
  throw new Error("The kettle boiled over");
});
