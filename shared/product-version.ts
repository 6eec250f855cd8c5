/**
 * Version of this release. A constant, because edge bundles and agents read no file; a test compares it with
 * package.json.
 */
export const PRODUCT_VERSION = "0.1.0";
