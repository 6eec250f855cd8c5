import { expect, test } from "bun:test";
import { proxyFor } from "../../../agent/proxy.ts";

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
  [{ HTTPS_PROXY: "http://" }, "https://lz.example.com", "direct"],
  [{ HTTPS_PROXY: "socks5://proxy.example.com" }, "https://lz.example.com", "direct"],
])("proxyFor(%j, %j) is %s", (env, url, expected) => {
  const proxy = proxyFor(env, url);
  expect(proxy ? `${proxy.name}:${proxy.port}` : "direct").toBe(expected);
});

test("proxyFor() agrees with where fetch really goes, exemptions included", async () => {
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
    const said = environments.map((env) => (proxyFor(env, url) ? "proxied" : "direct"));
    expect(environments.map((env, index) => [env, said[index]!])).toEqual(
      environments.map((env, index) => [env, went[index]!]),
    );
    expect(new Set(went)).toEqual(new Set(["direct", "proxied"]));
  } finally {
    await Promise.all([target.stop(true), proxy.stop(true)]);
  }
}, 30_000);
