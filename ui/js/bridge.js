// Between this page's script and the Gradio component in its middle: what to do goes through a hidden
// text box and a hidden button; what happened comes back as the id of an element that only we write.
(() => {
  "use strict";
  const { t, el, state } = fn;
  const setValue = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set;
  const box = () => document.querySelector("#fn-box textarea");
  let mounted = null;
  const ready = new Promise((resolve) => { mounted = resolve; });

  // A question needs a collection, which the page has to hear of first.
  const known = new Promise((resolve) => { fn.on("collections", resolve); });

  const type = (area, text) => {
    setValue.call(area, text);
    area.dispatchEvent(new Event("input", { bubbles: true }));
  };

  // The context that goes with every question; kept up to date, because Enter in the box sends it as it is.
  const editing = { turn: "" };
  let number = 0;
  let pending = {}; // what is to be done: kept until it is sent, whatever changes meanwhile
  const sync = () => {
    const area = document.querySelector("#fn-context textarea");
    number += 1;
    if (area) type(area, JSON.stringify({ number, conversation: state.conversation, collection: state.collection, scope: state.scope, lang: state.lang, edit: editing.turn, ...pending }));
  };
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  // One after the other: Gradio's client may lose an event that is sent just as its stream for the last
  // one closes, which is a moment after the server has told what that one came to.
  let before = ready;
  let settle = () => {};
  let inflight = 0;
  const send = (what, extra = {}) => {
    inflight += 1;
    before = before.then(async () => {
      if (what === "ask") await known;
      pending = { do: what, ...extra };
      sync();
      await pause(0);
      const answer = new Promise((resolve) => { settle = resolve; });
      document.getElementById("fn-go").click();
      await pause(30);
      pending = {};
      await Promise.race([answer, pause(2000)]);
      await pause(200);
      inflight -= 1;
    });
  };
  const enter = (event) => {
    if (!inflight || event.key !== "Enter" || event.shiftKey || event.target !== box()) return;
    event.preventDefault();
    event.stopPropagation();
    const question = box().value;
    if (!question.trim()) return;
    type(box(), "");
    ask(question);
  };

  const address = (id) => (id ? `/?c=${encodeURIComponent(id)}` : "/");
  const leave = (id, push) => {
    if (push && location.pathname + location.search !== address(id)) history.pushState(null, "", address(id));
    const changed = state.conversation !== id;
    state.conversation = id;
    edit("");
    if (changed || !id) fn.emit("conversation", id);
  };
  // `stay`: in the view that is open, as when another collection is chosen among the documents.
  const open = (id, { push = true, stay = false } = {}) => {
    if (!stay) fn.show("ask");
    leave(id, push);
    document.body.classList.toggle("fn-opening", Boolean(id));
    send("open");
    if (!stay && !fn.narrow()) focus(); // a phone would bring up its keyboard
  };
  const ask = (question) => { fn.show("ask"); send("ask", { question }); };

  const edit = (turn, question = "") => {
    editing.turn = turn;
    if (turn && box()) { type(box(), question); focus(); }
    sync();
    chips();
  };

  // What the server tells: "told:CONVERSATION:TURN:STATE:COLLECTION:NUMBER".
  let told = "";
  const hear = () => {
    const said = document.querySelector("#fn-told i")?.id ?? "";
    if (!said || said === told) return;
    told = said;
    settle();
    document.body.classList.remove("fn-opening");
    const [, conversation, turn, stage, collection] = said.split(":");
    if (conversation !== state.conversation) {
      if (conversation) history.replaceState(null, "", address(conversation));
      state.conversation = conversation;
      fn.emit("conversation", conversation);
    }
    if (collection && collection !== state.collection) fn.setCollection(collection, { keep: true });
    if (stage === "done" || stage === "open") { editing.turn = ""; chips(); }
    sync();
    if (stage === "done" && turn) fn.emit("answered", { turn });
  };

  // Above the box: what the next question is limited to, or which one it replaces.
  const chips = () => {
    const place = document.getElementById("fn-chips");
    if (!place) return;
    const chip = (text, off) => el("span", { class: "fn-chip" }, el("bdi", {}, text),
      el("button", { type: "button", onclick: off }, el("span", { "aria-hidden": "true" }, "×"), el("span", { class: "fn-hidden" }, t("page.remove"))));
    place.replaceChildren(
      ...(fn.isEmpty(state.scope) ? [] : [chip(t("page.scope.only", { what: fn.scopeWords(state.scope) }), () => fn.setScope(fn.NOTHING))]),
      ...(editing.turn ? [chip(t("page.editing"), () => { edit(""); type(box(), ""); })] : []));
  };

  const focus = () => box()?.focus({ preventScroll: true });

  // Until the component is there, a plain box takes the question.
  const early = () => {
    const area = el("textarea", { id: "fn-early", rows: 1, placeholder: t("page.ask"), "aria-label": t("page.question") });
    area.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || !area.value.trim()) return;
      event.preventDefault();
      fn.ask(area.value);
      area.value = "";
    });
    document.body.append(area);
    if (!fn.narrow()) area.focus();
  };
  const take = () => {
    const area = document.getElementById("fn-early");
    const focused = document.activeElement === area;
    if (area.value) type(box(), area.value);
    area.remove();
    if (focused) focus();
  };

  const arrive = () => {
    const parts = ["#fn-go", "#fn-context textarea", "#fn-told", "#fn-chips"]; // mounted one after the other
    if (!box() || !parts.every((one) => document.querySelector(one))) return false;
    box().placeholder = t("page.ask");
    box().setAttribute("aria-label", t("page.question"));
    take();
    sync();
    chips();
    mounted();
    document.documentElement.classList.add("fn-mounted");
    new MutationObserver(hear).observe(document.getElementById("fn-told"), { subtree: true, childList: true, attributes: true });
    document.body.classList.toggle("fn-opening", Boolean(state.conversation));
    if (state.conversation) send("open");
    return true;
  };

  fn.on("ready", () => {
    early();
    document.addEventListener("keydown", enter, true);
    const watch = new MutationObserver(() => { if (arrive()) watch.disconnect(); });
    watch.observe(document.body, { subtree: true, childList: true });
    addEventListener("popstate", () => open(new URLSearchParams(location.search).get("c") ?? "", { push: false }));
  });
  for (const name of ["collection", "scope"]) fn.on(name, () => { sync(); chips(); });
  fn.on("again", ({ turn }) => send("again", { turn }));
  fn.on("edit", async ({ turn }) => edit(turn, (await fn.json(`/answers/${turn}/question`)).question));

  Object.assign(fn, { open, ask, focus });
})();
