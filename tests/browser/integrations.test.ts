import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { listDeliveries } from "../../edge/control/webhooks/list-deliveries.ts";
import { eventPut } from "../../shared/events/event-put.ts";
import { makeEvent } from "../../shared/events/make-event.ts";
import { webhookHeaders } from "../../shared/export/standard-webhooks.ts";
import { readTenant } from "../../shared/tenant/read-tenant.ts";
import { timestamp } from "../../shared/time/clock.ts";
import { forwardDue } from "../../worker/deliver/deliver-webhooks.ts";
import { createDeliverySlots } from "../../worker/deliver/delivery-slots.ts";
import { createPostWebhook } from "../../worker/deliver/post-webhook.ts";
import { createWebhookLoops } from "../../worker/deliver/webhook-loop.ts";
import { createMetrics } from "../../worker/platform/metrics.ts";
import { describeUnless } from "../support/missing.ts";
import { chromiumPath, lacking, launch } from "./chromium.ts";
import { type Edge, startEdge, TENANT } from "./edge.ts";

const executable = chromiumPath();
setDefaultTimeout(60_000);

type Received = { headers: Headers; body: string };

/**
 * Tests the page with the worker's production delivery loop and a webhook receiver on this machine
 * (LZ_WEBHOOK_PRIVATE=true).
 */
describeUnless(lacking, "the buttons of an integration, in Chromium", () => {
  const received: Received[] = [];
  let status = 204;
  let receiver: ReturnType<typeof Bun.serve>;
  let edge: Edge;
  let browser: Browser;
  let page: Page;
  const stop = new AbortController();
  let running: Promise<void> | undefined;

  beforeAll(async () => {
    receiver = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      async fetch(request) {
        // Agents in other tests on this machine send probes to every listening port.
        if (request.method !== "POST") return new Response(null, { status: 404 });
        received.push({ headers: request.headers, body: await request.text() });
        return new Response(null, { status });
      },
    });
    edge = await startEdge({ LZ_WEBHOOK_PRIVATE: "true" });
    browser = await launch(executable!);
    const context = await browser.newContext();
    const url = edge.origin;
    await context.addCookies([{ name: "__session", value: await edge.session(), url }]);
    page = await context.newPage();
  });
  afterAll(async () => {
    stop.abort();
    await running;
    await browser?.close();
    await edge?.stop();
    await receiver?.stop(true);
  });

  function startWorker(): void {
    const { dynamo, table, authority, clock, log } = edge.deps;
    const metrics = createMetrics();
    const slots = createDeliverySlots();
    const deps = { dynamo, table, authority, clock, log, metrics, post: createPostWebhook(true), slots };
    const forwarding = createWebhookLoops({
      forward: (tenantId) => forwardDue(tenantId, deps),
      random: Math.random,
      log,
      metrics,
    });
    forwarding.add(TENANT);
    running = forwarding.run(stop.signal);
  }

  async function sendTest(): Promise<string> {
    await page.getByRole("button", { name: "Send test event" }).click();
    // Wait for the response to this click, because the page from an earlier test also shows a notice.
    await page.waitForURL(/\/test$/);
    const told = (await page.locator("main [role=status]").first().textContent())!;
    await page.goto(page.url().replace(/\/test$/, ""));
    return told;
  }

  test("a test event is reported as delivered only after the receiver got it, signed with the secret that was shown", async () => {
    await page.goto(`${edge.origin}/integrations`);
    const url = `http://127.0.0.1:${receiver.port}/lifecyclezero`;
    await page.getByLabel("Address").fill(url);
    await page.getByRole("button", { name: "Add webhook" }).click();
    const secret = (await page.locator("code", { hasText: "whsec_" }).first().textContent())!;
    await page.goto(`${edge.origin}/integrations`);
    await page.getByRole("link", { name: url }).click();

    expect(await sendTest()).toContain("Test event not sent yet");
    expect(received).toEqual([]);

    startWorker();
    await page.locator("#deliveries [data-key] .badge", { hasText: "Delivered" }).waitFor();
    const [test, ...more] = received;
    expect(more).toEqual([]);
    expect(JSON.parse(test!.body)).toMatchObject({ type: "webhook.test" });
    const header = (name: string) => test!.headers.get(name)!;
    const signed = (by: string) =>
      webhookHeaders([by], header("webhook-id"), Number(header("webhook-timestamp")), test!.body);
    expect(header("webhook-signature")).toBe((await signed(secret))["webhook-signature"]!);
    const other = secret.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
    expect(header("webhook-signature")).not.toBe((await signed(other))["webhook-signature"]!);
  });

  test("a test event is reported as failed with the status, and as delivered when the receiver accepts again", async () => {
    for (const [answer, words] of [
      [500, "Test event failed: answered 500"],
      [204, "Test event delivered: answered 204"],
    ] as const) {
      status = answer;
      // Submitting the same form again sends no second test event, so the test loads a new form.
      await page.reload();
      const before = received.length;
      expect(await sendTest()).toContain(words);
      expect(received).toHaveLength(before + 1);
    }
  });

  test("failed deliveries are resent one by one, and all together without script", async () => {
    const hook = page.url();
    const webhookId = hook.split("/").at(-1)!;
    const { dynamo, table, clock } = edge.deps;
    const tenant = await readTenant(edge.deps, TENANT);
    const sentAs = (id: string) => received.filter(({ headers }) => headers.get("webhook-id") === id);
    const tell = async (eventId: string) => {
      const at = timestamp(clock());
      const told = { kind: "isolation.requested" as const, eventId, at, data: { generation: 1 } };
      await dynamo("PutItem", eventPut(makeEvent(told, tenant, at), table));
    };
    status = 410;
    for (const id of ["evt_one", "evt_two", "evt_three"]) await tell(id);
    await page.goto(`${hook}?state=dead`);
    for (const id of ["evt_one", "evt_two", "evt_three"])
      await page.getByRole("button", { name: `Resend isolation.requested ${id}` }).waitFor();
    expect(await page.locator("#webhook-head").textContent()).toContain("3 failed deliveries");

    status = 204;
    await page.getByRole("button", { name: "Resend isolation.requested evt_two" }).click();
    await page.locator("main [role=status]", { hasText: "Delivery queued again" }).waitFor();
    await page.waitForFunction(() => !document.querySelector("main")!.textContent!.includes("evt_two"));
    await page.goto(`${hook}?state=delivered`);
    await page.locator("[data-key=evt_two]").waitFor();
    expect(["evt_one", "evt_two", "evt_three"].map((id) => sentAs(id).length)).toEqual([1, 2, 1]);

    const context = await browser.newContext({ javaScriptEnabled: false });
    await context.addCookies([{ name: "__session", value: await edge.session(), url: edge.origin }]);
    const plain = await context.newPage();
    await plain.goto(`${hook}?state=dead`);
    await plain.getByRole("button", { name: "Resend all failed" }).click();
    expect(await plain.locator("main [role=status]").first().textContent()).toContain(
      "2 deliveries queued again",
    );
    expect(await plain.getByRole("button", { name: /^Resend/ }).count()).toBe(0);
    await page.locator("[data-key=evt_one]").waitFor();
    await page.locator("[data-key=evt_three]").waitFor();
    expect(["evt_one", "evt_two", "evt_three"].map((id) => sentAs(id).length)).toEqual([2, 2, 2]);
    expect(
      (await listDeliveries(edge.deps, TENANT, { webhookId, state: "dead" }, { limit: 50 })).items,
    ).toMatchObject([{ kind: "webhook.test" }]);
    await context.close();
  });
});
