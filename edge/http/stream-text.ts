import { utf8 } from "../../shared/encoding/bytes.ts";

/**
 * Streams text, one part of the text per pull. Reads the first part before it returns, so that an unavailable
 * table causes a 503 response and not an empty file. A later fault aborts the response, because a truncated
 * file must not appear complete.
 */
export async function streamText(
  parts: AsyncGenerator<string>,
  onFault: (fault: unknown) => void,
): Promise<ReadableStream> {
  const all = resumed(await parts.next(), parts);
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await all.next();
        if (done) controller.close();
        else controller.enqueue(utf8(value));
      } catch (fault) {
        onFault(fault);
        controller.error(fault);
      }
    },
    async cancel() {
      await all.return(undefined);
    },
  });
}

async function* resumed(first: IteratorResult<string>, rest: AsyncGenerator<string>): AsyncGenerator<string> {
  if (first.done) return;
  yield first.value;
  yield* rest;
}
