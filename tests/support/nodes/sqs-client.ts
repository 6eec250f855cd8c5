import type { SQSClient } from "@aws-sdk/client-sqs";

/**
 * A stub of the SQS client that has only the member `send`. It returns the test's response for the input of
 * each command.
 */
export const sqsClient = (send: (input: Record<string, unknown>) => Promise<object>): SQSClient =>
  ({ send: ({ input }: { input: Record<string, unknown> }) => send(input) }) as unknown as SQSClient;
