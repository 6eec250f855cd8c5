import { expect, test } from "bun:test";
import { catalogue } from "../../../../agent/catalogue/engines/list.ts";
import { ClaimsByProcess } from "../../../../agent/scan/claims-by-process.ts";
import type { Language, ProcessFacts, Snapshot } from "../../../../agent/scan/system/host.ts";

const PID = 7;

/**
 * Returns the products that a process claims by its command line. There is one result for each given content
 * of its executable.
 */
function claimedBy(argv: string[], contents: (Language | "none" | undefined)[]) {
  const process: ProcessFacts = {
    pid: PID,
    parentPid: 1,
    key: "7",
    name: "textd",
    executable: argv[0]!,
    argv,
  };
  const processes: Snapshot["processes"] = new Map([[PID, process]]);
  const asked: number[] = [];
  const claims = new ClaimsByProcess(catalogue, ({ pid }) => {
    asked.push(pid);
    return contents[asked.length - 1];
  });
  const snapshot: Snapshot = {
    processes,
    listeners: [],
    weights: new Map(),
    libraries: new Map(),
    gpu: new Map(),
    collectors: [],
  };
  claims.preview(processes);
  const products = (claims.update(snapshot).get(PID) ?? []).map(
    ({ product, signal }) => `${product} ${signal}`,
  );
  return { products, asked };
}

const MLX = ["/venv/bin/textd", "/venv/bin/mlx_lm.server", "--port", "8080"];

test("a copy of an interpreter under another name is recognised by the script that it runs", () => {
  expect(claimedBy(MLX, ["python"]).products).toEqual(["mlx-lm binary"]);
});

test("a process is evaluated again once the content of its executable is known", () => {
  const { products, asked } = claimedBy(MLX, [undefined, "python"]);
  expect([products, asked.length]).toEqual([["mlx-lm binary"], 2]);
});

test("a program that is not an interpreter and only names the file is not recognised", () => {
  expect(claimedBy(MLX, ["none"]).products).toEqual([]);
  expect(claimedBy(MLX, [undefined, undefined]).products).toEqual([]);
});

test("the executable is not read if the command line names no product, or the name shows an interpreter", () => {
  expect(claimedBy(["/venv/bin/textd", "/srv/app.py"], []).asked).toEqual([]);
  const python = claimedBy(["/venv/bin/python3", "/venv/bin/mlx_lm.server"], []);
  expect([python.products, python.asked]).toEqual([["mlx-lm binary", "mlx-lm name"], []]);
});
