/**
 * Frameworks on which products are built. If the product of a process is known, a response that names only
 * the framework counts as evidence for that product.
 */
export const FRAMEWORKS: ReadonlySet<string> = new Set(["gradio", "chainlit"]);

/** Entries that stand for a protocol. Programs with any name can implement the protocol. */
export const PROTOCOLS: ReadonlySet<string> = new Set(["mcp-http", "mcp-stdio", "kserve"]);
