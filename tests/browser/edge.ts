import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { createApp } from "../../edge/app.ts";
import { assemble } from "../../edge/composition-root.ts";
import { readConfig } from "../../edge/config.ts";
import type { Deps } from "../../edge/deps.ts";
import { startDynamodb } from "../../local/dynamodb.ts";
import { createTable, embeddedClient } from "../../local/table.ts";
import { base64url } from "../../shared/encoding/bytes.ts";
import type { Dynamo } from "../../shared/table/dynamo.ts";

/** A real environment for the pages: embedded DynamoDB, a key server, and the edge on a network socket. */
export type Edge = {
  origin: string;
  deps: Deps;
  /** Creates a session token in the same form as Clerk's tokens. */
  session(claims?: {
    tenantId?: string;
    userId?: string;
    role?: string;
    sessionId?: string;
    seconds?: number;
  }): Promise<string>;
  /** Signs any payload with the key of the identity provider. */
  sign(payload: object): Promise<string>;
  stop(): Promise<void>;
};

export const TENANT = "org_2mW8vFqkT4northwind";

const secret = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

export async function startEdge(
  environment: Record<string, string> = {},
  /** Wraps the database client, so that a test can intercept its calls. */
  through: (dynamo: Dynamo) => Dynamo = (dynamo) => dynamo,
): Promise<Edge> {
  const database = await startDynamodb(() => {});
  await createTable(embeddedClient(database.endpoint));
  const issuer = await startIssuer();
  const control = await generateKeyPair("EdDSA", { extractable: true });
  const controlJwk = { ...(await exportJWK(control.privateKey)), kid: "control-1" };
  const { d: _private, ...controlPublic } = controlJwk as Record<string, unknown>;
  // The app needs the server's origin as an authorised party. The server therefore starts before the app.
  let answer: (request: Request) => Response | Promise<Response> = () => new Response(null, { status: 503 });
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 30,
    fetch: (request) => answer(request),
  });
  const origin = `http://127.0.0.1:${server.port}`;
  const config = readConfig({
    LZ_EDGE_SECRETS: `v1:${secret()}`,
    LZ_QUEUE_KEYS: `v1:${secret()}`,
    LZ_CONTROL_JWKS: JSON.stringify({ keys: [controlPublic] }),
    LZ_CONTROL_KEY: JSON.stringify(controlJwk),
    LZ_ADMIN_ISSUER: issuer.origin,
    LZ_ADMIN_JWKS_URL: `${issuer.origin}/jwks`,
    LZ_ADMIN_PARTIES: origin,
    LZ_SIGN_IN_URL: `${issuer.origin}/sign-in`,
    ...environment,
    SQS_QUEUE_URL: "http://127.0.0.1:9/000000000000/unused",
    DYNAMODB_ENDPOINT: database.endpoint,
    AWS_REGION: "eu-central-1",
    AWS_ACCESS_KEY_ID: "local",
    AWS_SECRET_ACCESS_KEY: "local",
  });
  const assembled = await assemble(config, { sharesIo: true, sourceIp: () => "203.0.113.24" });
  const deps: Deps = { ...assembled, dynamo: through(assembled.dynamo), log: () => {} };
  const app = createApp(deps);
  answer = (request) => app.fetch(request);
  return {
    origin,
    deps,
    session: (claims = {}) => issuer.session(origin, claims),
    sign: issuer.sign,
    async stop() {
      await server.stop(true);
      await issuer.stop();
      await database.stage.stop();
    },
  };
}

async function startIssuer() {
  const keys = await generateKeyPair("RS256", { extractable: true });
  const jwks = {
    keys: [{ ...(await exportJWK(keys.publicKey)), kid: "issuer-1", alg: "RS256", use: "sig" }],
  };
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => Response.json(jwks) });
  const origin = `http://127.0.0.1:${server.port}`;
  return {
    origin,
    session(
      party: string,
      claims: { tenantId?: string; userId?: string; role?: string; sessionId?: string; seconds?: number },
    ) {
      const {
        tenantId = TENANT,
        userId = "mara.lindqvist",
        role = "admin",
        sessionId = "sess_2mXk91",
        seconds = 3600,
      } = claims;
      return new SignJWT({ sid: sessionId, azp: party, o: { id: tenantId, rol: role } })
        .setProtectedHeader({ alg: "RS256", kid: "issuer-1" })
        .setIssuer(origin)
        .setSubject(userId)
        .setIssuedAt()
        .setExpirationTime(`${seconds}s`)
        .sign(keys.privateKey);
    },
    sign: (payload: object) =>
      new SignJWT({ ...payload }).setProtectedHeader({ alg: "RS256", kid: "issuer-1" }).sign(keys.privateKey),
    stop: () => server.stop(true),
  };
}
