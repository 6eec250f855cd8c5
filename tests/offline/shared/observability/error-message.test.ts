import { expect, test } from "bun:test";
import { messageOf } from "../../../../shared/observability/error-message.ts";
import { createLog } from "../../../../shared/observability/log.ts";

test("messages and log lines of a failed fetch omit Bun's hint for programmers", async () => {
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (socket) => void socket.terminate() },
  });
  const fault = await fetch(`http://127.0.0.1:${server.port}/`, { keepalive: false }).catch(
    (cause: unknown) => cause,
  );
  server.stop(true);
  // If Bun stops adding this hint, messageOf() need not remove it.
  expect((fault as Error).message).toContain("verbose: true");
  expect(messageOf(fault)).toBe("ECONNRESET: The socket connection was closed unexpectedly");
  const lines: string[] = [];
  createLog(
    "edge",
    () => 0,
    (line) => lines.push(line),
  )("error", "x", {
    error: new Error("outer", { cause: fault }),
  });
  expect(lines[0]).toContain(
    "caused by TypeError: ECONNRESET: The socket connection was closed unexpectedly",
  );
  expect(lines[0]).not.toContain("verbose");
});

test("messageOf() keeps other messages, and has a default for errors without one", () => {
  expect(messageOf(new Error("no such host. Try again"))).toBe("no such host. Try again");
  expect(messageOf(new Error(""))).toBe("unknown error");
  expect(messageOf("text", "did not answer")).toBe("did not answer");
});
