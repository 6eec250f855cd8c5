import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { type Stage, startStage } from "../../local/stage.ts";
import { describeUnless } from "../support/missing.ts";
import { eventually, ROOT, startTestStack, type TestStack } from "../support/stack.ts";
import { chromiumPath, lacking, launch } from "./chromium.ts";

const executable = chromiumPath();
setDefaultTimeout(120_000);

/** An end-to-end test with no test doubles: it runs the production stack, agent and browser. */
describeUnless(lacking, "isolate with a live agent, in Chromium", () => {
  const folder = mkdtempSync(join(tmpdir(), "lz-live-"));
  let stack: TestStack;
  let agent: Stage;
  let browser: Browser;

  beforeAll(async () => {
    stack = await startTestStack("bun");
    const state = join(folder, "agent");
    const command = [process.execPath, join(ROOT, "agent/main.ts")];
    const { PATH = "", HOME = folder } = process.env;
    const enrolled = Bun.spawnSync([...command, "enroll", "--url", stack.edgeUrl, "--state", state], {
      env: { PATH, HOME, LZ_ENROLL_TOKEN: await stack.enrolmentToken() },
      stderr: "pipe",
    });
    if (!enrolled.success) throw new Error(`the agent could not enrol: ${enrolled.stderr}`);
    agent = await startStage({
      name: "agent",
      command: [...command, "run", "--state", state],
      env: { PATH, HOME },
      cwd: ROOT,
      onLine: () => {},
      isReady: () => true,
    });
    browser = await launch(executable!);
  });
  afterAll(async () => {
    await browser?.close();
    await agent?.stop();
    await stack?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function assetOf(): Promise<string> {
    const { items } = (await (await stack.api("/v1/assets")).json()) as {
      items: { assetId: string; presence?: object }[];
    };
    return items.find(({ presence }) => presence !== undefined)?.assetId ?? "";
  }

  test("after sign-in by link, an isolation becomes pending and acknowledged, then released, without a reload and with custody records", async () => {
    const assetId = await eventually(assetOf, 60_000);
    const page = await browser.newPage();
    await page.goto(stack.issuer.signInLink(`${stack.edgeUrl}/assets/${assetId}`));
    await page.waitForURL(`${stack.edgeUrl}/assets/${assetId}`);
    const panel = (state: string) =>
      page.waitForSelector(`#containment[data-state="${state}"]`, { timeout: 60_000 });
    await panel("active");

    await page.getByLabel("Justification").fill("INC-7: rehearsal with a live agent");
    await page.getByLabel(/^Isolate /).check();
    await page.getByRole("button", { name: "Isolate", exact: true }).click();
    await panel("pending");
    expect(await page.locator("#containment").textContent()).toContain("Treat the host as unrestricted");
    await page.evaluate(() => Object.assign(globalThis, { sameDocument: true }));
    const askedAtMs = Date.now();
    await panel("acknowledged");
    const acknowledgedMs = Date.now() - askedAtMs;
    expect(await page.locator("#containment").textContent()).toContain("The agent reported on generation 1");

    await page.getByLabel("Justification").fill("INC-7 is closed");
    await page.getByLabel(/^Release /).check();
    expect(await page.evaluate(() => "sameDocument" in globalThis)).toBe(true);
    await page.getByRole("button", { name: "Release", exact: true }).click();
    await panel("releasing");
    await page.evaluate(() => Object.assign(globalThis, { sameDocument: true }));
    const releasedAtMs = Date.now();
    await panel("active");
    expect(await page.evaluate(() => "sameDocument" in globalThis)).toBe(true);
    console.log(
      `live agent: acknowledged on the page after ${acknowledgedMs} ms, released after ${Date.now() - releasedAtMs} ms`,
    );

    const custody = page.locator("#custody");
    for (const words of ["Isolation requested", "Release requested", "INC-7 is closed", "chain unbroken"])
      expect(await custody.textContent()).toContain(words);
    expect(await page.locator("#containment").textContent()).toContain("Nothing restricts this host");
  });
});
