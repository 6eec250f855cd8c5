/** An HTTP answer as the catalogue sees it. Header names in lower case; `body` possibly cut. */
export type Answer = { status: number; headers: Readonly<Record<string, string>>; body: string };
