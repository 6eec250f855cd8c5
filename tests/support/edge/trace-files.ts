import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { parse } from "@babel/parser";
import { plugin } from "bun";
import { ROOT } from "../stack.ts";

/** Files of the edge in which at least one function was called, in order of the first call. */
const entered = new Set<string>();
(globalThis as { noteFile?: (path: string) => void }).noteFile = (path) => void entered.add(path);

/** Returns the offset after the opening brace of each function body in a source file. */
function bodyOffsets(source: string, isJsx: boolean): number[] {
  const found: number[] = [];
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) {
      for (const inner of node) visit(inner);
    } else if (typeof node === "object" && node !== null) {
      const { type, body } = node as { type?: string; body?: { type?: string; start?: number } };
      if (/Function|Method/.test(type ?? "") && body?.type === "BlockStatement") found.push(body.start! + 1);
      for (const [key, value] of Object.entries(node)) if (key !== "loc" && key !== "comments") visit(value);
    }
  };
  visit(
    parse(source, { sourceType: "module", plugins: isJsx ? ["typescript", "jsx"] : ["typescript"] }).program,
  );
  return found;
}

/**
 * Instruments every function with a block body in `edge/`, so that a call records the file of the function.
 * Call this before the edge is imported. Functions that are a single expression are not recorded.
 */
export function traceFiles(): Set<string> {
  plugin({
    name: "trace-files",
    setup(build) {
      build.onLoad({ filter: /\/edge\/.*\.tsx?$/ }, ({ path }) => {
        const source = readFileSync(path, "utf8");
        const name = relative(ROOT, path);
        const isJsx = path.endsWith("x");
        if (!name.startsWith("edge/")) return { contents: source, loader: isJsx ? "tsx" : "ts" };
        let contents = source;
        for (const offset of bodyOffsets(source, isJsx).toSorted((a, b) => b - a))
          contents = `${contents.slice(0, offset)}noteFile(${JSON.stringify(name)});${contents.slice(offset)}`;
        return { contents, loader: isJsx ? "tsx" : "ts" };
      });
    },
  });
  entered.clear();
  return entered;
}
