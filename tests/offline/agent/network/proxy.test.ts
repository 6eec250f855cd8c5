import { expect, test } from "bun:test";
import { type ProxySettings, proxyFor, proxyText, readProxy } from "../../../../agent/network/proxy.ts";

const PROXY = "http://proxy.example.com:3128";

test.each<[Record<string, string>, string, string]>([
  [{}, "https://lz.example.com", "direct"],
  [{ HTTPS_PROXY: PROXY }, "https://lz.example.com", "proxy.example.com:3128"],
  [{ https_proxy: PROXY }, "https://lz.example.com", "proxy.example.com:3128"],
  [{ https_proxy: "http://other:1", HTTPS_PROXY: PROXY }, "https://lz.example.com", "other:1"],
  [{ https_proxy: "", HTTPS_PROXY: PROXY }, "https://lz.example.com", "proxy.example.com:3128"],
  [{ HTTP_PROXY: PROXY }, "https://lz.example.com", "direct"],
  [{ HTTPS_PROXY: PROXY }, "http://lz.example.com", "direct"],
  [{ HTTP_PROXY: PROXY }, "http://lz.example.com", "proxy.example.com:3128"],
  [{ ALL_PROXY: PROXY }, "https://lz.example.com", "proxy.example.com:3128"],
  [{ HTTPS_PROXY: "proxy.example.com:3128" }, "https://lz.example.com", "proxy.example.com:3128"],
  [{ HTTPS_PROXY: "http://ada:secret@proxy.example.com" }, "https://lz.example.com", "proxy.example.com:80"],
  [{ HTTPS_PROXY: "https://proxy.example.com/" }, "https://lz.example.com", "proxy.example.com:443"],
  [{ HTTPS_PROXY: "http://[2001:db8::1]:3128" }, "https://lz.example.com", "2001:db8::1:3128"],
])("proxyFor(%j, %j) is %s", (env, url, expected) => {
  const chosen = proxyFor({}, env, url);
  if (!chosen.ok) throw new Error(chosen.reason);
  const { proxy } = chosen;
  expect(proxy ? `${proxy.name}:${proxy.port}` : "direct").toBe(expected);
});

test.each([
  ["", { HTTPS_PROXY: "http://" }],
  ["socks", { HTTPS_PROXY: "socks5://ada:s3cret@proxy.example.com" }],
  ["a path", { HTTPS_PROXY: "http://ada:s3cret@proxy.example.com/x" }],
])("proxyFor() names the variable without a usable proxy (%s), and quotes no password", (_, env) => {
  const chosen = proxyFor({}, env, "https://lz.example.com");
  if (chosen.ok) throw new Error("accepted");
  expect(chosen.reason).toBe(
    "HTTPS_PROXY must be the address of an http or https proxy, such as http://proxy.example.com:3128",
  );
});

test.each([
  "http://wpad.example.com/proxy.pac",
  "http://ada:s3cret@wpad.example.com/corp.PAC?v=2",
  "pac+http://wpad.example.com/x",
  "file:///etc/proxy.pac",
  "http://wpad/wpad.dat",
  "wpad",
])("readProxy() rejects the PAC file %s and names the settings to use instead", (text) => {
  const read = readProxy(text);
  if (read.ok) throw new Error("accepted");
  expect(read.reason).toBe(
    "is a PAC file, which the agent does not evaluate: set proxy to the address of the proxy itself, such as http://proxy.example.com:3128, and no-proxy to the hosts to reach without it",
  );
});

test("readProxy() accepts a host whose name only resembles a PAC file", () => {
  expect(readProxy("http://proxy.pac:3128")).toMatchObject({ ok: true, proxy: { name: "proxy.pac" } });
});

