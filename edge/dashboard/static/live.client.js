// @ts-check
// Keeps an open page true: polls its own address, swaps what changed in the regions marked data-live, lets the
// times tick. Everything works without it; with it nobody loses scroll, focus, an open <details> or a half-written
// justification. Served as it is: plain JavaScript, no build.
(() => {
  const POLL_MS = 2000;
  const POLL_MS_MAX = 60_000;
  const REQUEST_MS_MAX = 10_000;
  const FILTER_PAUSE_MS = 250;
  const PRESSED_MS_MAX = 5000;

  /** @typedef {{ createHTML(text: string): string }} Policy */
  /** @type {Policy | undefined} */
  // Only ever given what this very origin answered; the server has escaped it.
  const policy = /** @type {any} */ (globalThis).trustedTypes?.createPolicy("lz-live", {
    createHTML: (/** @type {string} */ text) => text,
  });

  // --- times ------------------------------------------------------------------------------------------------

  /** @param {number} ms */
  function duration(ms) {
    const length = Math.abs(ms);
    if (length < 60_000) return `${Math.floor(length / 1000)} s`;
    if (length < 90 * 60_000) return `${Math.floor(length / 60_000)} min`;
    if (length < 48 * 3_600_000) return `${Math.floor(length / 3_600_000)} h`;
    return `${Math.floor(length / 86_400_000)} d`;
  }

  /** @param {number} atMs @param {number} nowMs */
  function relative(atMs, nowMs) {
    const passed = nowMs - atMs;
    if (Math.abs(passed) < 1000) return "just now";
    return passed > 0 ? `${duration(passed)} ago` : `in ${duration(passed)}`;
  }

  const AHEAD_MS_MAX = 300_000;

  /** What has happened is not yet to come because a host's clock is a little ahead. @param {number} atMs @param {number} nowMs */
  const since = (atMs, nowMs) => relative(atMs > nowMs && atMs - nowMs <= AHEAD_MS_MAX ? nowMs : atMs, nowMs);

  const zoned = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

  /** What the server's clock is ahead of this one, so that ages are right on a machine whose clock is not. */
  let aheadMs = 0;

  function tick() {
    const now = Date.now() + aheadMs;
    for (const time of document.querySelectorAll("time[data-time]")) {
      const at = Date.parse(time.getAttribute("datetime") ?? "");
      if (Number.isNaN(at)) continue;
      const kind = time.getAttribute("data-time");
      const text =
        kind === "age"
          ? duration(Math.max(0, now - at))
          : kind === "exact"
            ? zoned.format(at)
            : kind === "until"
              ? relative(at, now)
              : since(at, now);
      if (time.textContent !== text) time.textContent = text;
      const title = zoned.format(at);
      if (time.getAttribute("title") !== title) time.setAttribute("title", title);
    }
    showFreshness();
  }

  // --- swapping ---------------------------------------------------------------------------------------------

  /** @param {Node} node */
  const keyOf = (node) =>
    node instanceof Element ? (node.getAttribute("data-key") ?? (node.id === "" ? null : node.id)) : null;

  /** @param {Node} a @param {Node} b */
  const isSame = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

  /** What the viewer did to an element stays: whether it is open, what is typed or chosen in it. */
  const VIEWERS = new Set(["open", "value", "checked", "selected", "disabled", "aria-busy"]);

  /** @param {Element} from @param {Element} to */
  function morphAttributes(from, to) {
    const keeps = (/** @type {string} */ name) =>
      VIEWERS.has(name) &&
      from.matches("details, input:not([type=hidden]), textarea, select, option, button");
    for (const { name, value } of [...to.attributes]) {
      if (!keeps(name) && from.getAttribute(name) !== value) from.setAttribute(name, value);
    }
    for (const { name } of [...from.attributes]) {
      if (!keeps(name) && !to.hasAttribute(name)) from.removeAttribute(name);
    }
  }

  /** Makes `from` like `to`, keeping every node that is still there. @param {Node} from @param {Node} to */
  function morph(from, to) {
    if (from instanceof Element && to instanceof Element) {
      if (from.isEqualNode(to)) return;
      morphAttributes(from, to);
      if (from.nodeName === "TIME" || from.nodeName === "TEXTAREA") return;
      morphChildren(from, to);
    } else if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
  }

  /** @param {Element} from @param {Element} to */
  function morphChildren(from, to) {
    /** @type {ChildNode | null} */
    let place = from.firstChild;
    for (const wanted of [...to.childNodes]) {
      /** @type {ChildNode | null} */
      let found = place;
      while (found && !isSame(found, wanted)) found = found.nextSibling;
      if (!found) {
        from.insertBefore(document.importNode(wanted, true), place);
        continue;
      }
      // Moving a node loses its focus and its scroll, so what stands before it goes instead where it can.
      if (found !== place) {
        if (keyOf(wanted) !== null && isWantedLater(place, wanted)) from.insertBefore(found, place);
        else {
          while (place && place !== found) {
            const next = place.nextSibling;
            place.remove();
            place = next;
          }
        }
      }
      morph(found, wanted);
      if (found === place) place = found.nextSibling;
    }
    while (place) {
      const next = place.nextSibling;
      place.remove();
      place = next;
    }
  }

  /** @param {ChildNode | null} node @param {ChildNode} after */
  function isWantedLater(node, after) {
    if (!node || keyOf(node) === null) return false;
    for (let next = after.nextSibling; next; next = next.nextSibling) if (isSame(node, next)) return true;
    return false;
  }

  /** @param {string} markup */
  const pageOf = (markup) =>
    new DOMParser().parseFromString(
      /** @type {any} */ (policy ? policy.createHTML(markup) : markup),
      "text/html",
    );

  /** Who is signed in, to which organisation, as what. @param {Document} page */
  const personOf = (page) => page.querySelector(".person p")?.textContent;

  /** @param {Document} next */
  function swap(next) {
    for (const region of document.querySelectorAll("[data-live]")) {
      const fresh = next.getElementById(region.id);
      if (!fresh) continue;
      morph(region, fresh);
    }
    if (next.title !== "") document.title = next.title;
    announce(next);
    tick();
  }

  // --- pressing ---------------------------------------------------------------------------------------------

  /** Resolved while nothing is pressed. */
  let released = Promise.resolve();

  document.addEventListener("pointerdown", () => {
    released = new Promise((resolve) => {
      const limit = setTimeout(up, PRESSED_MS_MAX);
      function up() {
        clearTimeout(limit);
        for (const type of ["pointerup", "pointercancel"]) document.removeEventListener(type, up, true);
        // The click comes right behind.
        setTimeout(resolve, 0);
      }
      for (const type of ["pointerup", "pointercancel"]) document.addEventListener(type, up, true);
    });
  });

  let announced = document.querySelector("#verdict-title, [data-state] .badge")?.textContent?.trim() ?? "";

  /** The one sentence that matters is read out when it changes, and nothing else. @param {Document} next */
  function announce(next) {
    const sentence = next.querySelector("#verdict-title, [data-state] .badge")?.textContent?.trim() ?? "";
    if (sentence !== announced && sentence !== "") say(sentence);
    announced = sentence;
  }

  // --- polling ----------------------------------------------------------------------------------------------

  const box = document.getElementById("freshness");
  const line = document.getElementById("freshness-text");
  const status = document.getElementById("freshness-status");
  let readAtMs = Date.now();
  let failures = 0;
  let filtering = false;
  let ended = "";
  /** @type {string | null} */
  let tag = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {AbortController | undefined} */
  let asking;

  /** @param {string} text */
  function say(text) {
    if (status && status.textContent !== text) status.textContent = text;
  }

  function showFreshness() {
    if (!box || !line) return;
    const age = duration(Date.now() - readAtMs);
    const state = ended !== "" ? "ended" : failures > 1 ? "lost" : "live";
    box.setAttribute("data-state", state);
    const text =
      state === "ended"
        ? ended
        : state === "lost"
          ? `Connection lost. This is from ${age} ago`
          : `Live, read ${age} ago`;
    if (line.textContent !== text) line.textContent = text;
    if (state !== "live") say(state === "lost" ? "Connection lost" : ended);
    else if (status?.textContent === "Connection lost") say("Connected again");
  }

  /** Asks no more, and says why and where to go on. @param {string} why @param {string} href @param {string} onward */
  function stop(why, href, onward) {
    markBusy(false);
    ended = why;
    const link = document.createElement("a");
    link.href = href;
    link.textContent = onward;
    showFreshness();
    box?.querySelector("p")?.append(" ", link);
  }

  /** @param {number} answered */
  function end(answered) {
    if (answered !== 401) return stop("This page is no longer there.", "/", "To the overview");
    const back = document.body.dataset.poll ?? location.pathname + location.search;
    stop("Your session has ended.", `/sign-in?return=${encodeURIComponent(back)}`, "Sign in again");
  }

  const RELOADED = "lz-reloaded";

  /** Whether somebody typed or chose something in it. A filter does not count: the address holds it. @param {Element} field */
  function isTouched(field) {
    if (field instanceof HTMLTextAreaElement) return field.value !== field.defaultValue;
    if (!(field instanceof HTMLInputElement) || field.form?.matches("[data-filter]")) return false;
    return /^(checkbox|radio)$/.test(field.type)
      ? field.checked !== field.defaultChecked
      : field.value !== field.defaultValue;
  }

  /** Nothing half-written would be lost, and it was not tried a moment ago. */
  function mayLeave() {
    if ([...document.querySelectorAll("textarea, input:not([type=hidden])")].some(isTouched)) return false;
    const last = Number(sessionStorage.getItem(RELOADED) ?? 0);
    if (Date.now() - last < 30_000) return false;
    sessionStorage.setItem(RELOADED, String(Date.now()));
    return true;
  }

  /** In another window somebody signed in otherwise: nothing of theirs is shown under the name of before. */
  function leave() {
    if (mayLeave()) return location.reload();
    stop("You are signed in otherwise now. This is from before.", location.href, "Load it again");
  }

  async function poll() {
    clearTimeout(timer);
    asking?.abort();
    const own = new AbortController();
    asking = own;
    const limit = setTimeout(() => own.abort(), REQUEST_MS_MAX);
    try {
      const response = await fetch(document.body.dataset.poll ?? location.pathname + location.search, {
        headers: { accept: "text/html", "x-lz-live": "1", ...(tag !== null && { "if-none-match": tag }) },
        credentials: "same-origin",
        cache: "no-store",
        redirect: "error",
        signal: own.signal,
      });
      if (asking !== own) return;
      if (response.status === 401 && response.headers.has("x-lz-expired") && mayLeave()) {
        // The token is old and the session may be good: the page itself is sent round and comes back.
        location.reload();
        return;
      }
      if ([401, 403, 404].includes(response.status)) return end(response.status);
      if (response.status !== 304) {
        if (!response.ok) throw new Error(`answered ${response.status}`);
        const markup = await response.text();
        if (asking !== own) return;
        const date = Date.parse(response.headers.get("date") ?? "");
        if (Math.abs(date - Date.now()) > 5000) aheadMs = date - Date.now();
        const next = pageOf(markup);
        if (personOf(next) !== personOf(document)) return leave();
        // A row that comes in above would move away what is being pressed, and the click would meet nothing.
        await released;
        if (asking !== own) return;
        tag = response.headers.get("etag");
        swap(next);
      }
      if (filtering) showFiltered();
      readAtMs = Date.now();
      failures = 0;
    } catch {
      if (asking !== own) return; // a newer question took its place
      failures++;
      // A page that is not live asks once: what is shown is then all there will be.
      if (!box) markBusy(false);
    } finally {
      clearTimeout(limit);
    }
    showFreshness();
    plan();
  }

  function plan() {
    clearTimeout(timer);
    if (!box || ended !== "" || document.visibilityState === "hidden") return;
    const wait = Math.min(POLL_MS * 2 ** failures, POLL_MS_MAX);
    timer = setTimeout(poll, wait * (0.9 + Math.random() * 0.2));
  }

  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") {
      keepSession();
      if (box && ended === "") void poll();
    } else clearTimeout(timer);
  });
  globalThis.addEventListener("online", () => box && ended === "" && void poll());

  // --- session ----------------------------------------------------------------------------------------------

  const RENEW_BEFORE_MS = 15_000;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let sessionTimer;
  let renewing = false;

  /** When the session's token ends, where it is one that is renewed; 0 else. */
  const sessionUntilMs = () => Number(/(?:^|; )lz_until=(\d+)/.exec(document.cookie)?.[1] ?? 0) * 1000;

  /** Renews the session in a frame before it ends: nobody is sent away from what they read or write. */
  function keepSession() {
    clearTimeout(sessionTimer);
    const until = sessionUntilMs();
    if (until === 0 || ended !== "" || document.visibilityState === "hidden") return;
    const wait = until - (Date.now() + aheadMs) - RENEW_BEFORE_MS;
    if (wait > 0) {
      sessionTimer = setTimeout(keepSession, wait);
      return;
    }
    if (renewing) return;
    renewing = true;
    const frame = document.createElement("iframe");
    frame.hidden = true;
    frame.src = "/session";
    frame.addEventListener("load", () => {
      frame.remove();
      renewing = false;
      // Not renewed: tried again in a while; what the next poll is refused with tells the rest.
      sessionTimer = setTimeout(keepSession, sessionUntilMs() > until ? 0 : 5000);
    });
    document.body.append(frame);
  }

  // --- forms ------------------------------------------------------------------------------------------------

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let filterTimer;

  /** What is shown is not yet of the filter: seen and told, until it is. @param {boolean} busy */
  function markBusy(busy) {
    filtering = busy;
    for (const region of document.querySelectorAll("section[data-live]")) {
      if (busy) region.setAttribute("aria-busy", "true");
      else region.removeAttribute("aria-busy");
    }
  }

  /** The list is of the filter now: how many there are is read out. */
  function showFiltered() {
    markBusy(false);
    const counts = document.querySelectorAll("section[data-live] .count, section[data-live] .empty-title");
    say([...counts].map((count) => count.textContent?.trim()).join(", "));
  }

  /** The list follows the filter while it is typed; the address follows too, so it can be shared. @param {HTMLFormElement} form */
  function filter(form) {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value !== "") query.set(name, String(value));
    const search = query.toString();
    history.replaceState(null, "", search === "" ? form.action : `${form.action}?${search}`);
    tag = null;
    markBusy(true);
    void poll();
  }

  document.addEventListener("input", (event) => {
    const form = event.target instanceof Element ? event.target.closest("form[data-filter]") : null;
    if (!(form instanceof HTMLFormElement)) return;
    clearTimeout(filterTimer);
    filterTimer = setTimeout(() => filter(form), FILTER_PAUSE_MS);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement)) return;
    if (form.matches("[data-filter]")) {
      event.preventDefault();
      clearTimeout(filterTimer);
      filter(form);
    } else if (form.matches("[data-once]")) {
      // The server makes one record of a double submit; this only spares the second request.
      const button = form.querySelector("button[type=submit]");
      if (button instanceof HTMLButtonElement) {
        button.setAttribute("aria-busy", "true");
        setTimeout(() => {
          button.disabled = true;
        }, 0);
      }
    }
  });
  // A page that comes back from the history is asked again, and its buttons work again.
  globalThis.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const button of document.querySelectorAll("form[data-once] button")) {
      button.removeAttribute("aria-busy");
      if (button instanceof HTMLButtonElement) button.disabled = false;
    }
    keepSession();
    if (box && ended === "") void poll();
  });

  // --- keys -------------------------------------------------------------------------------------------------

  const KEYS_OFF = "lz-keys-off";
  const keysSwitch = document.querySelector("[data-keys]");
  // WCAG 2.2, 2.1.4: keys of one character can be turned off, for those whose words would press them.
  let keysOn = localStorage.getItem(KEYS_OFF) === null;

  function showKeys() {
    if (keysSwitch) keysSwitch.textContent = keysOn ? "Turn keys off" : "Turn keys on";
  }
  keysSwitch?.addEventListener("click", () => {
    keysOn = !keysOn;
    if (keysOn) localStorage.removeItem(KEYS_OFF);
    else localStorage.setItem(KEYS_OFF, "1");
    showKeys();
  });
  showKeys();

  const ROWS = ".incidents > li, table.assets > tbody > tr";

  /** The row before or after the one the focus is in. @param {number} step */
  function walk(step) {
    const rows = [...document.querySelectorAll(ROWS)];
    const here = rows.findIndex((row) => row.contains(document.activeElement));
    const next = rows[here === -1 ? (step > 0 ? 0 : rows.length - 1) : here + step];
    const link = next?.querySelector("a");
    link?.focus();
    link?.scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("keydown", (event) => {
    if (!keysOn || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const target = event.target;
    if (target instanceof Element && target.matches("input:not([type=checkbox]), textarea, select")) return;
    const row = document.activeElement?.closest(ROWS);
    if (event.key === "j") walk(1);
    else if (event.key === "k") walk(-1);
    else if (event.key === "x") row?.querySelector("input")?.click();
    else if (event.key === "?") {
      const told = document.getElementById("keys");
      if (!told) return;
      told.focus();
      told.scrollIntoView({ block: "nearest" });
    } else if (event.key === "/") {
      const search = document.querySelector("input[type=search]");
      if (!(search instanceof HTMLElement)) return;
      search.focus();
    } else return;
    event.preventDefault();
  });

  // The word of thanks is for this visit only: a reload does not say it again.
  const here = new URL(location.href);
  if (here.searchParams.has("done")) {
    here.searchParams.delete("done");
    history.replaceState(null, "", here.pathname + here.search);
  }

  tick();
  setInterval(tick, 1000);
  keepSession();
  plan();
})();
