/** Source text of the script: it is served, never run here. */
declare const source: string;
export default source;
