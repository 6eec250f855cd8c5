import { closeSync, copyFileSync, existsSync, openSync, readSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** Interpreter named in the first line of a script. Undefined if the first line names no interpreter. */
function interpreterOf(path: string): readonly string[] | undefined {
  const head = Buffer.alloc(512);
  const file = openSync(path, "r");
  const read = readSync(file, head, 0, head.length, 0);
  closeSync(file);
  const [line = ""] = head.toString("latin1", 0, read).split("\n");
  return line.startsWith("#!") ? line.slice(2).trim().split(/\s+/) : undefined;
}

/**
 * The same command with a renamed copy of its executable. For a script, the interpreter is copied. A virtual
 * environment's Python is copied next to the original, so that the copy finds its packages.
 */
export function renamed(command: readonly string[], name: string, folder: string): string[] {
  const path = command[0]!.includes("/") ? command[0]! : Bun.which(command[0]!)!;
  const interpreter = interpreterOf(realpathSync(path));
  if (interpreter === undefined) return [copyOf(path, name, folder), ...command.slice(1)];
  const [first, second] = interpreter;
  const program = basename(first!) === "env" ? Bun.which(second!)! : first!;
  return [copyOf(program, name, folder), path, ...command.slice(1)];
}

function copyOf(path: string, name: string, folder: string): string {
  const isInEnvironment = existsSync(join(dirname(path), "../pyvenv.cfg"));
  const copy = join(isInEnvironment ? dirname(path) : folder, name);
  if (!existsSync(copy)) copyFileSync(realpathSync(path), copy);
  return copy;
}
