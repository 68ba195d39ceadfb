// The site's own part of its tag: which sections of the page were looked at, each once.
const watcher = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      watcher.unobserve(target);
      track("section_view", { section: target.dataset.section });
    }
  },
  { rootMargin: "0px 0px -40px" },
);
for (const section of document.querySelectorAll("[data-section]")) watcher.observe(section);
