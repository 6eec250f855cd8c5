import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { BrowserContext, Page } from "playwright-core";
import { describeUnless } from "../support/missing.ts";
import { lacking } from "./chromium.ts";
import type { Edge } from "./edge.ts";
import { AWAY, EMPTY, type Northwind, startNorthwind } from "./northwind.ts";
import { axe, beyondMargin, LOOKS, overNavigation, wider } from "./page-checks.ts";

// Generous timeout for busy machines. A test that times out also stops the database that later tests need.
setDefaultTimeout(60_000);

/**
 * Describes how a test opens an error page, and which status it expects. `as`: session token to use. `act`:
 * interaction on the page.
 */
type Failed = { status: number; path: string; as?: string; act?: (page: Page) => Promise<unknown> };

const VIEWED = [
  "overview",
  "incidents",
  "incident",
  "asset",
  "approvals",
  "asset that waits",
  "integrations",
  "policy",
  "settings",
  "enrol",
] as const;
const EMPTIED = [
  "overview",
  "incidents",
  "assets",
  "inventory",
  "employees",
  "custody",
  "report",
  "approvals",
  "integrations",
  "policy",
  "enrol",
] as const;

/** Returns all error pages, with the steps that lead to them. */
async function failuresOf({ edge, webhookId, paths }: Northwind): Promise<Record<string, Failed>> {
  return {
    "nothing there": { status: 404, path: "/assets/nothing" },
    "a filter nobody made": { status: 400, path: "/incidents?risk=none" },
    "no right": {
      status: 403,
      path: `/integrations/${webhookId}`,
      as: await edge.session({ userId: "vera", role: "viewer" }),
    },
    "no organisation role": {
      status: 403,
      path: "/",
      as: await edge.session({ userId: "bill", role: "billing" }),
    },
    unavailable: { status: 503, path: "/assets", as: await edge.session({ tenantId: AWAY }) },
    "a form that lay open too long": {
      status: 403,
      path: paths.hostile!,
      act: async (page) => {
        const form = page.locator("#isolate");
        await form.locator("#justification").fill("INC-12");
        await form.locator("input[name=confirm]").check();
        // Set the token and submit in one step. Otherwise the next poll of a live page would replace the
        // token.
        const sent = form.locator("input[name=csrf]").evaluate((field: HTMLInputElement) => {
          field.value = `1700000000.${"A".repeat(43)}`;
          field.form!.requestSubmit();
        });
        await Promise.all([page.waitForNavigation(), sent]);
      },
    },
  };
}

