import { z } from "zod";
import { createApi } from "../platform/api.ts";
import { connectionOf } from "../platform/connect.ts";
import type { Verb } from "../platform/deps.ts";
import { count, table } from "../platform/text-table.ts";

const incidentView = z.looseObject({
  id: z.string(),
  assetId: z.string(),
  hostname: z.string(),
  risk: z.string(),
  rule: z.string(),
  engineName: z.string(),
  explanation: z.string(),
  openedAt: z.string(),
});

export const run: Verb = async (args, deps) => {
  const api = createApi(connectionOf(args, deps), deps);
  const risks = args.texts.risk ? [args.texts.risk] : ["critical", "warning"];
  const incidents: z.infer<typeof incidentView>[] = [];
  for (const risk of risks) {
    const path = `/v1/incidents?risk=${risk.toUpperCase()}`;
    incidents.push(...(await api.list(path, incidentView, args.integers.limit!)));
  }
  const rows = incidents.map((incident) => [
    incident.risk,
    incident.hostname,
    incident.rule,
    incident.engineName,
    incident.openedAt,
    incident.assetId,
  ]);
  const head = ["RISK", "HOST", "RULE", "ENGINE", "OPENED", "ASSET"];
  return { json: incidents, lines: [...table(head, rows), "", count(incidents.length, "open incident")] };
};
