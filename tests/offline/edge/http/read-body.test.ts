import { expect, test } from "bun:test";
import { readForm } from "../../../../edge/dashboard/routing/parse-form.ts";
import { readBody } from "../../../../edge/http/read-body.ts";

const post = (body: BodyInit, headers: Record<string, string> = {}) =>
  new Request("http://edge/", {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
    ...(body instanceof ReadableStream && { duplex: "half" }),
  } as RequestInit);

const chunks = (...parts: string[]) =>
  new ReadableStream({
    start(controller) {
      for (const part of parts) controller.enqueue(new TextEncoder().encode(part));
      controller.close();
    },
  });

test("readBody() counts streamed bytes and stops at the limit", async () => {
  expect(await readBody(post(chunks("12", "34")), 4)).toMatchObject({ ok: true });
  expect(await readBody(post(chunks("12", "345")), 4)).toMatchObject({ ok: false, code: "wire.too-large" });
  let pulled = 0;
  const endless = new ReadableStream({
    pull(controller) {
      pulled++;
      controller.enqueue(new Uint8Array(1024));
    },
  });
  expect(await readBody(post(endless), 4096)).toMatchObject({ ok: false, code: "wire.too-large" });
  expect(pulled).toBeLessThan(10);
});

test("readBody() rejects an incomplete body, and never throws", async () => {
  const broken = () => {
    let pulled = 0;
    return new ReadableStream({
      pull(controller) {
        if (++pulled > 1) controller.error(new Error("the connection was closed"));
        else controller.enqueue(new Uint8Array(4));
      },
    });
  };
  for (const headers of [{}, { "content-length": "8" }] as Record<string, string>[]) {
    const read = await readBody(post(broken(), headers), 8);
    expect(read).toMatchObject({ ok: false, code: "wire.malformed", detail: "the body is incomplete" });
    const form = post(broken(), { ...headers, "content-type": "application/x-www-form-urlencoded" });
    expect(await readForm(form)).toMatchObject({ ok: false, code: "wire.malformed" });
  }
});

test("readBody() rejects a declared length that is not a number within the limit", async () => {
  for (const declared of ["5", "-1e9x", "NaN", "Infinity", "1e99"]) {
    const refused = await readBody(post("12345", { "content-length": declared }), 4);
    expect(refused).toMatchObject({ ok: false, code: "wire.too-large" });
  }
});

test("readBody() accepts only JSON", async () => {
  for (const type of [
    "application/json",
    "application/json; charset=utf-8",
    "APPLICATION/JSON;charset=UTF-8",
  ]) {
    expect((await readBody(post("{}", { "content-type": type }), 4)).ok).toBe(true);
  }
  for (const type of ["text/plain", "application/jsonp", "application/json; charset=latin1", "", "*/*"]) {
    expect(await readBody(post("{}", { "content-type": type }), 4)).toMatchObject({
      code: "wire.media-type",
    });
  }
});
