
"use strict";
(() => {
  const make = (tag, kind, text) => {
    const element = document.createElement(tag);
    if (kind) element.className = kind;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  // Tables: a click on a heading sorts the methods of each dataset down, up, and back to the table's own order. Methods
  // that are not ranked stay last.
  const compare = (a, b, sign) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    const difference = Number(a) - Number(b);
    return sign * (Number.isNaN(difference) ? a.localeCompare(b, "en", { numeric: true }) : difference);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const bodies = [...table.tBodies].map((body) => [body, [...body.rows].filter((row) => row.className !== "block")]);
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const sort = () => {
        const first = head.classList.contains("number") ? "descending" : "ascending";
        const second = first === "ascending" ? "descending" : "ascending";
        const now = head.getAttribute("aria-sort");
        const next = now === "none" ? first : now === first ? second : "none";
        for (const other of heads) other.setAttribute("aria-sort", other === head ? next : "none");
        const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
        const sign = next === "ascending" ? 1 : -1;
        for (const [body, rows] of bodies) {
          const last = (row) => row.hasAttribute("data-last");
          const sorted = [...rows].sort((a, b) => last(a) - last(b) || compare(key(a), key(b), sign));
          body.append(...(next === "none" ? rows : sorted));
        }
      };
      const text = head.firstElementChild;  // no <button>: browsers leave it out where they repeat a head on paper
      text.setAttribute("role", "button");
      text.tabIndex = 0;
      head.addEventListener("click", sort);
      text.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        sort();
      });
    });
  }

  const choice = (text, names, chosen, act) => {
    const label = make("label", "screen", text);
    const select = make("select");
    names.forEach((name, i) => select.add(new Option(name, String(i), i === chosen, i === chosen)));
    select.addEventListener("change", () => act(Number(select.value)));
    label.append(select);
    return label;
  };

  // Texts to copy: a button each, and for tables one button per form outside of the closed details.
  const copy = async (text, button) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {  // no clipboard in this window: through a selection
      const area = make("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    const name = button.textContent;
    button.textContent = "Copied";
    button.disabled = true;
    setTimeout(() => { button.textContent = name; button.disabled = false; }, 1200);
  };
  const copyButton = (source, name) => {
    const button = make("button", "copy screen", name);
    button.type = "button";
    button.addEventListener("click", () => copy(source.textContent, button));
    return button;
  };
  for (const details of document.querySelectorAll(".copies")) {
    const row = make("p", "buttons screen");
    for (const source of details.querySelectorAll("pre")) row.append(copyButton(source, `Copy ${source.dataset.copy}`));
    details.before(row);
    details.querySelector("summary").textContent = "The texts that are copied";
  }
  for (const source of document.querySelectorAll(".runs pre")) source.before(copyButton(source, "Copy commands"));

  // A link to a run opens what it is in.
  const open = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", open);
  open();

  // A click on a method in a legend picks it out of the figure's charts.
  for (const figure of document.querySelectorAll("figure:has(.legend)")) {
    for (const item of figure.querySelectorAll(".legend span")) {
      const button = make("button");
      button.type = "button";
      button.setAttribute("aria-pressed", "false");
      button.append(...item.childNodes);
      item.append(button);
      button.addEventListener("click", () => {
        const on = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", String(on));
        for (const path of figure.querySelectorAll(`.chart .${item.dataset.key}`)) path.classList.toggle("picked", on);
        figure.classList.toggle("picking", figure.querySelector("[aria-pressed=true]") !== null);
      });
    }
  }

  // Results by class: bars of one method, or of its difference to another.
  const data = JSON.parse(document.getElementById("data").textContent);
  const ENDS = 20;
  const bar = (list, name, from, to, value, kind, zero) => {
    const item = make("li");
    const label = make("span", "name", name);
    const track = make("span", "track");
    const fill = make("i", kind);
    label.title = name;
    track.style.setProperty("--zero", `${zero}%`);
    fill.style.left = `${from}%`;
    fill.style.width = `${Math.max(to - from, 0.3)}%`;
    track.append(fill);
    item.append(label, track, make("span", "value", value));
    list.append(item);
  };
  const draw = (group, a, b, caption) => {
    const one = group.methods[a];
    const other = b < group.methods.length ? group.methods[b] : null;
    const rows = group.classes
      .map((name, i) => [name, one.accuracy[i], other ? other.accuracy[i] : 0])
      .filter(([, x, y]) => x !== null && y !== null)
      .map(([name, x, y]) => [name, x - y])
      .sort((p, q) => q[1] - p[1] || p[0].localeCompare(q[0], "en", { numeric: true }));
    const better = rows.filter((row) => row[1] > 0.005).length;
    const worse = rows.filter((row) => row[1] < -0.005).length;
    caption.textContent = other
      ? `Accuracy by class, all seeds together: ${one.label} minus ${other.label}, in percentage points. ` +
        `${better} of ${rows.length} classes are better, ${worse} worse.`
      : `Accuracy by class, all seeds together: ${one.label}, in %.`;
    const list = make("ul", "bars");
    const high = other ? Math.max(...rows.map((row) => row[1]), 0) : 100;
    const low = other ? Math.min(...rows.map((row) => row[1]), 0) : 0;
    const place = (v) => (100 * (v - low)) / (high - low || 1);
    rows.forEach(([name, value], i) => {
      if (rows.length > 2 * ENDS + 5 && i >= ENDS && i < rows.length - ENDS) {
        if (i === ENDS) list.append(make("li", "", "")), list.lastChild.append(
          make("span", "gapline", `${rows.length - 2 * ENDS} classes between are left out`));
        return;
      }
      const text = (other && value > 0 ? "+" : "") + value.toFixed(1).replace("-", "\u2212");
      const kind = other ? (value < 0 ? "down" : "up") : `m${one.style}`;
      bar(list, name, place(Math.min(value, 0)), place(Math.max(value, 0)), text, kind, place(0));
    });
    return list;
  };
  const fill = (figure) => {
    if (figure.dataset.ready) return;
    figure.dataset.ready = "yes";
    const group = data[Number(figure.dataset.group)];
    const names = group.methods.map((method) => method.label);
    const zeroShot = group.methods.findIndex((method) => method.is_zero_shot);
    let a = names.length - 1;
    let b = a === 0 ? names.length : Math.max(zeroShot, 0);
    if (a === b) a = 0;
    const caption = figure.querySelector("figcaption");
    const show = () => {
      figure.querySelector(".bars")?.remove();
      figure.append(draw(group, a, b, caption));
    };
    figure.querySelector("noscript")?.remove();
    if (names.length > 1) {
      const controls = make("div", "screen");
      controls.append(
        choice("Method", names, a, (i) => { a = i; show(); }),
        choice("minus", [...names, "nothing"], b, (i) => { b = i; show(); }));
      figure.append(controls);
    }
    show();
  };

  // One dataset of a section at a time.
  for (const closer of document.querySelectorAll(".closer")) {
    const articles = [...closer.querySelectorAll("article")];
    const show = (chosen) => articles.forEach((article, i) => {
      article.hidden = i !== chosen;
      if (i === chosen) article.querySelectorAll(".changes").forEach(fill);
    });
    if (articles.length > 1) {
      const names = articles.map((article) => article.dataset.name);
      closer.querySelector("h3").after(choice("Dataset", names, 0, show));
    }
    show(0);
  }
})();
