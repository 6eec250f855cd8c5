/** Version of this release, held equal to package.json by a test: a bundle for the edge or an agent reads no file. */
export const PRODUCT_VERSION = "0.1.0";
