const dynamoText = (body: string, init: { status?: number; headers?: object } = {}): Response =>
  new Response(body, {
    ...init,
    headers: { "content-type": "application/x-amz-json-1.0", ...init.headers },
  });

/** A response as sent by DynamoDB: JSON with the media type of its protocol. */
export const dynamoJson = (value: object, init?: { status?: number; headers?: object }): Response =>
  dynamoText(JSON.stringify(value), init);

export const HTML = "<!doctype html><title>Sign in to the network</title>";

/** The login page of a captive portal. It is returned with a success status. */
export const portalPage = (status = 200): Response =>
  new Response(HTML, { status, headers: { "content-type": "text/html; charset=utf-8" } });

/** Successful responses (2xx) from servers that are not DynamoDB. */
export const IMPOSTORS: { is: string; answer: () => Response }[] = [
  { is: "a page with status 200", answer: () => portalPage() },
  { is: "an empty 200", answer: () => new Response("") },
  { is: "JSON of another media type", answer: () => Response.json({}) },
  { is: "JSON without a media type", answer: () => new Response(Buffer.from("{}")) },
  { is: "a list", answer: () => dynamoJson([]) },
  { is: "null", answer: () => dynamoText("null") },
];
