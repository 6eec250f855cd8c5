import { afterEach, describe, expect, test } from "bun:test";
import type { Host } from "../../../../edge/credentials/ask.ts";
import { chooseCredentials } from "../../../../edge/credentials/choose-source.ts";
import type { CredentialSettings } from "../../../../edge/credentials/settings.ts";
import { staticCredentials } from "../../../../edge/credentials/static-keys.ts";
import { HOUR_MS } from "../../../../shared/time/durations.ts";
import {
  createCredentialIssuer,
  startContainerEndpoint,
  startInstanceMetadata,
  startSts,
  WEB_ROLE_ARN,
} from "../../../support/nodes/aws-credentials.ts";

const servers: { stop: () => Promise<void> }[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});
const started = <T extends { stop: () => Promise<void> }>(server: T): T => {
  servers.push(server);
  return server;
};

/** Test setup: a credential provider with these settings and files, and the lines that it logs. */
function provider(settings: CredentialSettings, files: Record<string, string> = {}, fetched = fetch) {
  const logged: string[] = [];
  const readFile = async (path: string) => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error(path), { name: "NotFound" });
    return text;
  };
  const host: Host = { fetch: fetched as Host["fetch"], readFile };
  const chosen = chooseCredentials(host)(
    { AWS_REGION: "eu-central-1", ...settings },
    {
      clock: Date.now,
      random: () => 0,
      log: (level, event, fields = {}) =>
        void logged.push(JSON.stringify({ level, event, ...fields, error: String(fields.error) })),
    },
  );
  return { ...chosen, logged };
}
const faultOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "none",
    (error: Error) => `${error.name}: ${error.message}`,
  );

describe("container endpoint", () => {
  test("returns credentials for the token of the settings or of a file; the file has priority", async () => {
    const issuer = createCredentialIssuer(HOUR_MS);
    let present = "first";
    const { url } = started(startContainerEndpoint(issuer, () => present));
    const full = { AWS_CONTAINER_CREDENTIALS_FULL_URI: url };
    const byValue = provider({ ...full, AWS_CONTAINER_AUTHORIZATION_TOKEN: "first" });
    expect(await byValue.get()).toMatchObject({ accessKeyId: "ASIATEST000000000001" });
    expect(byValue.logged[0]).toContain('"source":"container-endpoint"');
    expect(byValue.logged[0]).toContain('"expiresAt":"');
    present = "second";
    const files = { "/token": "second\n" };
    const tokens = {
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: "/token",
      AWS_CONTAINER_AUTHORIZATION_TOKEN: "first",
    };
    const { accessKeyId, sessionToken, secretAccessKey, expiresAtMs } = await provider(
      { ...full, ...tokens },
      files,
    ).get();
    expect({ sessionToken, secretAccessKey, expiresAtMs }).toEqual(issuer.issued.get(accessKeyId)!);
  });

  test.each([
    ["no token", {}],
    ["a wrong token", { AWS_CONTAINER_AUTHORIZATION_TOKEN: "stolen-token" }],
    ["a file that is not there", { AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: "/none" }],
    ["a file of two tokens", { AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: "/two" }],
    ["a token with a line break", { AWS_CONTAINER_AUTHORIZATION_TOKEN: "right\r\nx-evil: 1" }],
  ])("%s returns no credentials, and neither log nor error contains the token", async (_what, tokens) => {
    const { url } = started(startContainerEndpoint(createCredentialIssuer(HOUR_MS), () => "right"));
    const { get, logged, problem } = provider(
      { AWS_CONTAINER_CREDENTIALS_FULL_URI: url, ...tokens },
      { "/two": "right wrong" },
    );
    const fault = await faultOf(get());
    expect(fault).toStartWith("CredentialFault: container-endpoint: ");
    expect(problem()).toBe("away");
    expect(logged).toHaveLength(1);
    expect(logged[0]).toContain('"level":"error","event":"credentials.not-renewed"');
    expect(`${fault}${logged.join()}`).not.toMatch(/stolen-token|right/);
  });

  test.each([
    "http://192.0.2.7/v1/credentials",
    "http://169.254.169.254/v1/credentials",
    "http://localhost.example.com/",
    "http://127.0.0.1.example.com/",
    "http://[fd00:ec2::24]/",
    "ftp://127.0.0.1/",
    "file:///etc/passwd",
    "nothing",
  ])("%s must not get the token: the edge does not start", (url) => {
    expect(() => provider({ AWS_CONTAINER_CREDENTIALS_FULL_URI: url })).toThrow("must use https");
  });

  test.each([
    "https://credentials.example.com/x",
    "http://127.7.7.7:81/x",
    "http://[::1]/x",
    "http://169.254.170.23/v1/credentials",
    "http://[fd00:ec2::23]/v1/credentials",
  ])("%s can get the token", (url) => {
    expect(() => provider({ AWS_CONTAINER_CREDENTIALS_FULL_URI: url })).not.toThrow();
  });

  test("a relative URI is requested at the address of ECS", async () => {
    const urls: string[] = [];
    const recorder = (async (url: string) => {
      urls.push(url);
      return new Response("", { status: 500 });
    }) as unknown as typeof fetch;
    await faultOf(
      provider({ AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: "/v2/credentials/a" }, {}, recorder).get(),
    );
    expect(urls).toEqual(["http://169.254.170.2/v2/credentials/a"]);
    for (const path of ["//evil.example.com/x", "/\\evil.example.com/x", "http://evil.example.com/", "v2/x"])
      expect(() => provider({ AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: path })).toThrow("must be a path");
  });

  test("a redirect is not followed, so that the token is sent to no other server", async () => {
    const asked: string[] = [];
    const thief = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request) => {
        asked.push(request.headers.get("authorization") ?? "");
        return Response.json(createCredentialIssuer(HOUR_MS).issue());
      },
    });
    const location = `http://127.0.0.1:${thief.port}/`;
    const redirect = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => new Response(null, { status: 307, headers: { location } }),
    });
    const full = `http://127.0.0.1:${redirect.port}/`;
    const settings = { AWS_CONTAINER_CREDENTIALS_FULL_URI: full, AWS_CONTAINER_AUTHORIZATION_TOKEN: "right" };
    expect(await faultOf(provider(settings).get())).toContain("responded with 307");
    expect(asked.filter((token) => token === "right")).toEqual([]);
    await Promise.all([thief.stop(true), redirect.stop(true)]);
  });

  test.each([
    ["HTML", "<html>sign in</html>"],
    ["no end", JSON.stringify({ AccessKeyId: "a", SecretAccessKey: "b", Token: "c" })],
    [
      "an end that is no date",
      JSON.stringify({ AccessKeyId: "a", SecretAccessKey: "b", Token: "c", Expiration: "soon" }),
    ],
    [
      "no session token",
      JSON.stringify({ AccessKeyId: "a", SecretAccessKey: "b", Expiration: "2099-01-01T00:00:00Z" }),
    ],
    [
      "an end that has passed",
      JSON.stringify({
        AccessKeyId: "a",
        SecretAccessKey: "b",
        Token: "c",
        Expiration: "2020-01-01T00:00:00Z",
      }),
    ],
  ])("a response with %s contains no credentials", async (_what, body) => {
    const answering = (async () => new Response(body)) as unknown as typeof fetch;
    const { get } = provider({ AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://127.0.0.1/" }, {}, answering);
    expect(await faultOf(get())).toStartWith("CredentialFault: container-endpoint");
  });
});

