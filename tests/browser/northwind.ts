import type { BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { evidenceOf } from "../../agent/scan/identify/confidence.ts";
import type { Dynamo } from "../../shared/table/dynamo.ts";
import { chromiumPath, launch } from "./chromium.ts";
import { company } from "./company.ts";
import { type Edge, startEdge, TENANT } from "./edge.ts";
import { containTo, furnishWebhook, OUTCOMES, requestIsolations, setFourEyes } from "./scenarios.ts";
import { createIds, engineOf, fleetHours, type Host, putHosts, putItems } from "./seed.ts";

export const HOSTILE = "<img src=x onerror=alert(1)>";

/** Two more organisations. Database reads fail for the first one. The second one has no data. */
export const AWAY = "org_2mW8vFqkT4away";
export const EMPTY = "org_2mW8vFqkT4empty";
/** Makes every database call for the unavailable organisation fail. */
const withOneAway = (dynamo: Dynamo): Dynamo =>
  ((operation: never, input: never) => {
    if (JSON.stringify(input).includes(AWAY)) throw new Error("the table is away");
    return dynamo(operation, input);
  }) as unknown as Dynamo;

/** A demo company with data for every page, and a browser signed in as its administrator. */
export type Northwind = {
  edge: Edge;
  /** Session token of an administrator. */
  session: string;
  /** Id of a webhook that has deliveries in all states. */
  webhookId: string;
  /** Paths of all pages, keyed by a name for the page. */
  paths: Record<string, string>;
  /**
   * Opens a browser page. `complaints`: console errors, policy violations, dialogs and requests to other
   * origins on this page.
   */
  open(
    more?: BrowserContextOptions,
    cookie?: string | null,
  ): Promise<{ context: BrowserContext; page: Page; complaints: string[] }>;
  stop(): Promise<void>;
};

export const nextId = createIds(Date.now());

/** A host in which every name is an injection attempt. */
export const hostileHost = (): Host => ({
  tenantId: TENANT,
  assetId: nextId(),
  hostname: HOSTILE,
  employeeId: "mallory",
  os: HOSTILE,
  enrolledAtMs: Date.now(),
  lastSeenAtMs: Date.now(),
  states: [
    {
      atMs: Date.now(),
      engines: [
        engineOf({
          name: HOSTILE,
          bind: ["0.0.0.0"],
          models: [{ name: `${HOSTILE}${"x".repeat(150)}`, loaded: true }],
          evidence: [evidenceOf("httpIdentity", `<script>alert(1)</script>${"y".repeat(180)}`)],
        }),
      ],
      score: 80,
    },
  ],
  findings: [
    {
      finding: {
        rule: "exposed-engine",
        engine: "ollama",
        engineName: HOSTILE,
        risk: "CRITICAL",
        points: 80,
        explanation: '"><script>alert(1)</script><svg onload=alert(1)>',
      },
      openedAtMs: Date.now(),
    },
  ],
});

export async function startNorthwind(): Promise<Northwind> {
  const edge = await startEdge(
    { LZ_AGENT_DOWNLOAD_URL: "https://files.northwind.example/agent" },
    withOneAway,
  );
  const built = company(TENANT, Date.now());
  const hostile = hostileHost();
  const { focus } = built;
  await putHosts(edge.deps, [...built.hosts, hostile]);
  await putItems(edge.deps, fleetHours(TENANT, Date.now(), built.hosts.length));
  const session = await edge.session();
  const webhookId = await furnishWebhook(edge.deps, session, Date.now());
  const other = await edge.session({ userId: "jo.second", sessionId: "sess_2" });
  const [quiet, another] = built.hosts;
  await requestIsolations(edge.deps, session, [quiet!.assetId]);
  await requestIsolations(edge.deps, other, [another!.assetId]);
  await setFourEyes(edge.deps, session, false);
  const contained: Record<string, string> = {};
  for (const [index, outcome] of OUTCOMES.entries()) {
    const { assetId } = built.hosts[index + 2]!;
    await containTo(edge.deps, session, assetId, outcome);
    contained[outcome] = `/assets/${assetId}`;
  }
  const browser = await launch(chromiumPath()!);
  const paths = {
    ...contained,
    overview: "/",
    incidents: "/incidents",
    assets: "/assets",
    asset: `/assets/${focus.assetId}`,
    hostile: `/assets/${hostile.assetId}`,
    inventory: "/inventory",
    model: "/inventory/model?name=llama3.1%3A8b",
    "model of nobody": "/inventory/model?name=none",
    approvals: "/approvals",
    "asset that waits": `/assets/${quiet!.assetId}`,
    integrations: "/integrations",
    webhook: `/integrations/${webhookId}`,
    "webhook, given up": `/integrations/${webhookId}?state=dead`,
    employees: "/employees",
    employee: "/employees/tomas.berg",
    custody: "/custody",
    report: "/report",
    "report of one day": "/report?from=2020-01-01&to=2020-01-01",
    policy: "/policy",
    settings: "/settings",
    switching: "/sign-in?switch",
    incident: `/incidents/${focus.assetId}.exposed-engine.ollama`,
    enrol: "/enrol",
    nothing: "/incidents?q=matches-nothing",
    "resolved incidents": "/incidents?status=resolved",
    "incidents of a rule": "/incidents?rule=exposed-engine&age=older&answered=no",
    "inventory that is searched": "/inventory?q=llama",
    "no model": "/inventory?q=matches-nothing",
    "no asset": "/assets?q=matches-nothing",
  };

  async function open(more: BrowserContextOptions = {}, cookie: string | null = session) {
    const context = await browser.newContext({ timezoneId: "Europe/Stockholm", locale: "en-GB", ...more });
    if (cookie) await context.addCookies([{ name: "__session", value: cookie, url: edge.origin }]);
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => {
      // Browsers log every 4xx response for the page as a console error.
      if (message.type() === "error" && !message.text().includes("the server responded with a status of 4")) {
        complaints.push(message.text());
      }
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("dialog", (dialog) => {
      complaints.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(edge.origin)) complaints.push(`request to ${request.url()}`);
    });
    return { context, page, complaints };
  }

  return {
    edge,
    session,
    webhookId,
    paths,
    open,
    async stop() {
      await browser.close();
      await edge.stop();
    },
  };
}
