// Draws the panels of a built-in dashboard. The server says what each shows; this script only asks, places and draws.
"use strict";

(() => {
  const SECONDS = { s: 1, m: 60, h: 3600 };
  const panels = [...document.querySelectorAll("[data-panel]")];
  const source = document.getElementById("panels").dataset.source;
  const controls = document.getElementById("controls");
  const dates = controls.querySelector(".dates");
  let asking = null;
  let timer = 0;

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function place(panel) {
    const { x, y, w, h } = panel.dataset;
    panel.style.gridColumn = `${Number(x) + 1} / span ${w}`;
    panel.style.gridRow = `${Number(y) + 1} / span ${h}`;
  }

  // What is chosen, as it stands in the address: ?from&to&var-…&refresh.
  function chosen() {
    const query = new URLSearchParams();
    const range = controls.elements.range.value;
    const [from, to] = range ? range.split(" ") : [controls.elements.from.value, controls.elements.to.value];
    if (from) query.set("from", from);
    if (to) query.set("to", to);
    for (const field of controls.elements) {
      if (field.name.startsWith("var-")) query.set(field.name, field.value);
    }
    if (controls.elements.refresh.value) query.set("refresh", controls.elements.refresh.value);
    return query;
  }

  function choose(query) {
    const choice = (field, value) => [...field.options].some((option) => option.value === value);
    for (const [name, value] of query) {
      const field = controls.elements[name];
      if (field && (name.startsWith("var-") || name === "refresh") && choice(field, value)) field.value = value;
    }
    const from = query.get("from");
    const to = query.get("to") || "now";
    if (from) {
      const preset = `${from} ${to}`;
      const known = choice(controls.elements.range, preset);
      controls.elements.range.value = known ? preset : "";
      if (!known) {
        controls.elements.from.value = from;
        controls.elements.to.value = to;
      }
    }
    dates.hidden = controls.elements.range.value !== "";
  }

  function showMessage(body, text, bad) {
    body.replaceChildren(make("p", bad ? "message bad" : "message", text));
  }

  function showValues(body, view) {
    const list = make("dl", "values");
    for (const value of view.values) {
      const pair = make("div");
      pair.append(make("dt", "", value.name), make("dd", "", value.text));
      list.append(pair);
    }
    body.replaceChildren(list);
  }

  function showTable(body, view) {
    const rows = make("div", "rows");
    rows.tabIndex = 0;
    const table = make("table");
    const head = table.createTHead().insertRow();
    for (const header of view.headers) {
      const cell = make("th", header.number ? "number" : "", header.name);
      cell.scope = "col";
      head.append(cell);
    }
    const content = table.createTBody();
    for (const texts of view.rows) {
      const row = content.insertRow();
      texts.forEach((text, place) => {
        const cell = row.insertCell();
        cell.textContent = text;
        cell.title = text;
        if (view.headers[place].number) cell.className = "number";
      });
    }
    rows.append(table);
    body.replaceChildren(rows);
  }

  function showFigure(body, view) {
    let figure = body.querySelector(".figure");
    if (!figure) {
      figure = make("div", "figure");
      body.replaceChildren(figure);
    }
    return Plotly.react(figure, view.figure.data, view.figure.layout, {
      displayModeBar: false,
      responsive: true,
      showTips: false,
    });
  }

  async function show(panel, view) {
    const body = panel.querySelector(".body");
    if (view.view !== "figure") {
      const old = body.querySelector(".figure");
      if (old) Plotly.purge(old);
    }
    if (view.view === "figure") await showFigure(body, view);
    else if (view.view === "values") showValues(body, view);
    else if (view.view === "table") showTable(body, view);
    else showMessage(body, "Nothing in this period", false);
    panel.querySelector(".cut")?.remove();
    if (view.cut) panel.append(make("p", "cut", "There is more; these are the first rows."));
  }

  async function load(panel, query, signal) {
    panel.setAttribute("aria-busy", "true");
    const body = panel.querySelector(".body");
    try {
      const answer = await fetch(`${source}${panel.dataset.panel}?${query}`, {
        headers: { Accept: "application/json" },
        signal,
      });
      if (answer.status === 401) return window.location.reload();
      const view = await answer.json();
      if (answer.ok) await show(panel, view);
      else showMessage(body, view.errors?.[0]?.detail || view.detail || view.title, true);
    } catch (error) {
      if (signal.aborted) return undefined;
      showMessage(body, "This could not be loaded. Try again in a moment.", true);
    }
    panel.setAttribute("aria-busy", "false");
    return undefined;
  }

  async function loadAll() {
    if (asking) asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    clearTimeout(timer);
    const query = chosen();
    query.delete("refresh");
    await Promise.all(panels.map((panel) => load(panel, query, signal)));
    if (signal.aborted) return;
    const drawn = document.getElementById("drawn");
    const now = new Date().toLocaleTimeString("en-GB", { timeZone: drawn.dataset.zone });
    drawn.textContent = `Drawn at ${now}.`;
    const interval = controls.elements.refresh.value;
    if (interval) timer = setTimeout(loadAll, parseInt(interval, 10) * SECONDS[interval.slice(-1)] * 1000);
  }

  function keep() {
    const query = chosen();
    window.history.replaceState(null, "", `?${query}`);
    for (const link of document.querySelectorAll(".boards a")) link.search = `?${query}`;
  }

  controls.addEventListener("change", () => {
    const other = controls.elements.range.value === "";
    dates.hidden = !other;
    if (other && !(controls.elements.from.value && controls.elements.to.value)) return;
    keep();
    loadAll();
  });
  controls.addEventListener("submit", (event) => {
    event.preventDefault();
    loadAll();
  });
  panels.forEach(place);
  choose(new URLSearchParams(window.location.search));
  // The library comes after this script; both are deferred, so it is there when the page is.
  document.addEventListener("DOMContentLoaded", loadAll);
})();
