import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import type { Browser, Page } from "playwright-core";
import { changeContainment } from "../../edge/admin/change-containment.ts";
import type { Deps } from "../../edge/deps.ts";
import { timestamp } from "../../shared/clock.ts";
import { marshalItem, values } from "../../shared/table/dynamo.ts";
import { assetKey } from "../../shared/table/keys.ts";
import { chromiumPath, lacking, launch } from "./chromium.ts";
import { company } from "./company.ts";
import { startEdge, TENANT } from "./edge.ts";
import { askerOf, furnishWebhook, requestIsolations } from "./furnish.ts";
import { fleetHours, type Host, putHosts, putItems } from "./seed.ts";

/** Takes the pictures of the README: `bun tests/browser/screenshots.ts [folder]`. */

/** Three hosts in containment: proven, pending and acknowledged, each by the real transaction. */
async function contain(deps: Deps, hosts: Host[], session: string): Promise<void> {
  const change = async (hostname: string, mode: "observe" | "network", justification: string) => {
    const { assetId } = hosts.find((host) => host.hostname === hostname)!;
    const { admin, ...origin } = await askerOf(deps, session);
    const asked = { assetId, action: "isolate" as const, mode, justification };
    const changed = await changeContainment(admin, { ...asked, ...origin }, deps);
    if (!changed.ok) throw new Error(`cannot isolate ${hostname}: ${changed.code}`);
    return { assetId, generation: changed.value.result.generation };
  };
  const proven = await change(
    "fin-lt-0233",
    "network",
    "INC-2291: renamed inference binary next to quarter-end ledgers",
  );
  await prove(deps, proven.assetId, proven.generation, "network");
  const observed = await change(
    "hq-lt-0610",
    "observe",
    "Rehearsal of the isolation runbook with the owner's consent",
  );
  await prove(deps, observed.assetId, observed.generation, "observe");
  await change("sales-lt-0088", "network", "INC-2294: customer list opened next to an unapproved engine");
}

/** What the worker writes from the agent's report. */
export async function prove(
  deps: Deps,
  assetId: string,
  generation: number,
  mode: "observe" | "network",
): Promise<void> {
  const probes = { controlPlaneReachable: true, forbiddenBlocked: mode === "observe" ? null : true };
  const proof = {
    generation,
    action: "isolate",
    mode,
    outcome: "applied",
    at: timestamp(Date.now()),
    probes,
  };
  await deps.dynamo("UpdateItem", {
    TableName: deps.table,
    Key: marshalItem(assetKey(TENANT, assetId)),
    UpdateExpression: "SET proof = :proof",
    ExpressionAttributeValues: values({ proof }),
  });
}

type Shot = {
  name: string;
  path: string;
  scheme?: "light" | "dark";
  width?: number;
  height?: number;
  full?: boolean;
  /** What a person does before the picture is taken. */
  act?: (page: Page) => Promise<void>;
};

async function tryPolicy(page: Page): Promise<void> {
  await page.locator("#approvedEngines").fill("ollama\nlm-studio");
  await page.locator("#bannedModels").fill("deepseek*");
  await page.getByRole("button", { name: "Try it on them first" }).first().click();
  await page.waitForSelector("#dry-run");
}

async function shoot(
  browser: Browser,
  origin: string,
  session: string,
  shot: Shot,
  folder: string,
): Promise<void> {
  const { name, path, scheme = "light", width = 1360, height = 900, full = false, act } = shot;
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: scheme,
    deviceScaleFactor: width < 600 ? 2 : 1,
    locale: "en-GB",
    timezoneId: "Europe/Stockholm",
  });
  await context.addCookies([{ name: "__session", value: session, url: origin }]);
  const page = await context.newPage();
  await page.goto(origin + path);
  await page.waitForTimeout(400);
  await act?.(page);
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: full });
  await context.close();
}

if (import.meta.main) {
  const executable = chromiumPath();
  if (!executable) {
    console.error(`needs ${lacking.join(", ")}`);
    process.exit(1);
  }
  const folder = resolve(process.argv[2] ?? `${import.meta.dir}/../../docs/screenshots`);
  mkdirSync(folder, { recursive: true });
  const edge = await startEdge();
  const { hosts, focus } = company(TENANT, Date.now());
  await putHosts(edge.deps, hosts);
  await putItems(edge.deps, fleetHours(TENANT, Date.now(), hosts.length));
  const session = await edge.session();
  await contain(edge.deps, hosts, session);
  const webhookId = await furnishWebhook(edge.deps, session, Date.now());
  const other = await edge.session({ userId: "jonas.weiss", sessionId: "sess_2mXk92" });
  await requestIsolations(edge.deps, other, [focus.assetId]);
  const contained = hosts.find((host) => host.hostname === "fin-lt-0233")!;
  const browser = await launch(executable);
  const asset = `/assets/${focus.assetId}`;
  const shots: Shot[] = [
    { name: "overview-light", path: "/", full: true },
    { name: "overview-dark", path: "/", scheme: "dark", full: true },
    { name: "incidents-light", path: "/incidents", full: true },
    {
      name: "incident-dark",
      path: `/incidents/${focus.assetId}.exposed-engine.ollama`,
      scheme: "dark",
      full: true,
    },
    { name: "asset-light", path: asset, height: 1320 },
    { name: "containment-light", path: `/assets/${contained.assetId}`, full: true },
    { name: "inventory-light", path: "/inventory", full: true },
    { name: "report-light", path: "/report", full: true },
    { name: "policy-light", path: "/policy", full: true },
    { name: "policy-tried-light", path: "/policy", height: 1000, act: tryPolicy },
    { name: "approvals-light", path: "/approvals", height: 640 },
    { name: "webhook-dark", path: `/integrations/${webhookId}`, scheme: "dark", full: true },
    { name: "integrations-light", path: "/integrations", full: true },
    { name: "model-light", path: "/inventory/model?name=llama3.1%3A8b", height: 800 },
    { name: "approvals-phone", path: "/approvals", width: 360, height: 780, scheme: "dark" },
    { name: "settings-dark", path: "/settings", scheme: "dark", full: true },
    { name: "report-phone", path: "/report", width: 360, height: 780 },
    { name: "incidents-phone", path: "/incidents", width: 360, height: 780, scheme: "dark" },
    { name: "custody-light", path: "/custody", full: true },
    { name: "overview-phone", path: "/", width: 360, height: 780 },
    {
      name: "trend-phone",
      path: "/",
      width: 360,
      height: 780,
      scheme: "dark",
      act: (page) => page.locator("#trend").evaluate((trend) => trend.scrollIntoView()),
    },
    { name: "asset-phone", path: asset, width: 360, height: 780, scheme: "dark" },
  ];
  for (const shot of shots) await shoot(browser, edge.origin, session, shot, folder);
  await browser.close();
  await edge.stop();
  console.log(`${shots.length} pictures in ${folder}`);
}
