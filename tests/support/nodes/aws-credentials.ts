import { timestamp } from "../../../shared/time/clock.ts";

/**
 * Test doubles for the three services that issue AWS credentials. Each test double rejects the requests that
 * the documentation of its service says are rejected. A gate in front of DynamoDB and SQS rejects unknown and
 * expired credentials.
 */

type Issued = { sessionToken: string; secretAccessKey: string; expiresAtMs: number };

export type CredentialIssuer = {
  /** Lifetime of newly issued credentials, in milliseconds. */
  lifeMs: number;
  /** Issued credentials by access key id. */
  issued: ReadonlyMap<string, Issued>;
  issue: () => { AccessKeyId: string; SecretAccessKey: string; Token: string; Expiration: string };
  /** Returns the gate's error code for a request. Undefined if the gate forwards the request. */
  refusalOf: (request: Request) => string | undefined;
};

export function createCredentialIssuer(lifeMs: number, clock: () => number = Date.now): CredentialIssuer {
  const issued = new Map<string, Issued>();
  const issuer: CredentialIssuer = {
    lifeMs,
    issued,
    issue() {
      const number = issued.size + 1;
      const AccessKeyId = `ASIATEST${String(number).padStart(12, "0")}`;
      const one = {
        secretAccessKey: `secret-${number}-${crypto.randomUUID()}`,
        sessionToken: `token-${number}-${crypto.randomUUID()}`,
        expiresAtMs: clock() + issuer.lifeMs,
      };
      issued.set(AccessKeyId, one);
      return {
        AccessKeyId,
        SecretAccessKey: one.secretAccessKey,
        Token: one.sessionToken,
        Expiration: timestamp(one.expiresAtMs),
      };
    },
    refusalOf(request) {
      const id = /Credential=([^/]+)\//.exec(request.headers.get("authorization") ?? "")?.[1];
      const one = issued.get(id ?? "");
      if (one?.sessionToken !== request.headers.get("x-amz-security-token"))
        return "UnrecognizedClientException";
      return clock() < one!.expiresAtMs ? undefined : "ExpiredTokenException";
    },
  };
  return issuer;
}

type Server = { url: string; stop: () => Promise<void> };

function serve(fetch: (request: Request) => Response | Promise<Response>): Server {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 60, fetch });
  return { url: `http://127.0.0.1:${server.port}`, stop: () => server.stop(true) };
}

/**
 * Starts a gate that forwards requests to a service while their credentials are valid. `refused`: error codes
 * of rejected requests, in order.
 */
export function startCredentialGate(
  issuer: CredentialIssuer,
  endpoint: string,
): Server & { refused: string[]; passed: () => number } {
  const refused: string[] = [];
  let passed = 0;
  const server = serve(async (request) => {
    const { pathname } = new URL(request.url);
    const body = await request.arrayBuffer();
    // Agents of other tests probe every port of this machine. Their probes have no `x-amz-target` header.
    if (!request.headers.has("x-amz-target")) return new Response("not found", { status: 404 });
    const code = issuer.refusalOf(request);
    if (code) {
      refused.push(code);
      const answer = JSON.stringify({ __type: `com.amazon.coral.service#${code}`, message: "refused" });
      return new Response(answer, {
        status: 400,
        headers: { "content-type": "application/x-amz-json-1.0" },
      });
    }
    passed++;
    const headers = new Headers(request.headers);
    for (const name of ["host", "content-length", "accept-encoding"]) headers.delete(name);
    const response = await globalThis.fetch(`${endpoint}${pathname}`, { method: "POST", headers, body });
    return new Response(await response.arrayBuffer(), {
      status: response.status,
      headers: { "content-type": response.headers.get("content-type") ?? "" },
    });
  });
  return { ...server, refused, passed: () => passed };
}

/** `isDown`: true if the credential service is down and issues no credentials. */
type Behaviour = { isDown: boolean };

/**
 * Starts a stub of the credential endpoint of ECS and EKS Pod Identity. It issues credentials to a caller
 * with the authorization token.
 */
export function startContainerEndpoint(
  issuer: CredentialIssuer,
  token: () => string,
): Server & Behaviour & { url: string } {
  const state = { isDown: false };
  const server = serve((request) => {
    if (new URL(request.url).pathname !== "/v1/credentials")
      return new Response("not found", { status: 404 });
    if (state.isDown) return new Response("unavailable", { status: 503 });
    if (request.headers.get("authorization") !== token())
      return Response.json({ code: "AccessDenied" }, { status: 401 });
    return Response.json(issuer.issue());
  });
  return Object.assign(state, { ...server, url: `${server.url}/v1/credentials` });
}

