import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { EDGE_PROBLEMS, type EdgeProblemCode } from "../edge/http/edge-problems.ts";
import { REFUSALS, type RefusalCode } from "../shared/verdict.ts";
import { markdownTable } from "./markdown-table.ts";

/** Path of the generated page, relative to the root of the repository. */
export const ERRORS_PAGE = "docs/errors.md";

type Code = RefusalCode | EdgeProblemCode;

/** Advice for each code. The type makes this list complete. */
const FIXES: Readonly<Record<Code, string>> = {
  "wire.malformed": "Correct the request. `detail` names the first invalid value.",
  "wire.media-type": "Send `Content-Type: application/json`.",
  "wire.too-large": "Send a smaller body. `detail` names the limit in bytes.",
  "wire.unsigned": "Sign the request as described in [the wire protocol](wire.md).",
  "wire.stale": "Set the clock of the host. `time` is the time of the edge.",
  "wire.bad-signature":
    "Agents open a new session by themselves. If the error persists, check that the device key belongs to this asset.",
  "wire.headers-too-large": "Send fewer or shorter headers. Their total limit is 12 KiB.",
  "wire.too-slow": "Send the body within 10 seconds.",
  "wire.too-many": "Wait for the number of seconds in `Retry-After`. `detail` names the limit.",
  "wire.session-expired": "Open a new session. Agents do so by themselves.",
  "asset.revoked": "Enrol the host as a new asset if it must report again.",
  "asset.copied": "Create a new enrolment token and enrol this machine with it.",
  "enrolment.invalid-token": "Create a new enrolment token and use it before it expires.",
  "enrolment.used-up": "Create a token with more uses.",
  "enrolment.needs-control-key": "Send the request to a node with `LZ_ROLE=admin` or `all`.",
  "admin.unauthenticated": "Send a valid session token or API key as bearer credential, or sign in.",
  "admin.no-organisation": "Choose an organisation at the identity provider and sign in again.",
  "admin.forbidden": "Ask an administrator for the permission. `detail` can state a different reason.",
  "admin.cross-site": "Reload the page and submit the form again.",
  "admin.not-found": "Check that the id is correct and belongs to your organisation.",
  "admin.invalid": "Correct the request. `detail` names the invalid values.",
  "admin.method": "Use one of the methods in the `Allow` header.",
  "admin.outdated": "Read the resource again, apply your change to it, and send its new ETag as `If-Match`.",
  "admin.unconditional": "Send the ETag that you read as `If-Match`.",
  "admin.conflict": "Read `detail`. `current` contains the current state of the resource, if there is one.",
  "admin.too-long": "Choose a shorter period, or export JSON, which has no limit.",
  "admin.copies":
    "Revoke the asset and enrol each machine with a separate token, or set `everyCopy` to change all machines.",
  "admin.capped": "Wait until the next hour, or let an administrator isolate with `breakGlass`.",
  "admin.read-only": "Send the change to a node that has the control key (`LZ_CONTROL_KEY`).",
  "edge.no-route": "Check the path. The API begins with `/v1`.",
  "edge.not-served": "Send the request to a node with the role that the title names.",
  "edge.no-enrolment": "Send enrolments to a node with `LZ_ENROL_KEY` or `LZ_CONTROL_KEY`.",
  "edge.no-polls": "No action is needed. Agents receive directives with their heartbeats.",
  "edge.no-catalogue": "Set `LZ_CATALOGUE_URL`, or use the catalogue that is built into the agent.",
  "edge.unavailable":
    "Retry after the number of seconds in `Retry-After`. If the error persists, read `/readyz`.",
};

/** The text of docs/errors.md. */
export function errorsPage(): string {
  const codes: Record<Code, { status: number; title: string }> = { ...REFUSALS, ...EDGE_PROBLEMS };
  const rows = Object.entries(codes).map(([code, { status, title }]) => [
    `\`${code}\``,
    String(status),
    title,
    FIXES[code as Code],
  ]);
  return `# Error codes

Generated from \`shared/verdict.ts\` and \`edge/http/edge-problems.ts\`. Change it there, then run \`bun tools/write-errors.ts\`.

The edge responds to a failed request with a problem document (RFC 9457): \`{"type", "status", "code", "title", "requestId"}\`,
and \`detail\` if there are details. Codes are stable: a program can depend on them. Titles are for people and may change.
The \`requestId\` is also in the log line of the request.

${markdownTable([["Code", "Status", "Meaning", "What to do"], ...rows])}
`;
}

if (import.meta.main) writeFileSync(join(import.meta.dir, "..", ERRORS_PAGE), errorsPage());