describe("EC2 metadata", () => {
  test("requests a session token first, then the credentials of the instance's role", async () => {
    const issuer = createCredentialIssuer(HOUR_MS);
    const metadata = started(startInstanceMetadata(issuer));
    const { get, logged } = provider({ AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url });
    const { accessKeyId, sessionToken, secretAccessKey, expiresAtMs } = await get();
    expect({ sessionToken, secretAccessKey, expiresAtMs }).toEqual(issuer.issued.get(accessKeyId)!);
    expect(metadata.tokens.size).toBe(1);
    expect(logged).toHaveLength(1);
    expect(logged[0]).toContain('"source":"ec2-instance-metadata"');
    const secrets = [secretAccessKey, sessionToken!, ...metadata.tokens.keys()];
    expect(secrets.filter((secret) => logged.join().includes(secret))).toEqual([]);
  });

  test("an instance without a role is named as the reason, and no request is sent without a token", async () => {
    const metadata = started(startInstanceMetadata(createCredentialIssuer(HOUR_MS)));
    metadata.role = "";
    const { get } = provider({ AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url });
    expect(await faultOf(get())).toContain("attach an instance profile");
  });

  test("a metadata service that issues no token is not requested with IMDSv1", async () => {
    const paths: string[] = [];
    const old = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request) => {
        paths.push(`${request.method} ${new URL(request.url).pathname}`);
        if (request.method === "PUT") return new Response("", { status: 404 });
        return new Response("lz-edge");
      },
    });
    const { get } = provider({ AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://127.0.0.1:${old.port}` });
    expect(await faultOf(get())).toContain("the token request failed with status 404");
    expect(paths.filter((path) => path.includes("/latest/"))).toEqual(["PUT /latest/api/token"]);
    await old.stop(true);
  });

  test("a token that does not arrive leads to an error that names the hop limit and the other sources", async () => {
    const silent = (async () => {
      throw new DOMException("timed out", "TimeoutError");
    }) as unknown as typeof fetch;
    const fault = await faultOf(provider({}, {}, silent).get());
    expect(fault).toContain("no valid response from 169.254.169.254");
    expect(fault).toContain("hop limit to 2");
    expect(fault).toContain("AWS_ACCESS_KEY_ID");
  });

  test.each(["true", "TRUE"])(
    "AWS_EC2_METADATA_DISABLED=%s without another source: the edge does not start",
    (off) => {
      expect(() => provider({ AWS_EC2_METADATA_DISABLED: off })).toThrow("no AWS credentials");
    },
  );
});

