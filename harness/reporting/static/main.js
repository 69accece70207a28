// Which view is shown follows from the hash alone.
const main = document.getElementById("main");
const title = document.title;
const status = el("p", { class: "status", role: "status", "aria-live": "polite" });
const place2 = { scroll: 0, case: "" };
let shownCase = null;
let shownAt = "";
let tools = null;
const results = el("div");

document.querySelectorAll(".proportions span").forEach((part) => { part.style.flexGrow = part.dataset.share; });
document.querySelectorAll("#counts button").forEach((button) => button.addEventListener("click", () => {
  const chosen = new Set((state().show ?? "").split(",").filter(Boolean));
  if (!chosen.delete(button.dataset.verdict)) chosen.add(button.dataset.verdict);
  go({ show: [...chosen].join(","), case: "", check: "", impl: "", of: "", at: "" }, true);
}));

// A part of the case's page that is linked to.
const arrive = (id) => {
  shownAt = id ?? "";
  const heading = id ? main.querySelector(`h2#${CSS.escape(id)}`) : null;
  heading?.scrollIntoView();
  heading?.focus({ preventScroll: true });
};

function draw() {
  const view = state();
  const one = view.case ? byId.get(view.case) : null;
  document.body.classList.toggle("in-case", Boolean(one));
  const chosen = (view.show ?? "").split(",");
  document.querySelectorAll("#counts button").forEach((button) => button.setAttribute("aria-pressed", String(chosen.includes(button.dataset.verdict))));
  if (one) {
    const moved = shownCase !== one;
    if (moved && !shownCase) place2.scroll = scrollY;
    const focused = moved ? null : document.activeElement?.getAttribute("aria-label");
    const picked = moved ? null : document.activeElement?.dataset.of;
    main.replaceChildren(...casePage(one, view));
    document.title = `${one.short} ${one.text} · ${title}`;
    shownCase = one;
    place2.case = one.id;
    if (moved) {
      scrollTo(0, 0);
      main.querySelector("#title").focus({ preventScroll: true });
      if (view.check) main.querySelector("#panel")?.scrollIntoView({ block: "nearest" });
      arrive(view.at);
    } else if (view.at && view.at !== shownAt) arrive(view.at);
    else if (picked) main.querySelector(`[data-of="${CSS.escape(picked)}"]`)?.focus({ preventScroll: true });
    else if (focused) main.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    return;
  }
  if (view.profiles) {
    const picked = main.querySelector("#between") ? document.activeElement?.id : "title";
    const open = [...main.querySelectorAll("details.kind")].map((part) => part.open);
    main.replaceChildren(...profilesPage(view));
    main.querySelectorAll("details.kind").forEach((part, index) => { part.open = open[index] ?? false; });
    document.title = `Measured profiles · ${title}`;
    document.body.classList.add("in-case");
    shownCase = null;
    main.querySelector(`#${CSS.escape(picked || "title")}`)?.focus({ preventScroll: true });
    return;
  }
  const returned = shownCase !== null;
  shownCase = null;
  document.title = title;
  const typing = document.activeElement?.id === "search";
  if (!tools || !main.contains(tools)) {
    tools = toolsOf(view);
    main.replaceChildren(tools, status, results);
  } else if (!typing) {
    const fresh = toolsOf(view);
    const index = [...tools.querySelectorAll("input, select")].indexOf(document.activeElement);
    tools.replaceWith(fresh);
    tools = fresh;
    if (index >= 0) tools.querySelectorAll("input, select")[index].focus();
  }
  results.replaceChildren(...overview(view));
  const found = matching(view).length;
  status.textContent = view.case ? `There is no case ${view.case} in this report.` : found === CASES.length ? "" : `${plural(found, "case")} of ${CASES.length.toLocaleString("en")} shown`;
  if (returned) requestAnimationFrame(() => {
    scrollTo(0, place2.scroll);
    main.querySelector(`[data-case="${CSS.escape(place2.case)}"]`)?.focus({ preventScroll: true });
  });
}

addEventListener("hashchange", draw);
document.getElementById("home").addEventListener("click", (event) => {
  event.preventDefault();
  location.hash = "";
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName ?? "");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    const search = document.getElementById("search");
    if (search) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  } else if (event.key === "Escape" && state().profiles && !shownCase && !typing) location.hash = "";
  else if (event.key === "Escape" && shownCase) go({ case: "", check: "", impl: "", of: "", at: "" });
});
draw();
