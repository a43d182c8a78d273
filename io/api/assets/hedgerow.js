// What every page does with scripts on. Nothing here is needed to get something done.
"use strict";
(() => {
  const each = (selector, act, root = document) => root.querySelectorAll(selector).forEach(act);

  // Moments stay true while the page is open.
  const words = (ms) => {
    const size = Math.abs(ms);
    const count = (n, one) => (n === 1 ? `1 ${one}` : `${n} ${one}s`);
    const stretch =
      size < 6e4 ? count(Math.floor(size / 1e3), "second")
      : size < 36e5 ? count(Math.floor(size / 6e4), "minute")
      : size < 1728e5 ? count(Math.floor(size / 36e5), "hour")
      : count(Math.floor(size / 864e5), "day");
    if (ms > -1e3 && ms < 2e3) return "just now";
    return ms >= 0 ? `${stretch} ago` : `in ${stretch}`;
  };
  const tell = () => {
    if (document.hidden) return;
    each("time[datetime]", (time) => {
      const text = words(Date.now() - Date.parse(time.dateTime));
      if (time.textContent !== text) time.textContent = text;
    });
  };
  setInterval(tell, 5000);

  // The theme: system, light, dark.
  const root = document.documentElement;
  const names = { system: "Theme: system", light: "Theme: light", dark: "Theme: dark" };
  each("[data-theme-switch]", (button) => {
    const show = () => { button.textContent = names[root.dataset.theme ?? "system"]; };
    button.hidden = false;
    show();
    button.addEventListener("click", () => {
      const next = { system: "light", light: "dark", dark: "system" }[root.dataset.theme ?? "system"];
      if (next === "system") delete root.dataset.theme; else root.dataset.theme = next;
      try {
        if (next === "system") localStorage.removeItem("theme"); else localStorage.setItem("theme", next);
      } catch { /* storage is off: it holds for this page */ }
      show();
      document.dispatchEvent(new Event("theme"));
    });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    document.dispatchEvent(new Event("theme"));
  });

  // `/` goes to the search; Escape leaves it.
  document.addEventListener("keydown", (event) => {
    const search = document.getElementById("search");
    if (!search) return;
    const isTyping = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape") {
      if (event.target === search) search.blur();
      each("details.more[open]", (menu) => { menu.open = false; });
    }
  });

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    }
    if (!event.target.closest("details.more")) each("details.more[open]", (menu) => { menu.open = false; });
  });
  if (navigator.clipboard) each("[data-copy]", (button) => { button.hidden = false; });

  // Ticked devices: how many, and all of them at once. The table may be swapped, so nothing is kept here.
  const boxes = () => [...document.querySelectorAll('input[form="bulk"]')];
  const count = () => {
    const [all, on] = [boxes(), boxes().filter((box) => box.checked).length];
    const said = document.getElementById("ticked");
    if (said) said.textContent = on ? `${on} of ${all.length} ticked` : "None ticked";
    each("[data-tick-all]", (button) => {
      const whole = on > 0 && on === all.length;
      button.setAttribute("aria-pressed", whole);
      button.textContent = whole ? "Untick all" : `Tick all ${all.length}`;
    });
  };
  document.addEventListener("change", (event) => { if (event.target.matches('input[form="bulk"]')) count(); });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-tick-all]");
    if (!button) return;
    const on = button.getAttribute("aria-pressed") !== "true";
    boxes().forEach((box) => { box.checked = on; });
    count();
  });

  each("form[data-submit-on-change] select", (select) => {
    select.addEventListener("change", () => select.form.requestSubmit());
  });
})();