describe("web identity", () => {
  const files = { "/oidc": "header.payload.signature\n" };
  const settings = (url: string) => ({
    AWS_WEB_IDENTITY_TOKEN_FILE: "/oidc",
    AWS_ROLE_ARN: WEB_ROLE_ARN,
    AWS_ENDPOINT_URL_STS: url,
  });
  const token = (value = "header.payload.signature", lifeMs = HOUR_MS) => {
    const expiresAtMs = Date.now() + lifeMs;
    return () => ({ value, expiresAtMs });
  };

  test.each([
    ["JSON", true],
    ["XML", false],
  ])("exchanges the token in the file at STS, which responds with %s", async (_format, writesJson) => {
    const issuer = createCredentialIssuer(HOUR_MS);
    const { url } = started(startSts(issuer, token(), { writesJson }));
    const { get, logged } = provider(settings(url), files);
    const { accessKeyId, sessionToken, secretAccessKey, expiresAtMs } = await get();
    expect({ sessionToken, secretAccessKey, expiresAtMs }).toEqual(issuer.issued.get(accessKeyId)!);
    expect(logged[0]).toContain('"source":"web-identity"');
  });

  test.each([
    ["a token of another issuer", token("another"), {}, "400 InvalidIdentityToken"],
    ["a token that has expired", token(undefined, -1), {}, "400 ExpiredTokenException"],
    ["another role", token(), { AWS_ROLE_ARN: "arn:aws:iam::1:role/other" }, "403 AccessDenied"],
    [
      "a session name that IAM does not take",
      token(),
      { AWS_ROLE_SESSION_NAME: "a b" },
      "400 ValidationError",
    ],
  ])(
    "%s returns no credentials, and the error contains only the code of STS",
    async (_what, present, more, said) => {
      const { url } = started(startSts(createCredentialIssuer(HOUR_MS), present));
      const { get, logged } = provider({ ...settings(url), ...more }, files);
      expect(await faultOf(get())).toBe(`CredentialFault: web-identity: STS responded with ${said}`);
      expect(logged.join()).not.toContain("header.payload");
    },
  );

  test("reads the token file again for each renewal", async () => {
    const issuer = createCredentialIssuer(HOUR_MS);
    let present = { value: "old", expiresAtMs: Date.now() + HOUR_MS };
    const { url } = started(startSts(issuer, () => present));
    const own = { "/oidc": "old" };
    const { get, replace } = provider(settings(url), own);
    const first = await get();
    present = { ...present, value: "new" };
    own["/oidc"] = "new";
    expect((await replace(first, "ExpiredTokenException"))?.accessKeyId).toBe("ASIATEST000000000002");
  });

  test("needs both settings, and an endpoint that is allowed to get the token", () => {
    expect(() => provider({ AWS_WEB_IDENTITY_TOKEN_FILE: "/oidc" })).toThrow("AWS_ROLE_ARN together");
    expect(() => provider(settings("http://sts.example.com"))).toThrow("AWS_ENDPOINT_URL_STS must use https");
  });
});

describe("the credential source", () => {
  const keys = { AWS_ACCESS_KEY_ID: "AKIATEST", AWS_SECRET_ACCESS_KEY: "static-secret" };
  const web = { AWS_WEB_IDENTITY_TOKEN_FILE: "/oidc", AWS_ROLE_ARN: WEB_ROLE_ARN };
  const container = { AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://127.0.0.1:1/" };

  test.each([
    ["static keys go first", { ...keys, ...web, ...container }, "static-keys"],
    ["web identity before the container", { ...web, ...container }, "web-identity"],
    ["the container before EC2", container, "container-endpoint"],
    [
      "EC2 when nothing is set, and empty values are not set",
      { AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "" },
      "ec2-instance-metadata",
    ],
  ])("%s", async (_what, settings, source) => {
    const nowhere = (async () => Promise.reject(new Error("nowhere"))) as unknown as typeof fetch;
    const { get, logged } = provider(settings, {}, nowhere);
    await faultOf(get());
    expect(logged[0]).toContain(`"source":"${source}"`);
  });

  test("one of two static keys prevents the start, even if there are other sources", () => {
    const half = { AWS_ACCESS_KEY_ID: "AKIATEST", ...container };
    expect(() => provider(half)).toThrow("set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
  });

  test("static keys never change, can have a session token, and a rejection of them is logged once", async () => {
    const temporary = provider({ ...keys, AWS_SESSION_TOKEN: "session" });
    const present = await temporary.get();
    expect(present).toEqual({
      accessKeyId: "AKIATEST",
      secretAccessKey: "static-secret",
      sessionToken: "session",
    });
    expect(temporary.problem()).toBeUndefined();
    expect(await temporary.replace(present, "ExpiredTokenException")).toBeUndefined();
    expect(await temporary.replace(present, "ExpiredTokenException")).toBeUndefined();
    expect(temporary.problem()).toBe("refused");
    expect(temporary.logged.filter((line) => line.includes("credentials.refused"))).toHaveLength(1);
    expect(temporary.logged.join()).not.toMatch(/static-secret|"session"/);
  });

  test("a runtime that supports only static keys does not start without them", () => {
    const needs = { clock: Date.now, random: () => 0, log: () => {} };
    expect(() => staticCredentials({ AWS_REGION: "r", ...container }, needs)).toThrow("no AWS credentials");
  });
});
