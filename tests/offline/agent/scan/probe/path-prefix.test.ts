import { describe, expect, test } from "bun:test";
import { catalogue } from "../../../../../agent/catalogue/engines/list.ts";
import { pathPrefix } from "../../../../../agent/scan/probe/path-prefix.ts";
import type { Probe } from "../../../../../agent/scan/probe/probe.ts";
import { ListenerProber } from "../../../../../agent/scan/probe/probe-listeners.ts";
import type { Listener, ProcessFacts } from "../../../../../agent/scan/system/host.ts";

describe("pathPrefix()", () => {
  test.each([
    [["llama-server", "--api-prefix", "/lm"], "/lm"],
    [["llama-server", "--api-prefix=/lm/v2/"], "/lm/v2"],
    [["uvicorn", "app:app", "--root-path", "models"], "/models"],
    [["python", "-m", "sglang.launch_server", "--fastapi-root-path", "/s"], "/s"],
    [["jupyter", "--ServerApp.base_url=/user/ada/"], "/user/ada"],
  ])("reads the prefix in %j", (argv, prefix) => {
    expect(pathPrefix(argv)).toBe(prefix);
  });

  test.each([
    [["llama-server", "--port", "8080"]],
    [["llama-server", "--api-prefix"]],
    [["llama-server", "--api-prefix", "/"]],
    [["llama-server", "--api-prefix", "/a/../../b"]],
    [["llama-server", "--api-prefix", "/a b"]],
    [["llama-server", "--api-prefix", "/a\r\nHost: evil"]],
    [["llama-server", "--api-prefix", "--port"]],
    [["llama-server", "--api-prefix", `/${"a".repeat(65)}`]],
    [["llama-server", "--api-prefix", "/a".repeat(9)]],
    [["make", "--prefix", "/usr/local"]],
  ])("reads no prefix in %j", (argv) => {
    expect(pathPrefix(argv)).toBeUndefined();
  });
});

describe("ListenerProber of a server behind a path prefix", () => {
  const listener: Listener = { key: "a", address: "127.0.0.1", port: 8080, pid: 7, reachableAt: "127.0.0.1" };
  const process: ProcessFacts = {
    pid: 7,
    parentPid: 1,
    key: "7",
    name: "server",
    argv: ["server", "--root-path", "/lm"],
  };
  const list = { object: "list", data: [{ id: "m", object: "model", created: 1, owned_by: "me" }] };
  const serverAt = (prefix: string, asked: string[]): Probe => {
    return async (target, path) => {
      asked.push(`${target.prefix ?? ""}${path}`);
      const isList = `${target.prefix ?? ""}${path}` === `${prefix}/v1/models`;
      return {
        status: isList ? 200 : 404,
        headers: {},
        body: JSON.stringify(isList ? list : { detail: "no" }),
      };
    };
  };
  const heardOf = async (probe: Probe, isSuspect: boolean) => {
    const deps = { probe, catalogue, elapsed: () => 0, selfPid: 1, isSuspect: () => isSuspect };
    const sighting = { processes: new Map([[7, process]]), listeners: [listener] };
    const listening = new ListenerProber(deps);
    listening.begin(sighting, () => new Set());
    return (await listening.update(sighting, () => new Set())).heard[0]!.fingerprint;
  };

  test("probes a suspect below its path prefix", async () => {
    const found = await heardOf(serverAt("/lm", []), true);
    expect(found).toMatchObject({ auth: "open", models: [{ name: "m" }], target: { prefix: "/lm" } });
    expect(found.shape).toBe("GET /v1/models lists 1 models in the OpenAI format");
  });

  test("probes without the prefix if nothing responds below it, because a proxy can remove the prefix", async () => {
    const found = await heardOf(serverAt("", []), true);
    expect(found).toMatchObject({ auth: "open", models: [{ name: "m" }] });
    expect(found.target.prefix).toBeUndefined();
  });

  test("does not use the prefix of a process that is not a suspect", async () => {
    const asked: string[] = [];
    const found = await heardOf(serverAt("/lm", asked), false);
    expect(found.shape).toBeUndefined();
    expect(asked.filter((path) => path.startsWith("/lm/"))).toEqual([]);
    expect(asked.length).toBeGreaterThan(20);
  });
});
