"use strict";
(() => {
  // Text from manifests is only ever shown through textContent; nothing here builds markup from it.
  const data = JSON.parse(document.getElementById("data").textContent);
  const STATES = [...data.states, "unmapped"]; // existing, ready, sgl_missing, fi_missing, undecided
  const EXISTING = 0, UNMAPPED = STATES.length - 1;
  const LABEL = {
    existing: "in the dataset", ready: "ready for workloads", sgl_missing: "SGLang missing",
    fi_missing: "FlashInfer missing", undecided: "undecided", unmapped: "unmapped",
  };
  const MARK = { existing: "✓", ready: "●", sgl_missing: "▲", fi_missing: "✕", undecided: "?", unmapped: "◇" };
  const STEP = {
    existing: "It is in the dataset: nothing to do.",
    ready: "Collect workloads: FlashInfer has it and SGLang calls it.",
    sgl_missing: "Send SGLang a pull request that calls what FlashInfer has; collect workloads after that.",
    fi_missing: "File a kernel request with FlashInfer unless the notes say that it is not asked for; no workloads can be collected before it is there.",
    undecided: "Settle by hand what could not be read for certain; the notes say why.",
  };
  const WORST = [3, 2, 4, 1, 0].filter((n) => n < data.states.length); // what a cell's colour tells first

  const byId = (id) => document.getElementById(id);
  const main = byId("main");
  const controls = { q: byId("q"), family: byId("family"), sort: byId("sort") };

  /* ---- the data, prepared once ---- */

  data.kernels.forEach((kernel, number) => Object.assign(kernel, { number, needs: [], key: kernel.n.toLowerCase() }));
  data.demand.forEach((row, rank) => Object.assign(row, {
    rank, key: `${row.n} ${row.missing} ${row.why} ${row.families.join(" ")} ${row.models.map((n) => data.models[n].slug).join(" ")}`.toLowerCase(),
  }));
  for (const model of data.models) {
    model.key = `${model.slug} ${model.repo} ${model.summary}`.toLowerCase();
    model.totals = STATES.map(() => 0);
    model.families = new Map();
    for (const [number, state, layers, sizes, parts] of model.needs) {
      const kernel = data.kernels[number];
      kernel.needs.push({ model, state, layers, sizes: data.texts[sizes], parts: data.texts[parts] });
      if (!model.families.has(kernel.f)) model.families.set(kernel.f, STATES.map(() => 0));
      model.families.get(kernel.f)[state]++;
      model.totals[state]++;
    }
    model.totals[UNMAPPED] = model.unmapped.length;
    model.all = model.needs.length;
  }
  const modelBySlug = new Map(data.models.map((m) => [m.slug, m]));
  const kernelByName = new Map(data.kernels.map((k) => [k.n, k]));
  const left = (counts) => counts.reduce((sum, n) => sum + n, 0) - counts[EXISTING];
  const groupsOf = (kernel) => new Set(kernel.needs.map((need) => need.model.group)).size;

  /* ---- small helpers ---- */

  function el(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "class") node.className = value;
      else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
    return node;
  }
  // An underscore is where a long name may go on in the next line.
  const breakable = (text) => text.split(/(?<=_)/).flatMap((part, n) => (n ? [el("wbr"), part] : [part]));
  const plural = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
  const link = (text, url) => (/^https:\/\//.test(url) ? el("a", { href: url, rel: "noreferrer" }, text) : text);
  const modelUrl = (model) => `#/model/${encodeURIComponent(model.slug)}`;
  const kernelUrl = (kernel) => `#/kernel/${encodeURIComponent(kernel.n)}`;
  const chip = (state, text) => el("span", { class: `chip ${STATES[state]}` },
    el("span", { "aria-hidden": "true" }, MARK[STATES[state]]), text ?? LABEL[STATES[state]]);
  const inWords = (counts) => counts.map((n, s) => (n ? `${n} ${LABEL[STATES[s]]}` : "")).filter(Boolean).join(", ");
  const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

  /* ---- the address says what is shown ---- */

  function readAddress() {
    const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
    const [view = "", name = ""] = path.split("/").map((part) => {
      try { return decodeURIComponent(part); } catch { return part; }
    });
    const asked = new URLSearchParams(query);
    const known = (value, values) => (values.includes(value) ? value : "");
    return {
      view: view || "models", name,
      q: asked.get("q") ?? "",
      family: known(asked.get("family"), data.families),
      state: known(asked.get("state"), STATES),
      sort: asked.get("sort") ?? "",
    };
  }
  let now = readAddress();

  function show(change) {
    now = { ...now, ...change };
    const asked = new URLSearchParams();
    for (const name of ["q", "family", "state", "sort"]) if (now[name]) asked.set(name, now[name]);
    const path = now.view === "models" ? "#/" : `#/${now.view}`;
    history.replaceState(null, "", path + (asked.size ? `?${asked}` : ""));
    refresh();
  }

  /* ---- choosing and ordering ---- */

  const words = () => now.q.toLowerCase().split(/\s+/).filter(Boolean);
  const wantedState = () => STATES.indexOf(now.state);

  function modelsShown() {
    const all = words(), state = wantedState();
    return data.models.filter((model) => {
      const counts = now.family ? model.families.get(now.family) : model.totals;
      return counts && (state < 0 || counts[state] > 0) && all.every((word) => model.key.includes(word));
    });
  }
  function kernelsShown() {
    const all = words(), state = wantedState();
    return data.kernels.filter((kernel) => (!now.family || kernel.f === now.family)
      && (state < 0 || kernel.s === state) && all.every((word) => kernel.key.includes(word)));
  }
  const MODEL_ORDERS = {
    name: ["Name", (m) => m.slug],
    left: ["Most left to do", (m) => -left(m.totals)],
    done: ["Furthest along", (m) => -(m.all ? m.totals[EXISTING] / m.all : 0)],
    parts: ["Most unmapped parts", (m) => -m.totals[UNMAPPED]],
    day: ["Changed last", (m) => m.since, -1],
  };
  const KERNEL_ORDERS = {
    needed: ["Needed by most models", (k) => -k.needs.length],
    name: ["Name", (k) => k.n],
    family: ["Family", (k) => k.f],
    state: ["What it waits for", (k) => WORST.indexOf(k.s)],
    day: ["Changed last", (k) => k.since, -1],
  };
  const DEMAND_ORDERS = {
    wanted: ["Most wanted", (d) => d.rank],
    groups: ["Most model groups", (d) => -d.groups],
    models: ["Most models", (d) => -d.models.length],
    name: ["Name", (d) => d.n],
    day: ["Waiting longest", (d) => d.since || "9"],
  };
  const ORDERS = { models: [MODEL_ORDERS, "name"], kernels: [KERNEL_ORDERS, "needed"], demand: [DEMAND_ORDERS, "wanted"] };
  const ordersHere = () => ORDERS[now.view] ?? ORDERS.models;
  function order() {
    const [orders, first] = ordersHere();
    if (now.view !== "models") return orders[now.sort] ?? orders[first];
    if (now.sort.startsWith("in:")) {
      const family = now.sort.slice(3);
      return ["", (m) => (m.families.has(family) ? -left(m.families.get(family)) : 1)];
    }
    return MODEL_ORDERS[now.sort] ?? MODEL_ORDERS.name;
  }
  function sorted(items, name) {
    const [, key, sign = 1] = order();
    return items.map((item) => [key(item), name(item), item])
      .sort((a, b) => sign * compare(a[0], b[0]) || compare(a[1], b[1])).map(([, , item]) => item);
  }
  const sortName = () => now.sort || ordersHere()[1];

  function heading(label, sort, attributes = {}, direction = "descending") {
    const button = el("button", { type: "button", "data-sort": sort, title: `Sort by ${label}` }, breakable(label));
    return el("th", { scope: "col", "data-direction": direction, ...attributes }, button);
  }
  function markSorted(table) {
    for (const th of table.tHead.rows[0].cells) {
      const sort = th.querySelector("button")?.dataset.sort;
      if (sort === sortName()) th.setAttribute("aria-sort", th.dataset.direction);
      else th.removeAttribute("aria-sort");
    }
  }

  /* ---- models × families ---- */

  const MANY = data.families.length > 15; // then columns are narrow, and cells count what is left
  let grid = null;
  function makeGrid() {
    const head = el("tr", {},
      heading("Model", "name", { class: "first" }, "ascending"),
      heading("In dataset", "done", { class: "total" }),
      data.families.map((family) => heading(family, `in:${family}`, { class: "family" })),
      heading("Unmapped", "parts", { class: "parts" }),
      heading("Last change", "day", { class: "day" }));
    // Rows are laid out one by one, so that the browser leaves out those that are not in sight;
    // such rows are no table any more to a screen reader unless every part says what it is.
    const table = el("table", { class: MANY ? "grid many" : "grid", role: "grid", "aria-label": "Models and the kernel families that they need" },
      el("thead", { role: "rowgroup" }, head), el("tbody", { role: "rowgroup" }));
    for (const th of head.cells) th.setAttribute("role", "columnheader");
    head.setAttribute("role", "row");
    table.style.setProperty("--families", data.families.length);
    for (const model of data.models) model.row = gridRow(model);
    table.addEventListener("keydown", moveInGrid);
    table.addEventListener("click", (event) => openCell(event.target.closest("td")));
    table.addEventListener("focusin", (event) => { activate(event.target.closest("td, tbody th")); });
    table.addEventListener("pointerover", (event) => hint(event.target.closest("td")));
    return table;
  }
  function gridRow(model) {
    const done = model.totals[EXISTING];
    const row = el("tr", { role: "row" },
      el("th", { scope: "row", role: "rowheader", class: "first name", title: model.repo }, el("a", { href: modelUrl(model), tabindex: -1 }, model.slug)),
      el("td", { role: "gridcell", tabindex: -1, class: "total", "aria-label": `${done}/${model.all} in the dataset` }, `${done}/${model.all}`),
      data.families.map((family) => familyCell(model.families.get(family), family)),
      el("td", { role: "gridcell", tabindex: -1, class: model.totals[UNMAPPED] ? "parts unmapped" : "parts none", "aria-label": plural(model.totals[UNMAPPED], "unmapped part") }, model.totals[UNMAPPED] || ""),
      el("td", { role: "gridcell", tabindex: -1, class: "day", "aria-label": `last change ${model.since}` }, model.since));
    row.model = model;
    return row;
  }
  function familyCell(counts, family) {
    if (!counts) return el("td", { role: "gridcell", tabindex: -1, class: "none", "data-family": family, "aria-label": `${family}: not needed` });
    const total = counts.reduce((sum, n) => sum + n, 0);
    const worst = WORST.find((state) => counts[state]);
    const text = worst === EXISTING ? String(total) : MANY ? String(left(counts)) : `${counts[EXISTING]}/${total}`;
    const cell = el("td", { role: "gridcell", tabindex: -1, class: STATES[worst], "data-family": family, "aria-label": `${family} ${text}: ${inWords(counts)}` },
      el("span", { class: "mark", "aria-hidden": "true" }, MARK[STATES[worst]]), text);
    if (counts.filter(Boolean).length > 1) {
      const bar = el("i");
      bar.style.background = shares(counts, total);
      cell.append(bar);
    }
    return cell;
  }
  function shares(counts, total) {
    let at = 0;
    const stops = STATES.map((state, s) => {
      const from = at;
      at += (100 * (counts[s] ?? 0)) / total;
      return counts[s] ? `var(--${state}-ink) ${from}% ${at}%` : null;
    });
    return `linear-gradient(90deg, ${stops.filter(Boolean).join(", ")})`;
  }
  function hint(cell) {
    const row = cell?.parentElement;
    byId("hint").textContent = row?.model ? `${row.model.slug} · ${cell.getAttribute("aria-label")}` : "";
  }
  function openCell(cell) {
    const model = cell?.parentElement.model;
    if (model && !cell.classList.contains("none")) location.hash = modelUrl(model) + (cell.dataset.family ? `?family=${encodeURIComponent(cell.dataset.family)}` : "");
  }
  const stop = (cell) => cell?.querySelector("a") ?? cell;
  let active = null;
  function activate(cell) {
    if (!cell || cell === active) return;
    if (active) stop(active).tabIndex = -1;
    active = cell;
    stop(cell).tabIndex = 0;
    hint(cell.tagName === "TD" ? cell : null);
  }
  function moveInGrid(event) {
    const cell = event.target.closest("td, tbody th");
    if (!cell || event.altKey || event.metaKey) return;
    const row = cell.parentElement, rows = row.parentElement.rows;
    const y = row.sectionRowIndex, x = cell.cellIndex, end = row.cells.length - 1;
    const to = {
      ArrowUp: [y - 1, x], ArrowDown: [y + 1, x], ArrowLeft: [y, x - 1], ArrowRight: [y, x + 1],
      Home: [event.ctrlKey ? 0 : y, 0], End: [event.ctrlKey ? rows.length - 1 : y, end],
      PageUp: [Math.max(0, y - 15), x], PageDown: [Math.min(rows.length - 1, y + 15), x],
    }[event.key];
    if (event.key === "Enter" && cell.tagName === "TD") { openCell(cell); return; }
    if (!to) return;
    event.preventDefault();
    const next = rows[to[0]]?.cells[to[1]];
    if (next) { activate(next); stop(next).focus(); }
  }
  function showGrid() {
    grid ??= makeGrid();
    const models = sorted(modelsShown(), (m) => m.slug);
    place(grid.tBodies[0], models.map((m) => m.row));
    markSorted(grid);
    if (!active?.isConnected) activate(grid.tBodies[0].rows[0]?.cells[0]);
    const shown = models.length ? grid : nothing();
    if (main.firstElementChild !== shown) main.replaceChildren(shown);
    byId("status").textContent = `${models.length} of ${plural(data.models.length, "model")}`;
  }
  // Rows that stay are not touched: laying them all out again is what takes long.
  function place(body, rows) {
    const wanted = new Set(rows);
    for (const row of [...body.rows]) if (!wanted.has(row)) row.remove();
    let next = body.firstElementChild;
    for (const row of rows) {
      if (row === next) next = next.nextElementSibling;
      else body.insertBefore(row, next);
    }
  }
  const nothing = () => el("p", { class: "empty" }, "Nothing matches. Clear the filters to see everything.");

  /* ---- all kernels ---- */

  const FIRST = 300; // definitions that are listed at once; more take a click
  function showKernels(most = FIRST) {
    const kernels = sorted(kernelsShown(), (k) => k.n);
    const rest = kernels.length - most;
    const table = el("table", { class: "list", "aria-label": "Definitions" },
      el("thead", {}, el("tr", {},
        heading("Definition", "name", {}, "ascending"), heading("Family", "family", { class: "extra" }, "ascending"),
        heading("Where it stands", "state"), heading("Models", "needed", { class: "num" }),
        el("th", { scope: "col", class: "num extra" }, "Groups"), heading("Since", "day", { class: "extra" }))),
      el("tbody", {}, kernels.slice(0, most).map(kernelRow)));
    markSorted(table);
    main.replaceChildren(el("div", { class: "page wide" }, kernels.length ? table : nothing(),
      rest > 0 ? el("p", {}, el("button", { type: "button", onclick: () => showKernels(Infinity) }, `Show ${rest} more`)) : null));
    byId("status").textContent = `${kernels.length} of ${plural(data.kernels.length, "definition")}`;
  }
  function kernelRow(kernel) {
    return kernel.line ??= el("tr", {},
      el("td", {}, el("a", { class: "name", href: kernelUrl(kernel) }, breakable(kernel.n))), el("td", { class: "tight extra" }, kernel.f),
      el("td", { class: "tight" }, chip(kernel.s), kernel.trace === false ? el("span", { class: "quiet" }, " no trace template") : null),
      el("td", { class: "num" }, String(kernel.needs.length)), el("td", { class: "num extra" }, String(groupsOf(kernel))),
      el("td", { class: "tight extra" }, kernel.since));
  }

  /* ---- what is missing, by how many models it holds up ---- */

  const WAITS_FOR = { kernel: ["fi_missing", "kernel"], "trace template": ["ready", "trace template"], definition: ["unmapped", "definition"], "SGLang call": ["sgl_missing", "SGLang call"] };
  function demandShown() {
    const all = words();
    return data.demand.filter((row) => (!now.family || row.f === now.family) && all.every((word) => row.key.includes(word)));
  }
  function showDemand() {
    const rows = sorted(demandShown(), (d) => d.rank);
    const table = el("table", { class: "list", "aria-label": "What is missing" },
      el("thead", {}, el("tr", {},
        heading("Missing", "wanted", {}, "ascending"), heading("Kernel", "name", {}, "ascending"),
        el("th", { scope: "col", class: "num extra" }, "Sizes"), heading("Groups", "groups", { class: "num" }),
        heading("Models", "models", { class: "num" }), el("th", { scope: "col", class: "extra" }, "Served today by"),
        el("th", { scope: "col", class: "extra" }, "Model families"), heading("Since", "day", { class: "extra" }, "ascending"))),
      el("tbody", {}, rows.map(demandRow)));
    markSorted(table);
    main.replaceChildren(el("div", { class: "page wide" }, rows.length ? table : nothing(),
      el("p", { class: "quiet" }, "A group is a model with its quantised copies. Kernels that FlashInfer lacks come first, calls that SGLang lacks last. A star stands for a size.")));
    byId("status").textContent = `${rows.length} of ${data.demand.length} missing`;
  }
  function demandRow(row) {
    const [state, text] = WAITS_FOR[row.missing];
    const models = row.models.map((n) => data.models[n]);
    return row.line ??= el("tr", {},
      el("td", { class: "tight" }, chip(STATES.indexOf(state), text)),
      el("td", {}, el("details", {},
        el("summary", {}, row.f ? el("span", { class: "name" }, breakable(row.n)) : breakable(`${row.n}: ${row.why}`)),
        row.kernels.length ? el("p", {}, spaced(row.kernels.map((n) => el("a", { class: "name", href: kernelUrl(data.kernels[n]) }, data.kernels[n].n)))) : null,
        row.served.length ? el("p", {}, `served today by ${row.served.join(", ")}`) : null,
        el("p", {}, "for ", spaced(models.map((m) => el("a", { class: "name", href: modelUrl(m) }, m.slug)))))),
      el("td", { class: "num extra" }, row.kernels.length ? String(row.kernels.length) : ""), el("td", { class: "num" }, String(row.groups)),
      el("td", { class: "num" }, String(models.length)), el("td", { class: "extra" }, row.served.join(", ") || "not known"),
      el("td", { class: "extra" }, row.families.join(", ")), el("td", { class: "tight extra" }, row.since));
  }
  const spaced = (nodes) => nodes.flatMap((node, n) => (n ? [", ", node] : [node]));

  /* ---- one model, one kernel ---- */

  const facts = (pairs) => el("dl", { class: "facts" }, pairs.filter(([, value]) => value && value.length !== 0)
    .map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
  const page = (...parts) => {
    main.replaceChildren(el("article", { class: "page" }, parts));
    main.scrollTop = 0;
  };
  const missing = (what, name) => page(el("h2", { tabindex: -1 }, `There is no ${what} “${name}” here`), el("p", {}, el("a", { href: "#/" }, "All models")));

  function showModel(model) {
    if (!model) return missing("model", now.name);
    const needs = model.needs.filter(([number]) => !now.family || data.kernels[number].f === now.family)
      .sort((a, b) => WORST.indexOf(a[1]) - WORST.indexOf(b[1]) || a[0] - b[0]);
    page(
      el("h2", { class: "name", tabindex: -1 }, model.slug),
      el("p", {}, model.summary),
      el("p", {}, model.totals.map((n, state) => (n ? [chip(state, `${n} ${LABEL[STATES[state]]}`), " "] : null))),
      facts([
        ["Repository", [link(model.repo, model.url), model.revision ? ` at ${model.revision.slice(0, 12)}` : ""]],
        ["Served with", model.served],
        ["Same kernels", model.group !== model.repo ? model.group : ""],
        ["Last change", model.since],
        ["Read from", Object.entries(model.shas).filter(([, sha]) => sha).map(([name, sha]) => `${name} ${sha.slice(0, 12)}`).join(", ")],
      ]),
      now.family ? el("p", {}, `Only ${now.family}. `, el("a", { href: modelUrl(model) }, "Show all families")) : null,
      el("table", { class: "list" },
        el("caption", {}, plural(needs.length, "definition")),
        el("thead", {}, el("tr", {}, [["Definition"], ["Family", "extra"], ["Where it stands"], ["Used for", "extra"], ["Sizes", "extra"], ["Layers", "num"], ["Since", "extra"]].map(([t, kind]) => el("th", { scope: "col", class: kind }, t)))),
        el("tbody", {}, needs.map(([number, state, layers, sizes, parts]) => {
          const kernel = data.kernels[number];
          return el("tr", {}, el("td", {}, el("a", { class: "name", href: kernelUrl(kernel) }, breakable(kernel.n))), el("td", { class: "tight extra" }, kernel.f),
            el("td", { class: "tight" }, chip(state)), el("td", { class: "extra" }, data.texts[parts]), el("td", { class: "extra" }, data.texts[sizes] || "any"),
            el("td", { class: "num" }, layers === null ? "" : String(layers)), el("td", { class: "tight extra" }, kernel.since));
        }))),
      model.unmapped.length ? [el("h3", {}, "Parts for which no definition can be named"), el("ul", {}, model.unmapped.map(([what, why]) => el("li", {}, el("b", {}, data.texts[what]), `: ${data.texts[why]}`)))] : null,
      model.notes.length ? [el("h3", {}, "Notes"), el("ul", {}, model.notes.map((n) => el("li", {}, data.texts[n])))] : null);
    byId("status").textContent = plural(needs.length, "definition");
  }

  const yesNo = (value, yes, no) => (value === true ? yes : value === false ? no : "");
  function showKernel(kernel) {
    if (!kernel) return missing("definition", now.name);
    const state = data.states[kernel.s];
    const proofs = kernel.e.map((n) => data.evidence[n]);
    page(
      el("h2", { class: "name", tabindex: -1 }, kernel.n),
      el("p", {}, chip(kernel.s), kernel.since ? ` since ${kernel.since}` : ""),
      el("p", {}, STEP[state]),
      facts([
        ["Family", kernel.f],
        ["Axes", Object.entries(kernel.axes).map(([name, value]) => `${name} = ${value}`).join(", ")],
        ["Dataset", kernel.dataset ? [kernel.dataset, yesNo(kernel.workloads, ", with workloads", ", no workloads yet")] : "not there"],
        ["FlashInfer", { fi_supported: "has it", fi_missing: "does not have it" }[kernel.fi] ?? (state === "existing" ? "" : "undecided")],
        ["Trace template", yesNo(kernel.trace, "yes", "none")],
        ["SGLang", { sgl_integrated: "calls it", sgl_missing: "does not call it" }[kernel.sgl] ?? (state === "undecided" && kernel.fi ? "undecided" : "")],
        ["Request", kernel.request ? [link(kernel.request[0], kernel.request[1])] : ""],
        ["Notes", kernel.notes.map((n) => el("div", {}, data.texts[n]))],
      ]),
      el("table", { class: "list" },
        el("caption", {}, `Needed by ${plural(kernel.needs.length, "model")}`),
        el("thead", {}, el("tr", {}, ["Model", "Used for", "Sizes"].map((t) => el("th", { scope: "col" }, t)), el("th", { scope: "col", class: "num" }, "Layers"))),
        el("tbody", {}, kernel.needs.map((need) => el("tr", {},
          el("td", {}, el("a", { class: "name", href: modelUrl(need.model) }, need.model.slug)), el("td", {}, need.parts),
          el("td", {}, need.sizes || "any"), el("td", { class: "num" }, need.layers === null ? "" : String(need.layers)))))),
      proofs.length ? [el("h3", {}, "Where that was read"), el("ul", {}, proofs.map(([repository, place, url, lookedFor, found, note]) => el("li", {},
        `${repository}: `, link(place, url), found ? " " : " not found: ", el("code", {}, lookedFor), note ? `, ${note}` : "")))] : null);
    byId("status").textContent = plural(kernel.needs.length, "model");
  }

  /* ---- legend, controls, keys ---- */

  function totals() {
    const counts = STATES.map(() => 0);
    for (const kernel of data.kernels) counts[kernel.s]++;
    for (const model of data.models) counts[UNMAPPED] += model.unmapped.length;
    return counts;
  }
  const counted = totals();
  const chips = STATES.map((state, s) => el("button", { type: "button", class: `chip ${state}`, "aria-pressed": "false", onclick: () => show({ state: now.state === state ? "" : state }) },
    el("span", { "aria-hidden": "true" }, MARK[state]), `${counted[s]} ${LABEL[state]}`));
  byId("kernel-count").textContent = data.kernels.length;
  byId("demand-count").textContent = data.demand.length;
  controls.family.append(...data.families.map((family) => el("option", { value: family }, family)));

  function syncControls() {
    const listed = now.view in ORDERS, coloured = listed && now.view !== "demand";
    byId("controls").hidden = !listed;
    byId("legend").replaceChildren(...(coloured ? chips.filter((_, s) => counted[s] && (now.view === "models" || s !== UNMAPPED)) : []));
    chips.forEach((button, s) => button.setAttribute("aria-pressed", String(now.state === STATES[s])));
    if (controls.q.value !== now.q) controls.q.value = now.q;
    controls.family.value = now.family;
    const orders = Object.entries(ordersHere()[0]).map(([value, [label]]) => [value, label]);
    if (now.sort.startsWith("in:")) orders.push([now.sort, `Left to do in ${now.sort.slice(3)}`]);
    controls.sort.replaceChildren(...orders.map(([value, label]) => el("option", { value }, label)));
    controls.sort.value = sortName();
    byId("clear").disabled = !(now.q || now.family || now.state || now.sort);
    for (const [id, view] of [["to-models", "models"], ["to-kernels", "kernels"], ["to-demand", "demand"]]) {
      if (now.view === view) byId(id).setAttribute("aria-current", "page");
      else byId(id).removeAttribute("aria-current");
    }
  }
  const VIEWS = {
    models: showGrid, kernels: () => showKernels(), demand: showDemand,
    model: () => showModel(modelBySlug.get(now.name)), kernel: () => showKernel(kernelByName.get(now.name)),
  };
  function refresh() {
    syncControls();
    byId("hint").textContent = "";
    (VIEWS[now.view] ?? (() => missing("view", now.view)))();
    document.title = now.name ? `${now.name} · Kernel inventory` : "Kernel inventory";
  }

  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  controls.q.addEventListener("input", () => show({ q: controls.q.value }));
  controls.family.addEventListener("change", () => show({ family: controls.family.value }));
  controls.sort.addEventListener("change", () => show({ sort: controls.sort.value }));
  byId("clear").addEventListener("click", () => { show({ q: "", family: "", state: "", sort: "" }); controls.q.focus(); });
  document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
  main.addEventListener("click", (event) => {
    const sort = event.target.closest("th button")?.dataset.sort;
    if (sort) show({ sort });
  });
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !byId("controls").hidden) { event.preventDefault(); controls.q.select(); }
    else if (event.key === "Escape" && typing && controls.q.value) { event.preventDefault(); show({ q: "" }); }
    else if (event.key === "Escape" && (now.view === "model" || now.view === "kernel")) history.length > 1 ? history.back() : (location.hash = "#/");
  });
  window.addEventListener("hashchange", () => {
    now = readAddress();
    refresh();
    if (now.name) main.querySelector("h2")?.focus();
  });
  refresh();
})();
