// Puts the client's name where the page's own scripts write the product's: the title, and descriptions of the logo.
(() => {
  const { name } = document.currentScript.dataset;
  const title = Object.getOwnPropertyDescriptor(Document.prototype, "title");
  Object.defineProperty(document, "title", {
    configurable: true,
    get: () => title.get.call(document),
    set: (text) => title.set.call(document, String(text).replace(/(^| - )Grafana$/, (_, dash) => dash + name)),
  });
  const describe = (root) => {
    for (const element of root.querySelectorAll('[alt="Grafana"], [aria-label="Grafana"], [title="Grafana"]')) {
      for (const attribute of ["alt", "aria-label", "title"]) {
        if (element.getAttribute(attribute) === "Grafana") element.setAttribute(attribute, name);
      }
    }
  };
  new MutationObserver((changes) => {
    for (const change of changes) {
      for (const node of change.addedNodes) {
        if (node.nodeType === Node.ELEMENT_NODE) describe(node.parentNode || node);
      }
    }
  }).observe(document, { childList: true, subtree: true });
})();
