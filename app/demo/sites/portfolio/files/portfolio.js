// One page that shows one of its views, by the address; the tag sees the address change.
const views = [...document.querySelectorAll("[data-view]")];
const viewOf = (path) => views.find((view) => view.dataset.view === path);

/** Show the view of the present address, unless it is shown: an anchor is only jumped to. */
const show = () => {
  const wanted = viewOf(location.pathname);
  if (!wanted?.hidden) return;
  for (const view of views) view.hidden = view !== wanted;
  document.title = wanted.dataset.title;
  scrollTo(0, 0);
  wanted.querySelector("h1").focus({ preventScroll: true });
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
};

document.addEventListener("click", (click) => {
  const link = click.target.closest("a");
  const isPlain = !click.button && !click.metaKey && !click.ctrlKey && !click.shiftKey && !click.altKey;
  if (!link || !isPlain || link.origin !== location.origin || !viewOf(link.pathname)?.hidden) return;
  click.preventDefault();
  history.pushState(null, "", link.href);
  show();
});
addEventListener("popstate", show);

const form = document.getElementById("contact");
form.addEventListener("submit", (submit) => {
  submit.preventDefault();
  form.reset();
  form.querySelector(".said").textContent = "Thank you. We will be in touch.";
});
