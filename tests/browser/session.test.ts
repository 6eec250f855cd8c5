import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser } from "playwright-core";
import { describeUnless } from "../support/missing.ts";
import { chromiumPath, lacking, launch } from "./chromium.ts";
import { type Edge, startEdge, TENANT } from "./edge.ts";
import { createIds, engineOf, putHosts } from "./seed.ts";

const executable = chromiumPath();
setDefaultTimeout(60_000);
/**
 * Lifetime of test tokens in seconds. It is short, so that a test sees several tokens. Clerk's tokens are
 * valid for one minute. The browser script renews a token 15 s before it expires.
 */
const TOKEN_SECONDS = 20;

/**
 * Tests the renewal of short sessions with a test double of Clerk's Frontend API. There is no test with Clerk
 * itself.
 */
describeUnless(lacking, "a session that is renewed, in Chromium", () => {
  let edge: Edge;
  let browser: Browser;
  let frontend: ReturnType<typeof startFrontend>;
  const assetId = createIds(Date.now())();

  /**
   * A test double of Clerk's Frontend API. If the user is signed in, it redirects back with a session, as the
   * production API does.
   */
  function startFrontend() {
    const known = { isSignedIn: true, shaken: 0 };
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      async fetch(request) {
        const url = new URL(request.url);
        if (url.pathname !== "/v1/client/handshake") return new Response("", { status: 404 });
        known.shaken++;
        const session = await edge.session({ seconds: TOKEN_SECONDS });
        const cookies = known.isSignedIn
          ? [`__client_uat=1; Path=/`, `__session=${session}; Path=/; SameSite=Lax`]
          : ["__client_uat=0; Path=/", "__session=; Path=/; Max-Age=0"];
        const handshake = await edge.sign({ handshake: cookies });
        return new Response(null, {
          status: 307,
          headers: {
            location: url.searchParams.get("redirect_url")!,
            "set-cookie": `__clerk_handshake=${handshake}; Path=/; HttpOnly`,
          },
        });
      },
    });
    return {
      known,
      url: `http://127.0.0.1:${server.port}/v1/client/handshake`,
      stop: () => server.stop(true),
    };
  }

  beforeAll(async () => {
    frontend = startFrontend();
    edge = await startEdge({ LZ_HANDSHAKE_URL: frontend.url });
    browser = await launch(executable!);
    const now = Date.now();
    const host = { tenantId: TENANT, assetId, hostname: "typed", employeeId: "mara", os: "Debian 13" };
    const states = [{ atMs: now, engines: [engineOf()] }];
    await putHosts(edge.deps, [{ ...host, enrolledAtMs: now, lastSeenAtMs: now, states }]);
  });
  afterAll(async () => {
    await browser?.close();
    await edge?.stop();
    await frontend?.stop();
  });

  test("outlives its tokens while the user types: no input is lost, nothing reloads, and the form is accepted", async () => {
    const context = await browser.newContext();
    await context.addCookies([{ name: "__client_uat", value: "1", url: edge.origin }]);
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    await page.goto(`${edge.origin}/assets/${assetId}`);
    expect(page.url()).toBe(`${edge.origin}/assets/${assetId}`);
    await page.evaluate(() => Object.assign(globalThis, { sameDocument: true }));
    await page.getByLabel("Justification").fill("half-written while the token ends, ");
    await page.waitForTimeout((TOKEN_SECONDS + 4) * 1000);
    expect(frontend.known.shaken).toBeGreaterThan(2);
    expect(await page.evaluate(() => "sameDocument" in globalThis)).toBe(true);
    expect(await page.locator("#freshness").getAttribute("data-state")).toBe("live");
    await page.getByLabel("Justification").pressSequentially("and sent after it");
    await page.getByLabel(/^Isolate typed/).check();
    await page.getByRole("button", { name: "Isolate", exact: true }).click();
    await page.waitForSelector('#containment[data-state="pending"]');
    expect(await page.locator("#custody").textContent()).toContain(
      "half-written while the token ends, and sent after it",
    );
    expect(complaints).toEqual([]);
    await context.close();
  });

  test("after sign-out the user stays signed out here, and a session that ended at the provider leads to sign-in and back", async () => {
    const context = await browser.newContext();
    await context.addCookies([{ name: "__client_uat", value: "1", url: edge.origin }]);
    const page = await context.newPage();
    await page.goto(`${edge.origin}/incidents`);
    expect(await page.locator("h1").textContent()).toBe("Open incidents");
    frontend.known.isSignedIn = false;
    await page.waitForURL(/\/sign-in\?return=%2Fincidents$/, { timeout: (TOKEN_SECONDS + 30) * 1000 });
    expect(await page.locator("main").textContent()).toContain("to return to the page where you were");
    frontend.known.isSignedIn = true;
    await context.clearCookies();
    await context.addCookies([{ name: "__client_uat", value: "1", url: edge.origin }]);
    await page.goto(`${edge.origin}/incidents`);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.waitForURL(`${edge.origin}/sign-in`);
    await page.goto(`${edge.origin}/incidents`);
    expect(new URL(page.url()).pathname).toBe("/sign-in");
    await context.close();
  });
});
