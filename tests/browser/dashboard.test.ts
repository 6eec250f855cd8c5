import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { BrowserContext, Page } from "playwright-core";
import { describeUnless } from "../support/missing.ts";
import { lacking } from "./chromium.ts";
import type { Edge } from "./edge.ts";
import { EMPTY, HOSTILE, hostileHost, type Northwind, nextId, startNorthwind } from "./northwind.ts";
import { axe, LOOKS, wider } from "./page-checks.ts";
import { NO_RIGHT, reportOn, requestIsolations, setFourEyes } from "./scenarios.ts";
import { engineOf, type Host, putHosts } from "./seed.ts";

// Generous timeout for busy machines. A test that times out also stops the database that later tests need.
setDefaultTimeout(60_000);

describeUnless(lacking, "the dashboard in Chromium", () => {
  let northwind: Northwind | undefined;
  let edge: Edge;
  let session: string;
  let paths: Northwind["paths"];
  let open: Northwind["open"];

  beforeAll(async () => {
    northwind = await startNorthwind();
    ({ edge, session, paths, open } = northwind);
  }, 120_000);
  afterAll(() => northwind?.stop());

  test("hostile names are shown as text", async () => {
    const { context, page, complaints } = await open();
    await page.goto(edge.origin + paths.hostile!);
    expect(await page.locator("h1").textContent()).toBe(HOSTILE);
    expect(await page.locator("main img").count()).toBe(0);
    expect(complaints).toEqual([]);
    await context.close();
  });

  async function fresh(hostname: string): Promise<Host> {
    const now = Date.now();
    const host: Host = {
      ...hostileHost(),
      assetId: nextId(),
      hostname,
      findings: [],
      states: [{ atMs: now, engines: [engineOf()] }],
    };
    await putHosts(edge.deps, [host]);
    return host;
  }

  test("times are relative, update every second, and have the exact time in the user's time zone as tooltip", async () => {
    const { context, page } = await open();
    const { assetId } = await fresh("ticking");
    await page.goto(`${edge.origin}/assets/${assetId}`);
    const time = page.locator("#asset-head time").first();
    const title = await time.getAttribute("title");
    expect(title).toMatch(/CET|GMT\+1/);
    await page.waitForFunction(() =>
      /^[2-9] s ago$/.test(document.querySelector("#asset-head time")!.textContent),
    );
    const before = await time.textContent();
    await page.waitForTimeout(1500);
    expect(await time.textContent()).not.toBe(before);
    await context.close();
  });

  test("a host whose clock is slightly ahead was seen just now, and future times stay in the future", async () => {
    const aheadMs = 120_000;
    const ahead = { ...hostileHost(), assetId: nextId(), hostname: "ahead", findings: [] };
    await putHosts(edge.deps, [{ ...ahead, lastSeenAtMs: Date.now() + aheadMs }]);
    const { context, page } = await open();
    await page.goto(`${edge.origin}/assets/${ahead.assetId}`);
    await page.waitForSelector('#freshness[data-state="live"]');
    expect(await page.locator("#asset-head time").first().textContent()).toBe("just now");
    await page.goto(`${edge.origin}/approvals`);
    await page.waitForSelector('#freshness[data-state="live"]');
    expect(await page.locator('time[data-time="until"]').first().textContent()).toMatch(/^in \d+ min$/);
    await context.close();
  });

  test("names of ordinary length do not wrap on a tablet", async () => {
    const { context, page } = await open({ viewport: { width: 768, height: 1000 } });
    await page.goto(`${edge.origin}/inventory`);
    const names = page.locator('.inventory td:is([data-label="Employees"], [data-label="Licence"]) bdi');
    const broken = await names.evaluateAll((all) =>
      all
        .filter(({ textContent: name }) => !/[ -]/.test(name) && name.length <= 16)
        .filter((name) => name.getClientRects().length > 1)
        .map((name) => name.textContent),
    );
    expect(await names.count()).toBeGreaterThan(5);
    expect(broken).toEqual([]);
    await context.close();
  });

  test("isolate needs a justification and shows pending, then acknowledged without a reload; release works likewise", async () => {
    const { assetId } = await fresh("journey");
    const { context, page, complaints } = await open();
    await page.goto(`${edge.origin}/assets/${assetId}`);
    const state = () => page.locator("#containment").getAttribute("data-state");
    const isolate = page.getByRole("button", { name: "Isolate", exact: true });
    await isolate.click();
    expect(
      await page.locator("#justification").evaluate((field: HTMLTextAreaElement) => field.validity.valid),
    ).toBe(false);
    expect(await state()).toBe("active");

    await page.getByLabel("Justification").fill("INC-7: exposed engine");
    await page.getByLabel(/^Isolate journey/).check();
    await isolate.click();
    await page.waitForURL(/\/assets\/[^?]+$/); // the browser script removes ?done= from the address
    expect(await state()).toBe("pending");
    expect(await page.locator("#containment").textContent()).toContain("Treat the host as unrestricted");
    expect(await page.locator("#custody").textContent()).toContain("INC-7: exposed engine");

    await page.evaluate(() => Object.assign(globalThis, { sameDocument: true }));
    await page.getByLabel("Justification").fill("half-written rea");
    await reportOn(edge.deps, assetId, { generation: 1, action: "isolate", mode: "observe" });
    await page.waitForSelector('#containment[data-state="acknowledged"]', { timeout: 8000 });
    expect(await page.locator("#containment").textContent()).toContain(
      "This mode changes nothing on the host",
    );
    expect(await page.evaluate(() => "sameDocument" in globalThis)).toBe(true);
    expect(await page.getByLabel("Justification").inputValue()).toBe("half-written rea");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("justification");

    await page.getByLabel("Justification").fill("INC-7 is closed");
    await page.getByLabel(/^Release journey/).check();
    await page.getByRole("button", { name: "Release", exact: true }).click();
    await page.waitForSelector('#containment[data-state="releasing"]');
    await reportOn(edge.deps, assetId, { generation: 2, action: "release", mode: "observe" });
    await page.waitForSelector('#containment[data-state="active"]', { timeout: 8000 });
    expect(complaints).toEqual([]);
    await context.close();
  }, 90_000);

  for (const outcome of ["enforced", "failed"] as const)
    test(`isolate, mode network: the agent's report ${outcome} appears without a reload, with its proof or reason`, async () => {
      const { assetId } = await fresh(`to-be-${outcome}`);
      const { context, page, complaints } = await open();
      await page.goto(`${edge.origin}/assets/${assetId}`);
      await page.locator("#isolate input[value=network]").check();
      await page.getByLabel("Justification").fill("INC-14: it has to be off the network");
      await page.locator("#isolate input[name=confirm]").check();
      await page.getByRole("button", { name: "Isolate", exact: true }).click();
      const panel = (state: string) =>
        page.waitForSelector(`#containment[data-state="${state}"]`, { timeout: 8000 });
      await panel("pending");
      await page.evaluate(() => Object.assign(globalThis, { sameDocument: true }));
      const told = { generation: 1, action: "isolate", mode: "network" } as const;
      const failed = { outcome: "failed", reason: NO_RIGHT } as const;
      await reportOn(edge.deps, assetId, { ...told, ...(outcome === "failed" && failed) });
      await panel(outcome);
      const words = await page.locator("#containment").textContent();
      if (outcome === "enforced") {
        for (const proof of [
          "Control plane: reachable",
          "Address that must be blocked: blocked",
          "Isolated, proven",
        ])
          expect(words).toContain(proof);
      } else {
        expect(words).toContain(`Failed: ${NO_RIGHT}`);
        expect(words).toContain("Treat the host as unrestricted");
        expect(words).not.toContain("has proven the isolation");
      }
      expect(await page.evaluate(() => "sameDocument" in globalThis)).toBe(true);
      expect(complaints).toEqual([]);
      await context.close();
    }, 90_000);

  test("a rejected form keeps its input, and its page does not turn into a 404 by polling", async () => {
    const { assetId } = await fresh("refused");
    const { context, page } = await open();
    await page.goto(`${edge.origin}/assets/${assetId}`);
    await page.locator("#isolate").evaluate((form: HTMLFormElement) => {
      form.noValidate = true;
    });
    await page.locator("#justification").fill("INC-10");
    await page.locator("#isolate button").click();
    await page.waitForSelector("#wrong");
    await page.waitForTimeout(2600);
    expect(await page.locator("#wrong").textContent()).toContain("Select the checkbox to confirm the host");
    expect(await page.locator("#justification").inputValue()).toBe("INC-10");
    await page.reload().catch(() => {});
    await page.goto(page.url());
    expect(await page.locator("h1").textContent()).toBe("refused");
    await context.close();
  });

  test("isolate works without script", async () => {
    const { assetId } = await fresh("scriptless");
    const { context, page } = await open({ javaScriptEnabled: false });
    await page.goto(`${edge.origin}/assets/${assetId}`);
    await page.locator("#justification").fill("INC-8");
    await page.locator("#isolate input[name=confirm]").check();
    await page.locator("#isolate button").click();
    expect(await page.locator("#containment").getAttribute("data-state")).toBe("pending");
    expect(await page.locator("main [role=status]").first().textContent()).toContain("Isolation requested");
    await context.close();
  });

  test("isolate works by keyboard alone", async () => {
    const { assetId } = await fresh("keyboard");
    const { context, page } = await open();
    await page.goto(`${edge.origin}/assets/${assetId}`);
    await page.locator("#isolate input[name=mode]").first().focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Tab");
    await page.keyboard.type("INC-9 by hand");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Space");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.waitForSelector('#containment[data-state="pending"]');
    expect(await page.locator("#containment").textContent()).toContain("mode stop-engines");
    await context.close();
  });

  test("a double click on isolate makes one custody record, and the back button shows the current state", async () => {
    const { assetId } = await fresh("twice");
    const { context, page, complaints } = await open();
    await page.goto(`${edge.origin}/assets`);
    await page.goto(`${edge.origin}/assets/${assetId}`);
    await page.locator("#justification").fill("INC-13");
    await page.locator("#isolate input[name=confirm]").check();
    await page.locator("#isolate button").dblclick();
    await page.waitForSelector('#containment[data-state="pending"]');
    expect(await page.locator("#custody .custody > li").count()).toBe(1);
    await page.goBack();
    await page.waitForSelector('#containment[data-state="pending"]', { timeout: 8000 });
    expect(await page.locator("#isolate").count()).toBe(0);
    expect(await page.locator("#release").count()).toBe(1);
    expect(complaints).toEqual([]);
    await context.close();
  });

  test("names with emoji and right-to-left text do not affect the text around them", async () => {
    const name = "مختبر-الذكاء 🚨 (1)";
    const host: Host = { ...hostileHost(), assetId: nextId(), hostname: name, employeeId: "omar" };
    host.states[0]!.engines = [engineOf({ name: `محرك 🧠 [2]`, bind: ["0.0.0.0"] })];
    const explanation = "محرك 🧠 [2] listens on 0.0.0.0.";
    host.findings![0]!.finding = { ...host.findings![0]!.finding, engineName: "محرك 🧠 [2]", explanation };
    await putHosts(edge.deps, [host]);
    await requestIsolations(edge.deps, session, [host.assetId]);
    const { context, page } = await open({ ...LOOKS.phone });
    const loose: string[] = [];
    const incident = `/incidents/${host.assetId}.exposed-engine.ollama`;
    for (const path of [
      "/",
      "/incidents",
      incident,
      `/assets/${host.assetId}`,
      "/assets",
      "/approvals",
      "/custody",
      "/inventory",
      "/employees/omar",
      "/report",
    ]) {
      await page.goto(edge.origin + path);
      const found = await page.evaluate(() => {
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        const bare: string[] = [];
        for (let node = walker.nextNode(); node; node = walker.nextNode()) {
          if (!/[\u0600-\u06ff]/.test(node.nodeValue ?? "")) continue;
          if (!node.parentElement!.closest("bdi, option, textarea, title")) bare.push(node.nodeValue!);
        }
        return bare;
      });
      for (const words of found) loose.push(`${path}: ${words}`);
      if ((await wider(page)) > 0) loose.push(`${path} is wider than the screen`);
    }
    expect(loose).toEqual([]);
    // An English sentence that starts with a right-to-left name must still be read from left to right.
    await page.goto(edge.origin + incident);
    const lead = page.locator("#incident-head .lead bdi");
    expect(await lead.evaluate((words) => getComputedStyle(words).direction)).toBe("ltr");
    await setFourEyes(edge.deps, session, false);
    await context.close();
  });

  test("a form sent with an expired session leads to sign-in, which says that nothing was changed and leads back", async () => {
    const { assetId } = await fresh("expired");
    const { context, page } = await open();
    await page.goto(`${edge.origin}/assets/${assetId}`);
    await page.locator("#justification").fill("INC-14");
    await page.locator("#isolate input[name=confirm]").check();
    await context.clearCookies();
    await page.locator("#isolate button").click();
    await page.waitForURL(/\/sign-in/);
    expect(await page.locator("main").textContent()).toContain("Nothing was changed");
    const to = new URL((await page.getByRole("link", { name: "Sign in" }).getAttribute("href"))!);
    expect(to.searchParams.get("redirect_url")).toBe(`${edge.origin}/assets/${assetId}`);
    await context.close();
  });

  test("after switching the organisation elsewhere, an open page never shows data of the new one under the old name", async () => {
    const other = await edge.session({ tenantId: EMPTY });
    const switchTo = (context: BrowserContext) =>
      context.addCookies([{ name: "__session", value: other, url: edge.origin }]);
    const { context, page } = await open();
    await page.goto(`${edge.origin}/integrations`);
    await switchTo(context);
    await page.waitForSelector(`.person >> text=${EMPTY}`, { timeout: 8000 });
    await context.clearCookies();
    await context.addCookies([{ name: "__session", value: session, url: edge.origin }]);
    await page.evaluate(() => sessionStorage.clear());
    await page.goto(`${edge.origin}/integrations`);
    await page.locator("#url").fill("https://half.typed.example/");
    await switchTo(context);
    await page.waitForSelector('#freshness[data-state="ended"]', { timeout: 8000 });
    expect(await page.locator("#freshness-text").textContent()).toContain("signed in as someone else");
    expect(await page.locator("#url").inputValue()).toBe("https://half.typed.example/");
    expect(await page.locator(`a[href="${paths.webhook}"]`).count()).toBe(1);
    await page.getByRole("link", { name: "Reload", exact: true }).click();
    await page.waitForSelector(`.person >> text=${EMPTY}`);
    await context.close();
  });

  test("a token that expires while a form is half filled loses no input", async () => {
    const { assetId } = await fresh("half-filled");
    const fields = {
      "/integrations": (page: Page) => page.locator("#url").fill("https://hooks.example.com/in"),
      [`/assets/${assetId}`]: (page: Page) => page.locator("#isolate input[value=network]").check(),
    };
    for (const [path, fill] of Object.entries(fields)) {
      const { context, page } = await open({}, await edge.session({ seconds: 3 }));
      await page.goto(edge.origin + path);
      await fill(page);
      await page.waitForSelector('#freshness[data-state="ended"]', { timeout: 15_000 });
      expect(page.url()).toBe(edge.origin + path);
      await context.close();
    }
  });

  test("an open page updates and keeps scroll position, focus and folded details", async () => {
    const host = await fresh("watched");
    const { context, page } = await open();
    await page.goto(`${edge.origin}/assets/${host.assetId}`);
    await page.locator("#now summary").first().click(); // collapses the list of evidence
    await page.evaluate(() => scrollTo(0, 240));
    const scroll = await page.evaluate(() => scrollY);
    const second = engineOf({ id: "vllm", name: "vLLM", pid: 9, ports: [8000] });
    await putHosts(edge.deps, [
      { ...host, states: [...host.states, { atMs: Date.now(), engines: [engineOf(), second] }] },
    ]);
    await page.waitForSelector("#now >> text=vLLM", { timeout: 8000 });
    expect(await page.locator("#timeline").textContent()).toContain("vLLM appeared");
    expect(await page.locator("#now details").first().getAttribute("open")).toBeNull();
    expect(await page.evaluate(() => scrollY)).toBe(scroll);
    await context.close();
  });

  test("a new row is not inserted while the user presses the mouse button", async () => {
    const { context, page } = await open();
    await page.goto(`${edge.origin}/incidents`);
    const link = page.locator(".incidents > li a[href^='/incidents/']").last();
    const aimed = await link.getAttribute("href");
    await link.hover();
    const polled = () => page.waitForResponse((answer) => answer.request().headers()["x-lz-live"] === "1");
    await polled();
    const host: Host = { ...hostileHost(), assetId: nextId(), hostname: "comes-in-above" };
    await putHosts(edge.deps, [host]);
    await page.mouse.down();
    await polled();
    await page.waitForTimeout(100);
    expect(await page.getByText(host.hostname).count()).toBe(0);
    await page.mouse.up();
    await page.waitForURL(`${edge.origin}${aimed}`);
    await context.close();
  });

  test("a mouse button that is held for long does not stop updates", async () => {
    const { context, page } = await open();
    await page.goto(`${edge.origin}/incidents`);
    await page.mouse.move(5, 5);
    await page.mouse.down();
    const host: Host = { ...hostileHost(), assetId: nextId(), hostname: "comes-in-all-the-same" };
    await putHosts(edge.deps, [host]);
    await page.getByText(host.hostname).first().waitFor({ timeout: 12_000 });
    await page.mouse.up();
    await context.close();
  });

  test("a list and the address update while the user types a filter", async () => {
    const { context, page } = await open();
    await page.goto(`${edge.origin}/incidents`);
    const all = await page.locator(".incident").count();
    await page.getByRole("searchbox").pressSequentially("renamed");
    await page.waitForFunction((count) => document.querySelectorAll(".incident").length < count, all);
    expect(await page.locator(".incident").count()).toBe(1);
    expect(new URL(page.url()).searchParams.get("q")).toBe("renamed");
    expect(await page.getByRole("searchbox").inputValue()).toBe("renamed");
    await context.close();
  });

  test("an unknown rule in the filter finds nothing, and the page stays live", async () => {
    const { context, page, complaints } = await open();
    await page.goto(`${edge.origin}/incidents?rule=exposed-engine`);
    await page.getByLabel("Rule", { exact: true }).fill("Not a rule!");
    await page.waitForSelector("#incident-list >> text=No open incident matches");
    expect(await page.locator("#freshness").getAttribute("data-state")).toBe("live");
    expect(complaints).toEqual([]);
    await context.close();
  });

  test("a list is marked as busy until it matches its filter, and then its count is announced", async () => {
    const { context, page, complaints } = await open();
    await page.goto(`${edge.origin}/incidents`);
    let answer = () => {};
    const held = new Promise<void>((resolve) => {
      answer = resolve;
    });
    await page.route(/\/incidents\?q=/, async (route) => {
      await held;
      await route.continue();
    });
    const list = page.locator("#incident-list");
    await page.getByRole("searchbox").fill("renamed");
    await page.waitForSelector("#incident-list[aria-busy=true]");
    const line = () => list.evaluate((region) => getComputedStyle(region, "::before").content);
    expect(await line()).toBe('""');
    answer();
    await page.waitForSelector("#incident-list:not([aria-busy])");
    expect(await line()).toBe("none");
    expect(await page.locator(".incident").count()).toBe(1);
    const told = await page.locator("#freshness-status").textContent();
    expect(told).toBe(await page.locator("#incident-list .count").textContent());
    expect(complaints).toEqual([]);
    await context.close();
  });

  test("the filters of incidents work without script", async () => {
    const { context, page } = await open({ javaScriptEnabled: false });
    await page.goto(`${edge.origin}/incidents`);
    await page.getByLabel("Engine", { exact: true }).selectOption("ollama");
    await page.getByText("Resolved", { exact: true }).click();
    await page.getByRole("button", { name: "Filter" }).click();
    expect(new URL(page.url()).searchParams.get("status")).toBe("resolved");
    expect(new URL(page.url()).searchParams.get("engine")).toBe("ollama");
    expect(await page.locator("h1").textContent()).toBe("Resolved incidents");
    await context.close();
  });

  test("j and k move, Enter opens, x selects, / searches, and the shortcuts can be turned off", async () => {
    const { context, page, complaints } = await open();
    await page.goto(`${edge.origin}/incidents`);
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute("href") ?? null);
    const links = await page
      .locator(".incident-title a:first-child")
      .evaluateAll((all) => all.map((link) => link.getAttribute("href")));
    await page.keyboard.press("j");
    expect(await focused()).toBe(links[0]!);
    await page.keyboard.press("j");
    expect(await focused()).toBe(links[1]!);
    await page.keyboard.press("x");
    await page.waitForTimeout(2600); // waits for one poll, which must not change the selection
    expect(await page.locator(".incidents input:checked").count()).toBe(1);
    await page.keyboard.press("k");
    expect(await focused()).toBe(links[0]!);
    await page.keyboard.press("/");
    await page.keyboard.type("jk");
    expect(await page.getByRole("searchbox").inputValue()).toBe("jk");
    await page.goto(`${edge.origin}/incidents`);
    await page.getByRole("button", { name: "Turn shortcuts off" }).click();
    await page.keyboard.press("j");
    expect(await focused()).toBeNull();
    await page.getByRole("button", { name: "Turn shortcuts on" }).click();
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/incidents\/[0-9A-Z]{26}/);
    expect(complaints).toEqual([]);
    await context.close();
  });

  test("a list is downloaded as a file whose name says what it contains", async () => {
    const { context, page } = await open();
    await page.goto(`${edge.origin}/incidents?q=renamed`);
    const [file] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "CSV" }).click(),
    ]);
    expect(file.suggestedFilename()).toMatch(
      /^lifecyclezero-incidents-without-2-expired-hosts-\d{8}T\d{6}Z\.csv$/,
    );
    const text = await Bun.file(await file.path()).text();
    expect(text.trim().split("\r\n")).toHaveLength(2);
    expect(text).toContain("renamed-binary");
    await context.close();
  });

  test("several incidents are acknowledged without script", async () => {
    const { context, page } = await open({ javaScriptEnabled: false });
    await page.goto(`${edge.origin}/incidents`);
    const boxes = page.locator(".incidents input[type=checkbox]");
    const before = await boxes.count();
    await boxes.nth(before - 1).check();
    await boxes.nth(before - 2).check();
    await page.getByRole("button", { name: "Acknowledge selected" }).click();
    expect(await page.locator("main [role=status]").textContent()).toContain("Incidents acknowledged");
    expect(await boxes.count()).toBe(before - 2);
    await context.close();
  });

  test("the printed report has all sections and no navigation", async () => {
    const { context, page } = await open();
    await page.goto(edge.origin + paths.report!);
    await page.emulateMedia({ media: "print" });
    for (const frame of ["nav", ".person", ".filter"])
      expect(await page.locator(frame).first().isVisible()).toBe(false);
    for (const part of ["#found", "#incidents", "#done", "#custody", "#gaps", "#duties"])
      expect(await page.locator(part).isVisible()).toBe(true);
    await context.close();
  });

  test("a lost connection and an ended session are reported with the age of the data", async () => {
    const { context, page } = await open();
    await page.goto(edge.origin);
    await page.waitForSelector('#freshness[data-state="live"]');
    await context.setOffline(true);
    await page.waitForSelector('#freshness[data-state="lost"]', { timeout: 15_000 });
    expect(await page.locator("#freshness").textContent()).toMatch(
      /Connection lost\. Showing data from \d+ s ago/,
    );
    await context.setOffline(false);
    await page.waitForSelector('#freshness[data-state="live"]', { timeout: 15_000 });
    await context.clearCookies();
    await page.waitForSelector('#freshness[data-state="ended"]', { timeout: 8000 });
    const link = page.getByRole("link", { name: "Sign in again" });
    expect(await link.getAttribute("href")).toBe("/sign-in?return=%2F");
    await context.close();
  }, 120_000);

  test("the freshness line does not cover the navigation", async () => {
    const { context, page } = await open();
    for (const width of [360, 1100, 1220, 1280, 2560]) {
      await page.setViewportSize({ width, height: 800 });
      await page.goto(`${edge.origin}/assets`);
      await page.waitForSelector('#freshness[data-state="live"]');
      for (const place of ["Overview", "Incidents", "AI inventory", "Settings"]) {
        await page.getByRole("navigation").getByRole("link", { name: place }).click({ timeout: 5000 });
        await page.waitForSelector(`nav a[aria-current=page]:text-is("${place}")`);
      }
    }
    await context.close();
  });

  test("a dry run of a policy keeps the input, also without script", async () => {
    for (const javaScriptEnabled of [true, false]) {
      const { context, page, complaints } = await open({ javaScriptEnabled, bypassCSP: javaScriptEnabled });
      await page.goto(`${edge.origin}/policy`);
      expect(await page.locator("#approvedEngines-hint").textContent()).toContain(
        "Found on hosts: ollama, lm-studio",
      );
      await page.locator("#bannedEngines").fill("lm-studio\nolama");
      await page.getByRole("button", { name: "Dry run" }).first().click();
      await page.waitForSelector("#dry-run");
      expect(await page.locator("#bannedEngines-hint").textContent()).toEndWith(
        "Not found on any host: olama.",
      );
      expect(await page.locator("#approvedEngines-hint").textContent()).not.toContain("Not found on");
      await page.locator("#bannedEngines").fill("lm-studio");
      await page.getByRole("button", { name: "Dry run" }).first().click();
      await page.locator('#bannedEngines-hint:not(:has-text("Not found on"))').waitFor();
      expect(await page.locator("#dry-run").textContent()).toContain("banned-engine");
      expect(await page.locator("#bannedEngines").inputValue()).toBe("lm-studio");
      if (javaScriptEnabled) expect(await axe(page)).toEqual([]);
      await page.locator("#bannedEngines").fill("lm-studio\nNot an id");
      await page.getByRole("button", { name: "Save policy", exact: true }).click();
      expect(await page.locator("#wrong").textContent()).toContain("line 2: Banned engines");
      expect(await page.locator("#bannedEngines").getAttribute("aria-invalid")).toBe("true");
      if (javaScriptEnabled) expect(await axe(page)).toEqual([]);
      await page.goto(`${edge.origin}/policy`);
      expect(await page.locator("#bannedEngines").inputValue()).toBe("");
      expect(complaints).toEqual([]);
      await context.close();
    }
  }, 120_000);

  test("? moves the focus to the list of shortcuts", async () => {
    const { context, page } = await open();
    await page.goto(`${edge.origin}/assets`);
    await page.keyboard.press("?");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("keys");
    await context.close();
  });
});
