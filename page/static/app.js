// The source panel: shows a whole document with the quoted words lit, from a citation's link or the page's own address.
// Text only ever enters the page through textContent.
"use strict";
(() => {
  const texts = new Map(); // document id → promise of {title, language, text, source}
  const seen = new WeakSet();
  let shown = null;

  const by = (id) => document.getElementById(id);

  // An address within the collection that this page shows.
  window.citeWithin = (address) => {
    const name = new URL(location.href).searchParams.get("collection");
    return name ? `${address}${address.includes("?") ? "&" : "?"}collection=${encodeURIComponent(name)}` : address;
  };

  function fetched(id) {
    if (!texts.has(id)) {
      texts.set(id, fetch(citeWithin(`/documents/${encodeURIComponent(id)}`)).then((reply) => {
        if (!reply.ok) throw new Error("This document is no longer indexed.");
        return reply.json();
      }).catch((error) => { texts.delete(id); throw error; }));
    }
    return texts.get(id);
  }

  function element(tag, className, content) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    made.textContent = content;
    return made;
  }

  function marked(text, place) {
    const mark = element("mark", "cite-mark", "");
    mark.id = "cite-mark";
    mark.tabIndex = -1;
    const inside = place.from >= place.start && place.to <= place.end && place.to > place.from;
    const from = inside ? place.from : place.start, to = inside ? place.to : place.start;
    mark.append(text.slice(place.start, from));
    if (to > from) mark.append(element("strong", "", text.slice(from, to)));
    mark.append(text.slice(to, place.end));
    return mark;
  }

  // A stretch of the text, with what else the chat cites of it marked lightly.
  function lightly(found, start, end) {
    const cited = [...document.querySelectorAll("a.cite-ref")].map((link) => placed(link.href))
      .filter((other) => other.doc === found.id && other.start >= start && other.end <= end && other.end > other.start)
      .sort((a, b) => a.start - b.start);
    const parts = [];
    for (const other of cited) {
      if (other.start < start) continue;
      parts.push(found.text.slice(start, other.start), element("mark", "cite-also", found.text.slice(other.start, other.end)));
      start = other.end;
    }
    return [...parts, found.text.slice(start, end)];
  }

  async function show(place, focus) {
    const target = by("cite-text");
    if (!target) return;
    let found;
    try {
      found = await fetched(place.doc);
    } catch (error) {
      const again = place.words && !place.again && await fetch(citeWithin(`/find?${new URLSearchParams({ words: place.words })}`));
      if (again && again.ok) return show({ ...place, ...await again.json(), from: -1, to: -1, again: true }, focus);
      by("cite-title").textContent = "Source";
      by("cite-place").textContent = place.words ? "This quote is no longer in the documents." : error.message;
      target.replaceChildren();
      by("cite-page").replaceChildren();
      return;
    }
    shown = place.doc;
    views(found, place);
    by("cite-title").textContent = found.title;
    const changed = place.again ? " · the document has changed since: the quote was found again by its words" : "";
    by("cite-place").textContent = `${found.source} · ${found.language}${changed}`;
    target.lang = found.language;
    const body = document.createDocumentFragment();
    if (place.end > place.start && place.end <= found.text.length) {
      body.append(...lightly(found, 0, place.start), marked(found.text, place), ...lightly(found, place.end, found.text.length));
    } else {
      body.append(...lightly(found, 0, found.text.length));
    }
    target.replaceChildren(body);
    const mark = by("cite-mark");
    if (!mark) return;
    const panel = by("cite-source");
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (focus) panel.scrollIntoView({ block: "nearest" });
    const top = mark.getBoundingClientRect().top - panel.getBoundingClientRect().top + panel.scrollTop;
    const heading = panel.querySelector("header").offsetHeight;
    const room = Math.max(0, panel.clientHeight - heading - mark.getBoundingClientRect().height);
    panel.scrollTo({ top: top - heading - room / 3, behavior: calm ? "auto" : "smooth" });
    if (focus) mark.focus({ preventScroll: true });
  }

  window.citeShow = (place) => show(place, true);

  // A PDF's own page, with the quote boxed, above its text.
  let asPage = true;
  async function views(found, place) {
    const bar = by("cite-views"), paged = found.kind === ".pdf" && found.places.length > 0;
    bar.hidden = !paged;
    by("cite-page").replaceChildren();
    if (!paged) return;
    const toggle = element("button", "", asPage ? "Hide the page" : "Show the page");
    toggle.setAttribute("aria-pressed", String(asPage));
    toggle.addEventListener("click", () => { asPage = !asPage; views(found, place); });
    bar.replaceChildren(toggle);
    if (!asPage) return;
    const quoted = place.end > place.start;
    try {
      const start = quoted ? place.start : found.places[0][0];
      const reply = await fetch(citeWithin(`/documents/${found.id}/boxes?start=${start}&end=${quoted ? place.end : start}`));
      const where = await reply.json();
      if (!reply.ok) throw new Error(where.detail);
      if (shown === found.id) turn(found, where.page, where);
    } catch (error) {
      by("cite-page").replaceChildren(element("p", "cite-label", error.message));
    }
  }

  function turn(found, page, where) {
    const pages = found.places.map(([, name]) => Number(name.replace("page ", "")));
    const at = pages.indexOf(page);
    const go = (label, step) => {
      const button = element("button", "", label);
      button.disabled = pages[at + step] === undefined;
      button.addEventListener("click", () => turn(found, pages[at + step], where));
      return button;
    };
    const head = element("p", "cite-turn", "");
    head.append(go("‹ Previous", -1), element("span", "", `page ${page}`), go("Next ›", 1));
    const sheet = element("div", "cite-sheet", "");
    const picture = element("img", "", "");
    picture.src = citeWithin(`/documents/${found.id}/pages/${page}.png`);
    picture.alt = `Page ${page} of ${found.title}`;
    picture.addEventListener("load", () => { // the quote on its page is what is looked at
      const box = sheet.querySelector(".cite-box"), panel = by("cite-source");
      if (box) panel.scrollTop += box.getBoundingClientRect().top - panel.getBoundingClientRect().top - panel.clientHeight / 3;
    });
    sheet.append(picture);
    if (page === where.page) for (const [left, top, right, bottom] of where.boxes) {
      const box = element("span", "cite-box", "");
      box.style.cssText = `left:${100 * left}%;top:${100 * top}%;width:${100 * (right - left)}%;height:${100 * (bottom - top)}%`;
      sheet.append(box);
    }
    by("cite-page").replaceChildren(head, sheet);
  }

  function placed(address) {
    const asked = new URL(address, location.href).searchParams;
    const number = (name) => Number.parseInt(asked.get(name) ?? "-1", 10);
    const range = { start: number("start"), end: number("end"), from: number("from"), to: number("to") };
    return { doc: asked.get("doc"), ...range, words: asked.get("words") ?? "" };
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a.cite-ref");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    document.querySelectorAll("a.cite-ref[aria-current]").forEach((other) => other.removeAttribute("aria-current"));
    link.setAttribute("aria-current", "true");
    show(placed(link.href), true);
  }, true);

  async function first() {
    const place = placed(location.href);
    if (place.doc) return show(place, false);
    const listed = await (await fetch(citeWithin("/documents"))).json();
    if (listed.length && !shown) await show({ doc: listed[0].id, start: -1, end: -1 }, false);
  }

  const narrow = matchMedia("(max-width: 720px)"); // as in style.css: the chat stands above the source, not beside it

  // The newest question stays at the top of the chat, so that its answer reads from the first word.
  function settle() {
    const questions = document.querySelectorAll("#cite-chat .cite-question");
    const last = questions[questions.length - 1];
    const scroller = last?.closest("[role=log]");
    if (!last || seen.has(last)) return;
    seen.add(last);
    scroller.scrollTop += last.getBoundingClientRect().top - scroller.getBoundingClientRect().top - 24;
    if (narrow.matches) by("cite-chat").scrollIntoView({ block: "start" });
  }

  // Gradio reads a message's HTML source to screen readers; its text is what they should hear.
  function label() {
    document.querySelectorAll("#cite-chat [data-testid=bot], #cite-chat [data-testid=user]").forEach((message) => {
      const name = message.dataset.testid === "bot" ? "Answer" : "Question";
      if (message.getAttribute("aria-label") !== name) message.setAttribute("aria-label", name);
    });
    document.querySelectorAll("#cite-chat .examples[role=list]").forEach((list) => { // its children are buttons, no list items
      list.removeAttribute("role");
      list.hidden = citeWithin("") !== ""; // they are about the first collection
    });
  }

  let started = false, ready = false;
  new MutationObserver(() => {
    if (!started && by("cite-text")) { started = true; first(); }
    const box = ready ? null : document.querySelector("#cite-question textarea");
    if (box) { // on a narrow screen a focused box would scroll the page, and open the keyboard
      ready = true;
      if (!narrow.matches) box.focus({ preventScroll: true });
    }
    label();
    settle();
    document.querySelectorAll(".cite-done").forEach((answer) => {
      if (seen.has(answer)) return;
      seen.add(answer);
      const link = answer.querySelector("a.cite-ref");
      if (link) show(placed(link.href), false);
    });
  }).observe(document.documentElement, { childList: true, subtree: true, attributes: true, attributeFilter: ["class"] });
})();