const EC2_ROLE = "lz-edge";

/**
 * Starts a stub of the EC2 instance metadata service, IMDSv2 only. A session token needs a PUT request, and a
 * request without a valid token gets status 401.
 */
export function startInstanceMetadata(
  issuer: CredentialIssuer,
  clock: () => number = Date.now,
): Server & Behaviour & { tokens: Map<string, number>; role: string } {
  const state = { isDown: false, tokens: new Map<string, number>(), role: EC2_ROLE };
  const server = serve((request) => {
    const { pathname } = new URL(request.url);
    if (state.isDown) return new Response("unavailable", { status: 503 });
    // A request that a proxy has forwarded gets no token (EC2 User Guide).
    if (request.headers.has("x-forwarded-for")) return new Response("forbidden", { status: 403 });
    if (pathname === "/latest/api/token") {
      if (request.method !== "PUT") return new Response("method not allowed", { status: 405 });
      const seconds = Number(request.headers.get("x-aws-ec2-metadata-token-ttl-seconds"));
      if (!Number.isInteger(seconds) || seconds < 1 || seconds > 21_600)
        return new Response("bad request", { status: 400 });
      const token = crypto.randomUUID();
      state.tokens.set(token, clock() + seconds * 1000);
      return new Response(token);
    }
    const untilMs = state.tokens.get(request.headers.get("x-aws-ec2-metadata-token") ?? "") ?? 0;
    if (clock() >= untilMs) return new Response("unauthorized", { status: 401 });
    const folder = "/latest/meta-data/iam/security-credentials/";
    if (state.role === "") return new Response("not found", { status: 404 });
    if (pathname === folder) return new Response(state.role);
    if (pathname === `${folder}${state.role}`)
      return Response.json({ Code: "Success", Type: "AWS-HMAC", ...issuer.issue() });
    return new Response("not found", { status: 404 });
  });
  return Object.assign(state, server);
}

export const WEB_ROLE_ARN = "arn:aws:iam::123456789012:role/lz-edge";

/** Starts a stub of STS AssumeRoleWithWebIdentity. `token` returns the current token of the identity provider. */
export function startSts(
  issuer: CredentialIssuer,
  token: () => { value: string; expiresAtMs: number },
  { clock = Date.now, writesJson = true }: { clock?: () => number; writesJson?: boolean } = {},
): Server & Behaviour {
  const state = { isDown: false };
  const server = serve(async (request) => {
    if (state.isDown) return new Response("unavailable", { status: 503 });
    const asked = new URLSearchParams(await request.text());
    const isJson = writesJson && request.headers.get("accept") === "application/json";
    const refuse = (Code: string, status = 400) =>
      isJson
        ? Response.json({ Error: { Code, Message: "no", Type: "Sender" }, RequestId: "r" }, { status })
        : new Response(`<ErrorResponse><Error><Code>${Code}</Code></Error></ErrorResponse>`, { status });
    if (request.method !== "POST" || asked.get("Action") !== "AssumeRoleWithWebIdentity")
      return refuse("InvalidAction");
    if (asked.get("Version") !== "2011-06-15") return refuse("InvalidAction");
    if (asked.get("RoleArn") !== WEB_ROLE_ARN) return refuse("AccessDenied", 403);
    if (!/^[\w+=,.@-]{2,64}$/.test(asked.get("RoleSessionName") ?? "")) return refuse("ValidationError");
    const { value, expiresAtMs } = token();
    if (asked.get("WebIdentityToken") !== value) return refuse("InvalidIdentityToken");
    if (clock() >= expiresAtMs) return refuse("ExpiredTokenException");
    const { Token: SessionToken, Expiration, ...keys } = issuer.issue();
    if (isJson) {
      const Credentials = { ...keys, SessionToken, Expiration: Date.parse(Expiration) / 1000 };
      const AssumeRoleWithWebIdentityResult = { Credentials };
      return Response.json({ AssumeRoleWithWebIdentityResponse: { AssumeRoleWithWebIdentityResult } });
    }
    const members = Object.entries({ ...keys, SessionToken, Expiration });
    const xml = members.map(([name, member]) => `<${name}>${member}</${name}>`).join("");
    const result = `<AssumeRoleWithWebIdentityResult><Credentials>${xml}</Credentials></AssumeRoleWithWebIdentityResult>`;
    const name = "AssumeRoleWithWebIdentityResponse";
    const namespace = "https://sts.amazonaws.com/doc/2011-06-15/";
    return new Response(`<${name} xmlns="${namespace}">${result}</${name}>`, {
      headers: { "content-type": "text/xml" },
    });
  });
  return Object.assign(state, server);
}
