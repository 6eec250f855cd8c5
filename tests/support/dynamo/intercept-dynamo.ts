import type { Dynamo } from "../../../shared/table/dynamo.ts";

/** A request to the table: operation and input. */
export type TableRequest = { operation: string; input: Record<string, unknown> };

/**
 * Passes every request to `handle`. Its argument `send` forwards the request to the real table, optionally
 * with another input. To fail a request, throw an error or return another response.
 */
export const interceptDynamo = (
  dynamo: Dynamo,
  handle: (request: TableRequest, send: (input?: object) => Promise<object>) => Promise<object>,
): Dynamo =>
  ((operation: string, input: Record<string, unknown>) =>
    handle({ operation, input }, (changed = input) =>
      (dynamo as unknown as (operation: string, input: object) => Promise<object>)(operation, changed),
    )) as unknown as Dynamo;
