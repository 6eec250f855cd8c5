import type { Context } from "hono";
import { isDirectiveDue } from "../../shared/containment/containment-state.ts";
import { refuse, type Verdict } from "../../shared/verdict.ts";
import { DIRECTIVE_HOLD_MS, directivePoll } from "../../shared/wire/directive-poll.ts";
import { authenticate } from "../heartbeat/admit-heartbeat.ts";
import type { PendingAction } from "../heartbeat/read-pending-actions.ts";
import { invalidPathOf, parseJson } from "../http/parse-json.ts";
import { refusal, tooMany } from "../http/problem-response.ts";
import type { Env } from "../request-env.ts";
import type { DirectiveDeps } from "./deps.ts";
import type { LongPolls } from "./long-polls.ts";

const BODY_BYTES_MAX = 1024;
/**
 * Retry-After in seconds when the node has reached its maximum number of long polls. Until the retry, agents
 * receive directives with heartbeats.
 */
const FULL_RETRY_AFTER_SECONDS = 60;
/**
 * Margin in seconds that is added to a connection's idle timeout during a long poll. With it, the runtime
 * does not close the connection before the response.
 */
const IDLE_SLACK_SECONDS = 5;

/**
 * Handles `POST /v1/directive`, a long poll. Responds with 200 as soon as there is a directive that is newer
 * than the agent's directive, and with 204 after {@link DIRECTIVE_HOLD_MS} without such a directive. Requests are
 * authenticated like heartbeats.
 */
export async function respondToPoll(
  c: Context<Env>,
  polls: LongPolls,
  deps: DirectiveDeps,
): Promise<Response> {
  const request = c.req.raw;
  const authentic = await authenticate(request, BODY_BYTES_MAX, deps);
  if (!authentic.ok) return refusal(c, authentic, deps);
  const { tenantId, assetId } = authentic.value.session.id;
  const taken = deps.limits.device.take(assetId);
  if (!taken.allowed) return tooMany(c, deps.limits.device, taken, deps);
  const body = parsePoll(authentic.value.body);
  if (!body.ok) return refusal(c, body, deps);
  const { generation } = body.value;
  const isDue = (action: PendingAction | undefined): action is PendingAction =>
    action !== undefined && (action.revoked || isDirectiveDue(action, generation, deps.clock()));

  let action = (await deps.pendingActions.of(tenantId)).get(assetId);
  if (!isDue(action)) {
    deps.keepOpen?.(request, DIRECTIVE_HOLD_MS / 1000 + IDLE_SLACK_SECONDS);
    const { signal } = request;
    const polling = polls.open({ tenantId, assetId, isDue, holdMs: DIRECTIVE_HOLD_MS, signal });
    if (!polling) {
      c.header("retry-after", String(FULL_RETRY_AFTER_SECONDS));
      return c.body(null, 204);
    }
    action = await polling;
  }
  if (!isDue(action)) return c.body(null, 204);
  if (action.revoked) return refusal(c, refuse("asset.revoked"), deps);
  return c.json({ directive: action.directive }, 200, { "cache-control": "no-store" });
}

function parsePoll(body: Uint8Array<ArrayBuffer>): Verdict<{ generation: number }> {
  const json = parseJson(body);
  if (!json.ok) return json;
  const parsed = directivePoll.safeParse(json.value);
  if (parsed.success) return { ok: true, value: parsed.data };
  return refuse("wire.malformed", invalidPathOf(parsed.error));
}
