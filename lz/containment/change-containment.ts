import { IDEMPOTENCY_KEY_FORM } from "../../shared/wire/idempotency-key.ts";
import { assetView, containmentText, findAsset } from "../assets/assets.ts";
import { createApi } from "../platform/api.ts";
import type { Arguments } from "../platform/arguments.ts";
import { connectionOf } from "../platform/connect.ts";
import type { Deps, Outcome } from "../platform/deps.ts";
import { Misuse } from "../platform/faults.ts";

/**
 * Requests an isolation or a release. The response shows the requested state, and the agent proves it later
 * with a heartbeat.
 */
export async function changeContainment(
  action: "isolate" | "release",
  args: Arguments,
  deps: Deps,
): Promise<Outcome> {
  const { reason, key = crypto.randomUUID(), mode = "observe" } = args.texts;
  if (!IDEMPOTENCY_KEY_FORM.test(key))
    throw new Misuse(`${action}: --key must be 8 to 100 letters, digits, "-" or "_"`);
  const api = createApi(connectionOf(args, deps), deps);
  const id = await findAsset(api, args.operands[0]!);
  const body = {
    justification: reason,
    ...(action === "isolate" && { mode }),
    ...(args.flags.has("every-copy") && { everyCopy: true }),
  };
  const asset = await api.post(`/v1/assets/${id}/${action}`, body, assetView, { "idempotency-key": key });
  const line = `${asset.hostname} (${asset.assetId}): ${containmentText(asset)}`;
  return { json: asset, lines: [line] };
}