test.each<[ProxySettings, string]>([
  [{ proxy: "http://set:1" }, "set:1"],
  [{ proxy: "none" }, "direct"],
  [{ proxy: "http://set:1", noProxy: "example.com" }, "direct"],
  [{ noProxy: "elsewhere.example" }, "proxy.example.com:3128"],
  [{}, "direct"],
])("proxyFor(%j) overrides the environment: %s", (settings, expected) => {
  const env = { HTTPS_PROXY: PROXY, NO_PROXY: "lz.example.com" };
  const chosen = proxyFor(settings, settings.proxy ? { HTTPS_PROXY: PROXY } : env, "https://lz.example.com");
  expect(chosen.ok && chosen.proxy ? proxyText(chosen.proxy) : "direct").toBe(expected);
});

test("readProxy() hides the credentials if it is printed, and decodes them for the header", () => {
  const read = readProxy("http://ada:s3cr%40t@proxy.example.com:3128");
  if (!read.ok) throw new Error(read.reason);
  expect(read.proxy.authorization()).toBe(`Basic ${btoa("ada:s3cr@t")}`);
  for (const shown of [JSON.stringify(read), Bun.inspect(read), String(read), proxyText(read.proxy)]) {
    expect(shown).not.toContain("s3cr");
    expect(shown).not.toContain("ada");
  }
});

test("takeProxyVariables() removes the variables from the environment, so that fetch uses no other proxy", async () => {
  const target = Bun.serve({ port: 0, fetch: () => new Response("direct") });
  const module = new URL("../../../../agent/network/proxy.ts", import.meta.url).pathname;
  const code = `
    const { takeProxyVariables } = await import(${JSON.stringify(module)});
    const taken = takeProxyVariables(process.env);
    console.log(taken.HTTP_PROXY, await (await fetch("http://localhost:${target.port}/")).text());`;
  try {
    const child = Bun.spawn([process.execPath, "-e", code], {
      env: { PATH: process.env.PATH ?? "", HTTP_PROXY: "http://127.0.0.1:9" },
    });
    expect(await new Response(child.stdout).text()).toBe("http://127.0.0.1:9 direct\n");
  } finally {
    await target.stop(true);
  }
}, 30_000);

test("proxyFor() selects the same proxy as fetch, even with exemptions", async () => {
  const target = Bun.serve({ port: 0, fetch: () => new Response("direct") });
  const proxy = Bun.serve({ port: 0, fetch: () => new Response("proxied") });
  const url = `http://localhost:${target.port}/`;
  const HTTP_PROXY = `http://127.0.0.1:${proxy.port}`;
  const exemptions = [
    ...[
      "*",
      "localhost",
      ".localhost",
      "*.localhost",
      "ost",
      "a.localhost",
      "LOCALHOST",
      "x, localhost",
      "x,*",
    ],
    ...[`localhost:${target.port}`, "localhost:1", "127.0.0.0/8", ""],
  ];
  const environments: Record<string, string>[] = [
    ...exemptions.map((NO_PROXY) => ({ HTTP_PROXY, NO_PROXY })),
    { HTTP_PROXY, no_proxy: "", NO_PROXY: "localhost" },
    { HTTP_PROXY, no_proxy: "x", NO_PROXY: "localhost" },
    { ALL_PROXY: HTTP_PROXY },
    { HTTPS_PROXY: HTTP_PROXY },
    { HTTP_PROXY: `127.0.0.1:${proxy.port}` },
  ];
  try {
    const went = await Promise.all(
      environments.map(async (env) => {
        const child = Bun.spawn(
          [process.execPath, "-e", `console.log(await (await fetch("${url}")).text())`],
          {
            env: { PATH: process.env.PATH ?? "", ...env },
            stderr: "ignore",
          },
        );
        return (await new Response(child.stdout).text()).trim();
      }),
    );
    const said = environments.map((env) => {
      const chosen = proxyFor({}, env, url);
      return chosen.ok && chosen.proxy ? "proxied" : "direct";
    });
    expect(environments.map((env, index) => [env, said[index]!])).toEqual(
      environments.map((env, index) => [env, went[index]!]),
    );
    expect(new Set(went)).toEqual(new Set(["direct", "proxied"]));
  } finally {
    await Promise.all([target.stop(true), proxy.stop(true)]);
  }
}, 30_000);
