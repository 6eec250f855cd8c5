/**
 * Frameworks that products are built on. An answer that names only the framework does not contradict a process that
 * names the product.
 */
export const FRAMEWORKS: ReadonlySet<string> = new Set(["gradio", "chainlit"]);
