// The page reads well without this: it only chooses a step in the graph, marks the section in view, filters items, and opens folds to print.
(() => {
  "use strict";
  const graph = document.getElementById("graph");
  if (graph) {
    const nodes = new Map([...graph.querySelectorAll(".node")].map((node) => [node.dataset.stage, node]));
    const edges = [...graph.querySelectorAll(".edge")];
    const panels = [...document.querySelectorAll("#panel > div")];
    const svg = graph.querySelector("svg");
    let chosen = null;

    // Everything upstream and downstream of one step.
    const reach = (start, from, to) => {
      const found = new Set([start]);
      for (const name of found) for (const edge of edges) if (edge.dataset[from] === name) found.add(edge.dataset[to]);
      return found;
    };
    const light = (name) => {
      svg.classList.toggle("dimmed", name !== null);
      const up = name === null ? new Set() : reach(name, "head", "tail");
      const down = name === null ? new Set() : reach(name, "tail", "head");
      for (const [key, node] of nodes) node.classList.toggle("near", up.has(key) || down.has(key));
      for (const edge of edges) {
        const { tail, head } = edge.dataset;
        edge.classList.toggle("near", (up.has(tail) && up.has(head)) || (down.has(tail) && down.has(head)));
      }
    };
    const show = (name) => {
      const id = name === null ? "" : nodes.get(name).dataset.panel;
      document.getElementById("panel").hidden = name === null;
      for (const panel of panels) panel.hidden = panel.id !== id;
    };
    const choose = (name) => {
      chosen = chosen === name ? null : name;
      for (const [key, node] of nodes) node.classList.toggle("chosen", key === chosen);
      light(chosen);
      show(chosen);
    };
    for (const [name, node] of nodes) {
      node.addEventListener("click", (event) => { event.preventDefault(); choose(name); });
      node.addEventListener("pointerenter", (event) => {
        if (event.pointerType === "mouse") { light(name); if (chosen === null) show(name); }
      });
      node.addEventListener("pointerleave", () => { light(chosen); if (chosen === null) show(null); });
    }
    const close = () => { if (chosen !== null) choose(chosen); };
    document.getElementById("panel-close").addEventListener("click", close);
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });

    const fit = document.getElementById("graph-fit");
    fit.addEventListener("click", () => {
      const on = graph.classList.toggle("fit");
      fit.setAttribute("aria-pressed", String(on));
      fit.textContent = on ? "Natural size" : "Whole graph";
    });
    // Start where the lineage starts.
    const first = graph.querySelector(".node").getBoundingClientRect();
    const frame = graph.getBoundingClientRect();
    graph.scrollLeft = first.left + first.width / 2 - frame.left - frame.width / 2;
  }

  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const [id, link] of links) {
        if (id === entry.target.id) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    }
  }, { rootMargin: "-15% 0px -75% 0px" });
  for (const id of links.keys()) watch.observe(document.getElementById(id));

  const filters = document.getElementById("item-filters");
  if (filters) {
    const fields = [...filters.querySelectorAll("[data-filter]")];
    const folds = [...document.querySelectorAll("details.items")];
    const cards = folds.flatMap((fold) => [...fold.querySelectorAll(".item")].map((card) => ({
      fold, card, text: card.textContent.toLowerCase(), answers: [...card.querySelectorAll(".answers > div")],
    })));
    const apply = () => {
      const wanted = Object.fromEntries(fields.map((field) => [field.dataset.filter, field.value]));
      const words = wanted.text.trim().toLowerCase();
      const any = Object.values(wanted).some((value) => value.trim() !== "");
      const left = new Map(folds.map((fold) => [fold, 0]));
      for (const { fold, card, text, answers } of cards) {
        const here = (!wanted.task || fold.dataset.task === wanted.task)
          && (!wanted.language || fold.dataset.language === wanted.language) && text.includes(words);
        let shown = 0;
        for (const answer of answers) {
          const fits = here && (!wanted.model || answer.dataset.model === wanted.model)
            && (!wanted.mark || answer.dataset.mark === wanted.mark);
          answer.hidden = !fits;
          shown += fits;
        }
        card.hidden = shown === 0;
        left.set(fold, left.get(fold) + (shown > 0));
      }
      let first = any;
      for (const [fold, count] of left) {
        fold.hidden = count === 0;
        if (count > 0 && first) { fold.open = true; first = false; }
      }
      const total = [...left.values()].reduce((sum, count) => sum + count, 0);
      filters.querySelector("output").textContent = `${total} of ${cards.length} items`;
    };
    filters.hidden = false;
    filters.addEventListener("input", apply);
    filters.addEventListener("submit", (event) => event.preventDefault());
    apply();
  }

  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details.language:not(.items)")) fold.open = true;
  });
})();
