/**
 * Version of this release. It is a constant, because edge bundles and agents read no file. A test compares it
 * with package.json.
 */
export const PRODUCT_VERSION = "0.1.0";
