import { createApi } from "../platform/api.ts";
import { confirmed } from "../platform/confirm.ts";
import { connectionOf } from "../platform/connect.ts";
import type { Verb } from "../platform/deps.ts";
import { assetTable, assetView, findAsset } from "./assets.ts";

export const run: Verb = async (args, deps) => {
  const api = createApi(connectionOf(args, deps), deps);
  const [old, next] = [await findAsset(api, args.operands[0]!), await findAsset(api, args.operands[1]!)];
  const both = [
    await api.get(`/v1/assets/${old}`, assetView),
    await api.get(`/v1/assets/${next}`, assetView),
  ];
  const lines = [...assetTable(both), ""];
  if (args.flags.has("dry-run"))
    return { json: both, lines: [...lines, `${old} would be revoked, and ${next} would replace it.`] };
  for (const line of lines) deps.note(line);
  await confirmed(args, `Revoke ${old} permanently and replace it by ${next}?`, deps);
  const body = {
    ...{ into: next, justification: args.texts.reason },
    evenIfActive: args.flags.has("even-if-active"),
  };
  const asset = await api.post(`/v1/assets/${old}/merge`, body, assetView, {
    "idempotency-key": crypto.randomUUID(),
  });
  return { json: asset, lines: [`${asset.hostname} (${old}): merged into ${next} and revoked`] };
};
