import { askedBy } from "./aws-calls.ts";
import { deployedPolicies, type NodeKind } from "./deployed-policies.ts";
import { type Asked, decide } from "./policy.ts";

/** Calls that one kind of node made and that needed the same permission. `calls` is the number of calls. */
export type Recorded = Asked & { node: NodeKind; isAllowed: boolean; calls: number };

/** A proxy in front of the embedded services. It forwards only calls that the policy of the calling node allows. */
export type Guard = {
  /** Endpoint for DynamoDB and SQS. */
  url: string;
  /** Returns the calls so far. A call counts once for each permission that it needs. */
  recorded: () => Recorded[];
  stop: () => Promise<void>;
};

/**
 * Returns the access key of a kind of node. The embedded services accept any key. The guard identifies the
 * caller by its key.
 */
export const accessKeyOf = (node: NodeKind): string => `AKIA${node.toUpperCase()}`;

type Backends = { dynamodbEndpoint: string; sqsEndpoint: string };

export function startGuard({ dynamodbEndpoint, sqsEndpoint }: Backends): Guard {
  const policies = deployedPolicies();
  const nodes = new Map((Object.keys(policies) as NodeKind[]).map((node) => [accessKeyOf(node), node]));
  const recorded = new Map<string, Recorded>();

  function record(node: NodeKind, asked: Asked): boolean {
    const name = JSON.stringify([node, asked.action, asked.resource, [...new Set(asked.leadingKeys)].sort()]);
    const known = recorded.get(name);
    const { isAllowed } = known ?? decide(policies[node], asked);
    recorded.set(name, { node, ...asked, isAllowed, calls: (known?.calls ?? 0) + 1 });
    return isAllowed;
  }

  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 60,
    async fetch(request) {
      const target = request.headers.get("x-amz-target");
      const [, accessKey = ""] = request.headers.get("authorization")?.match(/Credential=([^/]+)\//) ?? [];
      const node = nodes.get(accessKey);
      // Agents under test probe every port of this machine. Their requests get status 403.
      if (target === null || node === undefined)
        return new Response("no node of this stack", { status: 403 });
      const body = await request.text();
      const refused = askedBy(target, JSON.parse(body)).filter((asked) => !record(node, asked));
      if (refused.length > 0) return denied(node, refused[0]!);
      const isQueue = target.startsWith("AmazonSQS.");
      const headers = new Headers(request.headers);
      for (const name of ["host", "content-length", "accept-encoding"]) headers.delete(name);
      const { signal } = request;
      return fetch(isQueue ? sqsEndpoint : dynamodbEndpoint, { method: "POST", headers, body, signal });
    },
  });
  return {
    url: server.url.origin,
    recorded: () => [...recorded.values()],
    stop: () => server.stop(true),
  };
}

function denied(node: NodeKind, { action, resource }: Asked): Response {
  const message = `User: ${node} is not authorized to perform: ${action} on resource: ${resource}`;
  return Response.json(
    { __type: "com.amazon.coral.service#AccessDeniedException", Message: message, message },
    { status: 400, headers: { "content-type": "application/x-amz-json-1.0" } },
  );
}
