import { z } from "zod";

const INCIDENT_ID = /^([0-7][0-9A-HJKMNP-TV-Z]{25})\.([a-z0-9][a-z0-9-]{0,63})\.([a-z0-9][a-z0-9-]{0,63})$/;

export const incidentName = z.string().regex(INCIDENT_ID);

/** Splits an incident id that was already validated into its components. */
export function incidentParts(id: string): { assetId: string; rule: string; engine: string } {
  const [, asset, rule, engine] = INCIDENT_ID.exec(id)!;
  return { assetId: asset!, rule: rule!, engine: engine! };
}
