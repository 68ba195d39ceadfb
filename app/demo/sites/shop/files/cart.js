// What is in the cart: how many of which good. Kept in the browser, so that it survives the page.
const KEY = "cart";

export const read = () => JSON.parse(localStorage.getItem(KEY) ?? "{}");

export const put = (id, quantity) => {
  const cart = read();
  if (quantity > 0) cart[id] = Math.min(quantity, 9);
  else delete cart[id];
  localStorage.setItem(KEY, JSON.stringify(cart));
};

export const clear = () => localStorage.removeItem(KEY);

export const count = (cart) => Object.values(cart).reduce((sum, quantity) => sum + quantity, 0);
