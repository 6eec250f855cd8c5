import type { Context } from "hono";
import { networkOf } from "../http/client-ip.ts";
import { edgeProblem, tooMany } from "../http/problem-response.ts";
import type { Env } from "../request-env.ts";
import { matchesTag } from "./catalogue-source.ts";
import type { CatalogueDeps } from "./deps.ts";

/** Handles `GET` of the signed catalogue. Public and cacheable: the document is signed and contains no tenant data. */
export async function serveCatalogue(
  c: Context<Env>,
  deps: Pick<CatalogueDeps, "catalogue" | "limits" | "sourceIp" | "clock" | "log" | "instruments">,
): Promise<Response> {
  const { newest, isLoaded } = deps.catalogue;
  if (!newest) return edgeProblem(c, "edge.no-catalogue");
  const limit = deps.limits.catalogue;
  const takeOne = () => limit.take(networkOf(deps.sourceIp(c.req.raw)));
  // Before a catalogue is loaded, any request can trigger a fetch, so the request is counted before
  // `newest()` is called. Once a catalogue is loaded, requests with a 304 response are not counted.
  const early = isLoaded() ? undefined : takeOne();
  if (early && !early.allowed) return tooMany(c, limit, early, deps);
  const catalogue = await newest();
  const headers = { etag: catalogue.etag, "cache-control": "public, max-age=300" };
  if (matchesTag(c.req.header("if-none-match"), catalogue.etag)) return c.body(null, 304, headers);
  const taken = early ?? takeOne();
  if (!taken.allowed) return tooMany(c, limit, taken, deps);
  return c.text(catalogue.document, 200, headers);
}
