import { utf8 } from "../../shared/encoding/bytes.ts";

/**
 * Text that is sent as it comes: one pull, one part. The first part is read before anything is answered, so that
 * a table that is away is a 503 and no empty file. A fault later breaks the answer off: a short one must not look
 * like a whole one.
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
