import type { Dynamo } from "../../../shared/table/dynamo.ts";

/** Any request to the table: operation and input. */
export type TableRequest = { operation: string; input: Record<string, unknown> };

/**
 * Passes every request to `handle`. `send` forwards the request to the real table, with another input if you
 * give one. Throw to fail the request, or return another response.
 */
export const interceptDynamo = (
  dynamo: Dynamo,
  handle: (request: TableRequest, send: (input?: object) => Promise<object>) => Promise<object>,
): Dynamo =>
  ((operation: string, input: Record<string, unknown>) =>
    handle({ operation, input }, (changed = input) =>
      (dynamo as unknown as (operation: string, input: object) => Promise<object>)(operation, changed),
    )) as unknown as Dynamo;
