/** An HTTP response. Header names are in lower case. `body` may be truncated. */
export type Answer = { status: number; headers: Readonly<Record<string, string>>; body: string };
