import type { Dynamo } from "../../../shared/table/dynamo.ts";

/** A request to the table: operation and input. */
export type TableRequest = { operation: string; input: Record<string, unknown> };

/**
 * Passes every request to `handle`. The function `send` forwards the request to the real table, optionally
 * with a different input. To make a request fail, `handle` throws an error or returns a different response.
 */
export const interceptDynamo = (
  dynamo: Dynamo,
  handle: (request: TableRequest, send: (input?: object) => Promise<object>) => Promise<object>,
): Dynamo =>
  ((operation: string, input: Record<string, unknown>) =>
    handle({ operation, input }, (changed = input) =>
      (dynamo as unknown as (operation: string, input: object) => Promise<object>)(operation, changed),
    )) as unknown as Dynamo;
