/** Last component of a path that uses slashes or backslashes. */
export const baseName = (path: string): string => path.split(/[/\\]/).at(-1) || path;
