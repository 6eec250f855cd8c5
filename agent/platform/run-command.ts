import { spawn } from "node:child_process";

export type CommandResult = { code: number; stdout: string; stderr: string };

/** Runs a system program without a shell. Never rejects. The exit code is 127 if the program does not exist. */
export type RunCommand = (command: readonly string[], stdin?: string) => Promise<CommandResult>;

const TIMEOUT_MS = 15_000;
const OUTPUT_CHARACTERS_MAX = 1_000_000;
const NOT_FOUND = 127;

/**
 * Runs commands with a timeout. A program that exceeds the timeout is killed and gets exit code -1. The call
 * then returns without waiting for the program to end. A child of the program may keep the output open, and
 * SIGKILL does not end a process that hangs in the kernel.
 */
export const runWithin =
  (timeoutMs: number): RunCommand =>
  ([program, ...args], stdin) =>
    new Promise((resolve) => {
      const child = spawn(program!, args, { stdio: ["pipe", "pipe", "pipe"] });
      let exitCode: number | null = null;
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
        child.unref();
        resolve({ ...output, code: exitCode ?? -1 });
      }, timeoutMs);
      const output = { stdout: "", stderr: "" };
      for (const name of ["stdout", "stderr"] as const) {
        child[name].setEncoding("utf8").on("data", (chunk: string) => {
          if (output[name].length < OUTPUT_CHARACTERS_MAX) output[name] += chunk;
        });
      }
      child.on("error", (cause) => {
        clearTimeout(timer);
        resolve({ ...output, code: NOT_FOUND, stderr: cause.message });
      });
      child.on("exit", (code) => {
        exitCode = code;
      });
      child.on("close", (code) => {
        clearTimeout(timer);
        resolve({ ...output, code: code ?? -1 });
      });
      // A program that ends without reading its input breaks the pipe. Ignore this error, because the exit
      // code describes the result.
      child.stdin.on("error", () => {});
      child.stdin.end(stdin ?? "");
    });

/** Runs a command with a timeout of 15 s. */
export const runCommand: RunCommand = runWithin(TIMEOUT_MS);