describeUnless(lacking, "every page of the dashboard in Chromium", () => {
  let northwind: Northwind | undefined;
  let edge: Edge;
  let session: string;
  let paths: Northwind["paths"];
  let open: Northwind["open"];
  let failures: Record<string, Failed>;

  beforeAll(async () => {
    northwind = await startNorthwind();
    ({ edge, session, paths, open } = northwind);
    failures = await failuresOf(northwind);
  }, 120_000);
  afterAll(() => northwind?.stop());

  const everyPage = async (context: BrowserContext, page: Page, check: (name: string) => Promise<void>) => {
    for (const [name, path] of Object.entries(paths)) {
      await page.goto(edge.origin + path);
      await check(name);
    }
    // The response to this form has no URL of its own, so the test submits the form to see the response.
    await page.goto(edge.origin + paths.enrol!);
    await page.getByRole("button", { name: "Create token" }).click();
    await page.waitForSelector("#commands-title");
    const closed = page.locator("details:not([open]) > summary");
    while ((await closed.count()) > 0) await closed.first().click();
    await check("token made");
    await context.clearCookies();
    await page.goto(`${edge.origin}/assets`);
    await check("sign-in");
  };

  /** Visits all error pages, each in its own browser context and session. */
  const everyFailure = async (options: object, check: (name: string, page: Page) => Promise<void>) => {
    for (const [name, { status, path, as, act }] of Object.entries(failures)) {
      const { context, page } = await open(options, as ?? session);
      const answers: number[] = [];
      page.on("response", (answer) => {
        if (answer.request().isNavigationRequest()) answers.push(answer.status());
      });
      await page.goto(edge.origin + path);
      await act?.(page);
      expect([name, answers.at(-1)]).toEqual([name, status]);
      await check(name, page);
      await context.close();
    }
  };

  for (const [look, options] of Object.entries(LOOKS)) {
    test(`every error page in ${look}: no axe violations, not wider than the screen, and a button for the next step`, async () => {
      const found: string[] = [];
      await everyFailure({ ...options, bypassCSP: true }, async (name, page) => {
        for (const violation of await axe(page)) found.push(`${name} ${violation}`);
        if ((await wider(page)) > 0) found.push(`${name} is wider than the screen`);
        expect(await page.locator(".onward a.button").first().isVisible()).toBe(true);
        expect(await page.locator("main").textContent()).toMatch(/Request id [0-9a-f-]{16,}/);
      });
      expect(found).toEqual([]);
    }, 120_000);

    test(`pages of a viewer and of an empty organisation in ${look}: no axe violations, not wider than the screen`, async () => {
      const found: string[] = [];
      const eyes = {
        viewer: [await edge.session({ role: "viewer", userId: "vera" }), VIEWED],
        empty: [await edge.session({ tenantId: EMPTY }), EMPTIED],
      } as const;
      for (const [who, [cookie, names]] of Object.entries(eyes)) {
        const { context, page } = await open({ ...options, bypassCSP: true }, cookie);
        for (const name of names) {
          await page.goto(edge.origin + paths[name]!);
          for (const violation of await axe(page)) found.push(`${who} ${name} ${violation}`);
          if ((await wider(page)) > 0) found.push(`${who} ${name} is wider than the screen`);
          if (who === "viewer" && (await page.locator("main form[method=post]").count()) > 0)
            found.push(`${name} has a form for a viewer`);
          if (who === "empty" && !/^(policy|settings|integrations|enrol)$/.test(name))
            if ((await page.locator(".empty").count()) === 0)
              found.push(`${name} does not say that it is empty`);
        }
        await context.close();
      }
      expect(found).toEqual([]);
    }, 240_000);

    test(`every page in ${look}: no axe violations, not wider than the screen, no control beyond the margins`, async () => {
      const { context, page } = await open({ ...options, bypassCSP: true });
      const found: string[] = [];
      await everyPage(context, page, async (name) => {
        for (const violation of await axe(page)) found.push(`${name} ${violation}`);
        const wide = await wider(page);
        if (wide > 0) found.push(`${name} is ${wide} px wider than the screen`);
        for (const control of await beyondMargin(page)) found.push(`${name} ${control} is beyond the margin`);
        for (const place of await overNavigation(page))
          found.push(`${name}: the freshness line covers ${place}`);
      });
      expect(found).toEqual([]);
      await context.close();
    }, 240_000);
  }

  test("every page under its own policy: no violations, errors, dialogs or requests to other origins", async () => {
    const { context, page, complaints } = await open();
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) =>
        console.error(`policy: ${event.violatedDirective}`),
      );
    });
    await everyPage(context, page, async (name) => {
      if (name === "overview") await page.waitForTimeout(2600); // waits for one poll, so that the test also covers an update under the content security policy
    });
    expect(complaints).toEqual([]);
    await context.close();
  }, 120_000);

  test("every page works without script and has a way to update it", async () => {
    const { context, page } = await open({ javaScriptEnabled: false });
    await everyPage(context, page, async (name) => {
      expect(await page.locator("h1").first().isVisible()).toBe(true);
      expect([name, await overNavigation(page)]).toEqual([name, []]);
      if (name === "overview") expect(await page.content()).toContain('http-equiv="refresh"');
      // A page with a form never reloads automatically, because a reload would discard input.
      if (name === "asset") expect(await page.content()).not.toContain('http-equiv="refresh"');
    });
    await context.close();
  }, 120_000);

  test("every error page works without script and under its own policy", async () => {
    for (const javaScriptEnabled of [true, false])
      await everyFailure({ javaScriptEnabled }, async (_name, page) => {
        expect(await page.locator("h1").isVisible()).toBe(true);
        expect(await page.locator(".onward a.button").first().isVisible()).toBe(true);
      });
  }, 120_000);

  test("printed pages have no navigation and no buttons", async () => {
    const { context, page } = await open();
    await page.emulateMedia({ media: "print" });
    for (const path of ["/", "/inventory", "/approvals", paths.webhook!, paths.asset!]) {
      await page.goto(edge.origin + path);
      for (const frame of await page.locator("nav, .person, button, .list-tools").all())
        expect(await frame.isVisible()).toBe(false);
      expect(await page.locator("h1, h2").first().isVisible()).toBe(true);
    }
    await context.close();
  });

  test("pages printed in dark mode use the colours of light mode", async () => {
    const inkOf = async (colorScheme: "dark" | "light", media: "print" | "screen") => {
      const { context, page } = await open({ colorScheme });
      await page.goto(edge.origin);
      await page.emulateMedia({ media });
      const ink = await page.evaluate(() =>
        ["h1", "#running .bar .fill", "#running .bar .track", "#worst .badge"].map((selector) => {
          const { color, fill } = getComputedStyle(document.querySelector(selector)!);
          return [color, fill];
        }),
      );
      await context.close();
      return ink;
    };
    const light = await inkOf("light", "screen");
    expect(await inkOf("dark", "print")).toEqual(light);
    expect(await inkOf("dark", "screen")).not.toEqual(light);
  });

  test("a long list is printed over several pages without overlapping rows", async () => {
    const { context, page } = await open({ viewport: { width: 700, height: 900 } });
    await page.goto(edge.origin + paths.report!);
    await page.emulateMedia({ media: "print" });
    const found = await page.evaluate(() =>
      ["main", "#found", "#found .columns", "#done"].map((selector) => {
        const { display, breakInside } = getComputedStyle(document.querySelector(selector)!);
        return `${display} ${breakInside}`;
      }),
    );
    // Chromium computes grid heights before it splits content into printed pages. The rows of a split grid
    // would overlap.
    expect(new Set(found)).toEqual(new Set(["block auto"]));
    await context.close();
  });

  test("a viewer sees the containment state and no form", async () => {
    const { context, page } = await open({}, await edge.session({ role: "viewer", userId: "vera" }));
    await page.goto(edge.origin + paths.asset!);
    expect(await page.locator("#containment form").count()).toBe(0);
    expect(await page.locator("#containment").textContent()).toContain("Your role is read-only");
    await context.close();
  });

  test("no page ships more than 50 KB compressed", async () => {
    const sizes: Record<string, number> = {};
    for (const [name, path] of Object.entries(paths)) {
      const answer = await fetch(edge.origin + path, {
        headers: { cookie: `__session=${session}`, accept: "text/html" },
      });
      expect([name, answer.status]).toEqual([name, 200]);
      const markup = await answer.text();
      let bytes = Bun.gzipSync(markup).length;
      for (const [, url] of markup.matchAll(/(?:href|src)="(\/static\/[^"]+)"/g)) {
        bytes += Bun.gzipSync(await (await fetch(edge.origin + url)).text()).length;
      }
      sizes[name] = bytes;
    }
    console.log("bytes, compressed, with style and script:", JSON.stringify(sizes));
    expect(Math.max(...Object.values(sizes))).toBeLessThan(50_000);
  });
});
