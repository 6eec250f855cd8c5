import type { Dynamo } from "../../../shared/table/dynamo.ts";

/** A request to the table, as a test looks at it: any operation, any input. */
export type TableRequest = { operation: string; input: Record<string, unknown> };

/**
 * A table that hands every request to `handle`. `send` passes a request on to the real table: the same request, or the
 * one that it is given. Throw to fail the request; return another object to change the response.
 */
export const interceptDynamo = (
  dynamo: Dynamo,
  handle: (request: TableRequest, send: (input?: object) => Promise<object>) => Promise<object>,
): Dynamo =>
  ((operation: string, input: Record<string, unknown>) =>
    handle({ operation, input }, (changed = input) =>
      (dynamo as unknown as (operation: string, input: object) => Promise<object>)(operation, changed),
    )) as unknown as Dynamo;
