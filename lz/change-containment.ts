import { createApi } from "./api.ts";
import type { Arguments } from "./arguments.ts";
import { assetView, containmentText, findAsset } from "./assets.ts";
import { connectionOf } from "./connect.ts";
import type { Deps, Outcome } from "./deps.ts";
import { Misuse } from "./faults.ts";

const KEY = /^[A-Za-z0-9_-]{8,100}$/;

/** Asks for an isolation or a release. What comes back is the wish: the agent's proof follows by itself. */
export async function changeContainment(
  action: "isolate" | "release",
  args: Arguments,
  deps: Deps,
): Promise<Outcome> {
  const { reason, key = crypto.randomUUID(), mode = "observe" } = args.texts;
  if (!KEY.test(key)) throw new Misuse(`${action}: --key must be 8 to 100 letters, digits, "-" or "_"`);
  const api = createApi(connectionOf(args, deps), deps);
  const id = await findAsset(api, args.operands[0]!);
  const body = {
    justification: reason,
    ...(action === "isolate" && { mode }),
    ...(args.flags.has("every-copy") && { everyCopy: true }),
  };
  const asset = await api.post(`/v1/assets/${id}/${action}`, body, assetView, { "idempotency-key": key });
  const said = `${asset.hostname} (${asset.assetId}): ${containmentText(asset)}`;
  return { json: asset, lines: [said] };
}
