// The documents: listed, ticked, searched, opened, removed; and files brought in, with their progress.
// Text only ever enters the page through textContent.
"use strict";
(() => {
  const MOST = 300; // rows shown; the search finds the others
  const by = (id) => document.getElementById(id);
  const off = new Set(); // ids of documents that questions leave out
  let listed = [], watching = null, started = false, noted = "";

  const collection = new URL(location.href).searchParams.get("collection") ?? "";
  const within = (address) => window.citeWithin(address);
  // What a question is limited to: the ids of the ticked documents, or null for all of them.
  window.citeChosen = () => JSON.stringify({ collection, documents: off.size ? listed.map((d) => d.id).filter((id) => !off.has(id)) : null });

  function make(tag, attributes = {}, ...inside) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value); else made.setAttribute(name, value);
    }
    made.append(...inside);
    return made;
  }

  async function call(address, options = {}) {
    const reply = await fetch(within(address), { ...options, headers: { "X-Cite": "1" } });
    const found = await reply.json().catch(() => ({}));
    if (!reply.ok) throw new Error(found.detail || `The server answered ${reply.status}.`);
    return found;
  }

  function row(item) {
    const tick = make("input", { type: "checkbox", "aria-label": `Ask ${item.title}` });
    tick.checked = !off.has(item.id);
    tick.addEventListener("change", () => { tick.checked ? off.delete(item.id) : off.add(item.id); count(); });
    const size = item.characters > 9999 ? `${Math.round(item.characters / 1000)}k` : item.characters;
    const about = `${item.kind.slice(1)} · ${item.language} · ${item.added.slice(0, 10)}`;
    const more = `${item.source}\n${size} characters, ${item.chunks} passages, indexed ${item.added.replace("T", " ").slice(0, 16)} UTC`;
    return make("li", {}, tick,
      make("button", { class: "cite-open", title: more, onclick: () => window.citeShow({ doc: item.id, start: -1, end: -1 }) },
        make("bdi", {}, item.title), make("small", {}, about)),
      make("button", { class: "cite-remove", "aria-label": `Remove ${item.title}`, onclick: () => confirmRemoval(item) }, "✕"));
  }

  function count() {
    const all = listed.length, asked = all - listed.filter((d) => off.has(d.id)).length;
    by("cite-count").textContent = all ? `Documents (${asked === all ? all : `${asked} of ${all}`})` : "Documents: none yet. Add files to begin";
    by("cite-all").checked = asked === all;
    by("cite-all").indeterminate = asked > 0 && asked < all;
  }

  function draw() {
    const words = by("cite-filter").value.trim().toLowerCase();
    const found = listed.filter((d) => !words || `${d.title} ${d.source}`.toLowerCase().includes(words));
    const rows = found.slice(0, MOST).map(row);
    if (found.length > MOST) rows.push(make("li", {}, `${found.length - MOST} more: search for them`));
    by("cite-documents").replaceChildren(...rows);
    count();
  }

  async function refresh() {
    listed = await call("/documents");
    for (const id of [...off]) if (!listed.some((d) => d.id === id)) off.delete(id);
    if (!listed.length) by("cite-library").open = true;
    draw();
    setTimeout(suggest, 400);
  }

  function confirmRemoval(item) {
    ask("Remove a document", [make("p", {}, "Remove ", make("bdi", {}, item.title), " from the index? The file itself stays where it is.")],
      { Keep: null, Remove: () => call(`/documents/${item.id}`, { method: "DELETE" }).finally(refresh) });
  }

  // Files on their way in.
  const own = new Map(); // jobs that only this page knows: being sent, or refused

  function tell(name, message) {
    const id = `own-${own.size}`;
    own.set(id, { id, name, state: "failed", message });
    jobs([]);
  }

  async function bring(files) {
    by("cite-library").open = true;
    for (const file of files) {
      const id = `own-${own.size}`;
      own.set(id, { id, name: file.name, state: "working", stage: "sending" });
      jobs([]);
      try {
        await call(`/uploads?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
        own.delete(id);
      } catch (error) {
        own.set(id, { id, name: file.name, state: "failed", message: error.message });
      }
      watch();
    }
  }

  function jobs(fromServer) {
    const shown = [...fromServer.filter((job) => !dismissed.has(job.id)), ...own.values()];
    by("cite-jobs").replaceChildren(...shown.slice(-30).map((job) => {
      const busy = job.state === "waiting" || job.state === "working";
      const words = busy ? `${job.name}: ${job.state === "waiting" ? "waiting" : job.stage || "reading"}…` : job.message;
      const stop = () => {
        if (busy && !own.has(job.id)) call(`/uploads/${job.id}`, { method: "DELETE" }).then(watch);
        else { own.delete(job.id); dismissed.add(job.id); watch(); }
      };
      return make("li", { class: `cite-job cite-job-${job.state}` }, make("span", {}, words),
        make("button", { "aria-label": `${busy ? "Cancel" : "Dismiss"} ${job.name}`, onclick: stop }, "✕"));
    }));
  }

  const dismissed = new Set(), ended = new Set();
  async function watch() {
    clearTimeout(watching);
    const found = await call("/uploads");
    jobs(found);
    const over = found.filter((job) => job.state !== "waiting" && job.state !== "working" && !ended.has(job.id));
    over.forEach((job) => ended.add(job.id));
    if (over.length) await refresh();
    if (found.some((job) => job.state === "waiting" || job.state === "working")) watching = setTimeout(watch, 300);
  }

  // Conversations, and what people say of answers.
  async function conversations() {
    const kept = await call("/threads");
    const open = new URL(location.href).searchParams.get("thread");
    by("cite-conversations").replaceChildren(...kept.slice(0, MOST).map((thread) => {
      const address = `/threads/${encodeURIComponent(thread.id)}`;
      const link = make("a", { class: "cite-open", href: within(`/?thread=${encodeURIComponent(thread.id)}`) },
        make("bdi", {}, thread.title), make("small", {}, `${thread.turns} · ${thread.updated.slice(0, 10)}`));
      if (thread.id === open) link.setAttribute("aria-current", "page");
      return make("li", {}, link,
        make("button", { "aria-label": `Rename, export or delete ${thread.title}`, onclick: () => manage(thread, address) }, "⋯"));
    }));
  }

  function manage(thread, address) {
    const title = make("input", { type: "text", value: thread.title, maxlength: "80", "aria-label": "Title" });
    const dialog = ask("Conversation", [title,
      make("p", {}, make("a", { href: within(`${address}.md`) }, "Markdown"), " · ", make("a", { href: within(`${address}.json`) }, "JSON"))],
      { Close: null,
        Rename: () => call(`${address}?title=${encodeURIComponent(title.value)}`, { method: "PUT" }).then(conversations),
        Delete: () => call(address, { method: "DELETE" }).then(() => {
          if (new URL(location.href).searchParams.get("thread") === thread.id) location.href = within("/"); else conversations();
        }) });
    dialog.querySelector("input").select();
  }

  function ask(label, inside, choices) {
    const dialog = make("dialog", { "aria-label": label });
    const close = () => { dialog.close(); dialog.remove(); };
    dialog.append(...inside, ...Object.entries(choices).map(([name, act]) => make("button", {
      class: name === "Delete" || name === "Remove" ? "cite-danger" : "",
      onclick: () => { close(); if (act) act().catch((error) => tell(label, error.message)); } }, name)));
    dialog.addEventListener("cancel", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    return dialog;
  }

  function judge(button) {
    const asked = new URL(button.href).searchParams;
    const address = `/threads/${encodeURIComponent(asked.get("thread"))}/${asked.get("turn")}`;
    const send = (comment) => call(`${address}?${new URLSearchParams({ verdict: asked.get("verdict"), comment })}`, { method: "POST" });
    send("").then(() => {
      button.parentElement.querySelectorAll(".cite-judge").forEach((other) => other.classList.toggle("cite-chosen", other === button));
      const words = make("textarea", { rows: "3", maxlength: "2000", "aria-label": "Comment" });
      ask("Your comment", [make("p", {}, "Kept. A comment, if you like:"), words], { Close: null, Send: () => send(words.value) });
    }).catch((error) => tell("feedback", error.message));
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".cite-judge");
    if (!button) return;
    event.preventDefault();
    judge(button);
  }, true);

  // A new conversation has its address as soon as its first answer is there.
  function addressed() {
    const last = [...document.querySelectorAll(".cite-judge")].pop();
    if (!last || noted === last.href) return;
    noted = last.href;
    by("cite-suggestions").replaceChildren();
    const here = new URL(location.href), thread = new URL(last.href).searchParams.get("thread");
    if (here.searchParams.get("thread") !== thread) {
      here.searchParams.set("thread", thread);
      ["doc", "start", "end", "from", "to", "words"].forEach((name) => here.searchParams.delete(name));
      history.replaceState(null, "", here);
    }
    conversations();
  }

  // Questions to begin with, about the newest documents, while nothing was asked yet.
  async function suggest() {
    const box = by("cite-suggestions");
    if (!listed.length || document.querySelector("#cite-chat .cite-question, #cite-chat .examples:not([hidden])")) return box.replaceChildren();
    const found = await call(`/suggestions?language=${navigator.language.slice(0, 2)}`);
    if (document.querySelector("#cite-chat .cite-question")) return;
    box.replaceChildren(...found.map((question) => make("button", { dir: "auto", onclick: () => {
      const area = document.querySelector("#cite-question textarea");
      area.value = question;
      area.dispatchEvent(new Event("input", { bubbles: true }));
      box.replaceChildren();
      setTimeout(() => document.querySelector("#cite-question button.submit-button").click(), 50);
    } }, question)));
  }

  async function choosers() {
    const names = await call("/collections"), box = by("cite-collections");
    box.replaceChildren(...names.map((name) => make("option", { value: name }, name || "main")), make("option", { value: "+" }, "New…"));
    box.value = collection;
    box.addEventListener("change", () => {
      const go = (name) => { location.href = name ? `/?collection=${encodeURIComponent(name)}` : "/"; };
      if (box.value !== "+") return go(box.value);
      box.value = collection;
      const name = make("input", { type: "text", maxlength: "40", "aria-label": "Name", placeholder: "letters, digits, - and _" });
      ask("New collection", [make("p", {}, "Its documents and conversations are apart from all others."), name],
        { Close: null, Make: () => call(`/collections?name=${encodeURIComponent(name.value.trim())}`, { method: "POST" })
          .then((made) => go(made.collection)) });
    });
    document.querySelector("#cite-threads .cite-button").href = within("/");
  }

  function begin() {
    choosers();
    conversations();
    by("cite-library").open = innerWidth > 900;
    by("cite-files").addEventListener("change", (event) => { bring([...event.target.files]); event.target.value = ""; });
    by("cite-filter").addEventListener("input", draw);
    by("cite-all").addEventListener("change", (event) => {
      listed.forEach((d) => event.target.checked ? off.delete(d.id) : off.add(d.id));
      draw();
    });
    call("/uploads").then((found) => {
      found.filter((job) => job.state !== "waiting" && job.state !== "working").forEach((job) => { ended.add(job.id); dismissed.add(job.id); });
      if (found.length > ended.size) watch();
    });
    refresh();
  }

  const files = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    document.body.classList.add("cite-dropping");
  }, true);
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("cite-dropping"); });
  document.addEventListener("drop", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    event.stopPropagation();
    document.body.classList.remove("cite-dropping");
    bring([...event.dataTransfer.files]);
  }, true);

  new MutationObserver(() => {
    if (!started && by("cite-documents")) { started = true; begin(); }
    if (started) addressed();
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
