// Comfort only: the page reads fully without it.
(() => {
  // a gallery with several hold-outs, outcomes or splits gets a filter
  for (const gallery of document.querySelectorAll("[data-gallery]")) {
    const items = [...gallery.querySelectorAll("[data-item]")];
    const shown = gallery.querySelector("[data-shown]");
    const choices = (key) => [...new Set(items.map((item) => item.dataset[key]))];
    const words = { yes: "✓ right", no: "✗ wrong" };
    const bar = document.createElement("p");
    bar.className = "filters";
    const selects = [["holdout", "every hold-out"], ["right", "right and wrong"], ["split", "every split"]]
      .filter(([key]) => choices(key).length > 1)
      .map(([key, all]) => {
        const select = document.createElement("select");
        select.dataset.key = key;
        select.setAttribute("aria-label", all);
        select.add(new Option(all, ""));
        for (const choice of choices(key)) select.add(new Option(words[choice] ?? choice, choice));
        bar.append(select);
        return select;
      });
    const apply = () => {
      let visible = 0;
      for (const item of items) {
        item.hidden = selects.some((select) => select.value && item.dataset[select.dataset.key] !== select.value);
        if (!item.hidden) visible += 1;
      }
      shown.textContent = visible.toLocaleString("en");
      // what a filter finds must not stay folded
      for (const more of gallery.querySelectorAll("details")) more.open = selects.some((select) => select.value);
    };
    bar.addEventListener("change", apply);
    if (selects.length) shown.closest("p").after(bar);
  }
  // one sound at a time
  document.addEventListener("play", (event) => {
    for (const other of document.querySelectorAll("audio")) if (other !== event.target) other.pause();
  }, true);
  // the contents mark the section in view
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-10% 0px -80% 0px" });
  for (const section of document.querySelectorAll("section[id]")) observer.observe(section);
})();
