/**
 * Frameworks that products are built on. If the process is a known product, a response that names only its framework is
 * reported as that product.
 */
export const FRAMEWORKS: ReadonlySet<string> = new Set(["gradio", "chainlit"]);

/** Entries that stand for a protocol. Programs of any name may implement it. */
export const PROTOCOLS: ReadonlySet<string> = new Set(["mcp-http", "mcp-stdio", "kserve"]);
