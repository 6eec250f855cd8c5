import { z } from "zod";
import { NEVER_FOR_KEYS, PERMISSIONS, ROLES } from "../../auth/permissions.ts";
import {
  apiKeyView,
  enrolmentTokenView,
  madeKeyView,
  madeTokenView,
} from "../../control/credentials/credential-views.ts";
import {
  createApiKey,
  listApiKeys,
  readApiKey,
  revokeApiKey,
} from "../../control/credentials/manage-api-keys.ts";
import {
  createEnrolmentToken,
  listEnrolmentTokens,
  readEnrolmentToken,
  revokeEnrolmentToken,
} from "../../control/credentials/manage-enrolment-tokens.ts";
import { justified, words } from "../../control/justification.ts";
import { operation } from "../define-operation.ts";
import { keyParams, page, pageFrom, tokenParams } from "../request-schemas.ts";
import { pageOf } from "../response-schemas.ts";

const tokens = { tag: "Enrolment tokens", needs: "manage-tokens" } as const;
const keys = { tag: "API keys", needs: "manage-keys" } as const;
const TOKEN_HOURS_MAX = 24 * 90;
const KEY_DAYS_MAX = 365;

const listTokens = operation({
  ...tokens,
  id: "listEnrolmentTokens",
  method: "get",
  path: "/enrolment-tokens",
  summary: "List enrolment tokens, newest first",
  query: page,
  success: 200,
  answer: pageOf(enrolmentTokenView),
  run: async ({ admin, query }, deps) => ({
    ok: true,
    value: { body: await listEnrolmentTokens(deps, admin.tenantId, pageFrom(query)) },
  }),
});

const createToken = operation({
  ...tokens,
  id: "createEnrolmentToken",
  method: "post",
  path: "/enrolment-tokens",
  summary: "Create an enrolment token for new devices",
  body: z.strictObject({
    uses: z
      .int()
      .min(1)
      .max(100_000)
      .default(1)
      .meta({ description: "Number of devices that can enrol with the token." }),
    hours: z.int().min(1).max(TOKEN_HOURS_MAX).default(24),
  }),
  success: 201,
  answer: madeTokenView,
  refusals: ["admin.conflict"],
  async run({ body, asker }, deps) {
    const made = await createEnrolmentToken(asker, body, deps);
    return made.ok ? { ok: true, value: { body: made.value } } : made;
  },
});

const revokeToken = operation({
  ...tokens,
  id: "revokeEnrolmentToken",
  method: "post",
  path: "/enrolment-tokens/{tokenId}/revoke",
  summary: "Revoke an enrolment token",
  description: "No more devices can enrol with the token. Devices that already enrolled stay enrolled.",
  params: tokenParams,
  body: justified,
  success: 200,
  answer: enrolmentTokenView,
  refusals: ["admin.conflict"],
  async run({ admin, params: { tokenId }, body, asker }, deps) {
    const done = await revokeEnrolmentToken(asker, { tokenId, ...body }, deps);
    if (!done.ok) return done;
    return { ok: true, value: { body: await readEnrolmentToken(deps, admin.tenantId, tokenId) } };
  },
});

const listKeys = operation({
  ...keys,
  id: "listApiKeys",
  method: "get",
  path: "/api-keys",
  summary: "List API keys, newest first",
  query: page,
  success: 200,
  answer: pageOf(apiKeyView),
  run: async ({ admin, query }, deps) => ({
    ok: true,
    value: { body: await listApiKeys(deps, admin.tenantId, pageFrom(query)) },
  }),
});

const scopes = z
  .array(z.enum(PERMISSIONS).exclude([...NEVER_FOR_KEYS] as ["approve", "manage-keys"]))
  .min(1)
  .max(PERMISSIONS.length)
  .optional()
  .meta({
    description:
      "Limits the API key to these permissions of its role. Default: all permissions of the role that API keys can have.",
  });

const createKey = operation({
  ...keys,
  id: "createApiKey",
  method: "post",
  path: "/api-keys",
  summary: "Create an API key for a program",
  description:
    "Only the first response contains the key. API keys cannot approve requests or manage API keys, regardless of their role.",
  body: z.strictObject({
    name: words(120),
    role: z.enum(ROLES),
    scopes,
    days: z
      .int()
      .min(1)
      .max(KEY_DAYS_MAX)
      .default(90)
      .meta({ description: "Number of days until the key expires." }),
  }),
  success: 201,
  answer: madeKeyView,
  refusals: ["admin.conflict"],
  async run({ admin, body, asker }, deps) {
    const made = await createApiKey(asker, body, deps);
    if (!made.ok) return made;
    const { keyId, key } = made.value;
    const apiKey = await readApiKey(deps, admin.tenantId, keyId);
    return { ok: true, value: { body: { ...(key !== undefined && { key }), apiKey } } };
  },
});

const revokeKey = operation({
  ...keys,
  id: "revokeApiKey",
  method: "post",
  path: "/api-keys/{keyId}/revoke",
  summary: "Revoke an API key",
  description: "The key is refused from the next request on.",
  params: keyParams,
  body: justified,
  success: 200,
  answer: apiKeyView,
  refusals: ["admin.conflict"],
  async run({ admin, params: { keyId }, body, asker }, deps) {
    const done = await revokeApiKey(asker, { keyId, ...body }, deps);
    if (!done.ok) return done;
    return { ok: true, value: { body: await readApiKey(deps, admin.tenantId, keyId) } };
  },
});

export const credentialOperations = [listTokens, createToken, revokeToken, listKeys, createKey, revokeKey];
