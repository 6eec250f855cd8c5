import { type Files, latin1Of, optional } from "../system/files.ts";
import type { Language } from "../system/host.ts";
import { readSections, type Section } from "./elf-sections.ts";

export type Interpreters = {
  /**
   * Language that an executable interprets. It is recognised by the content of the file, independent of the
   * file name. `none`: not an interpreter. Undefined if the file is not readable.
   */
  languageOf(path: string): Language | "none" | undefined;
};

/** Symbols that only the launcher of a language has. A program that embeds the language has other symbols. */
const LAUNCHERS: readonly [language: Language, symbols: readonly string[]][] = [
  // The `main` function of CPython (Modules/main.c) only calls one of these functions.
  ["python", ["Py_BytesMain", "Py_Main"]],
  // Symbols of Node-API, which Node, Bun and Deno export to native modules.
  ["node", ["napi_create_function", "node_module_register"]],
  ["java", ["JLI_Launch"]],
  ["ruby", ["ruby_run_node"]],
  ["other", ["perl_run", "php_execute_script"]],
];
/**
 * Library that belongs to Electron. An Electron application exports the same symbols as Node but is not an
 * interpreter.
 */
const ELECTRON = "libffmpeg.so";

const CHUNK_BYTES = 256 * 1024;
/** Overlap of consecutive chunks, so that a symbol that crosses the border between two chunks is found. */
const OVERLAP_BYTES = 64;
const NAMES_BYTES_MAX = 8 * 1024 * 1024;
const KNOWN_MAX = 512;
/** Section type of the dynamic linking table (elf(5)). */
const SHT_DYNAMIC = 6;
/** Section in which Bun stores a compiled program. In Bun's own executable, this section has 8 bytes (Bun 1.4.5). */
const BUN_SECTION = ".bun";
const BUN_EMPTY_BYTES = 8;
/** Last line of programs compiled with older versions of Bun, which append the program to the file. */
const BUN_TRAILER = "---- Bun! ----";
/** Usage text of the llamafile loader, a program of a few kilobytes (ape/loader.c in jart/cosmopolitan). */
const LOADER_TEXT = "actually portable executable loader";
const LOADER_BYTES_MAX = 128 * 1024;

/** Recognises interpreters on Linux by the symbols of their executables. Each file is read once. */
export function createInterpreters({ files }: { files: Files }): Interpreters {
  const known = new Map<string, Language | "none" | undefined>();
  const buffer = new Uint8Array(CHUNK_BYTES);
  return {
    languageOf: (path) => {
      const facts = optional(() => files.facts(path));
      if (!facts?.isFile) return undefined;
      const key = `${facts.identity} ${facts.sizeBytes} ${facts.modifiedMs}`;
      if (!known.has(key)) {
        if (known.size >= KNOWN_MAX) known.clear();
        known.set(
          key,
          optional(() => readLanguage({ files, buffer, path }, facts.sizeBytes)),
        );
      }
      return known.get(key);
    },
  };
}

/** An executable to read. All reads share `buffer`, so that a read allocates no memory. */
type Source = { files: Files; buffer: Uint8Array; path: string };

function readLanguage(source: Source, sizeBytes: number): Language | "none" | undefined {
  if (isPortableLoader(source, sizeBytes)) return "other";
  const sections = readSections(source.files, source.path);
  if (!sections) return undefined;
  const dynamic = sections.find(({ type }) => type === SHT_DYNAMIC);
  const names = dynamic && sections[dynamic.link];
  if (!names || isCompiledByBun(source, sections, sizeBytes)) return "none";
  const found = findSymbols(source, names);
  return found.isElectron ? "none" : (found.language ?? "none");
}

function findSymbols({ files, buffer, path }: Source, { offset, size }: Section) {
  const end = offset + Math.min(size, NAMES_BYTES_MAX);
  let language: Language | undefined;
  let isElectron = false;
  for (let at = offset; at < end && (!language || language === "node"); at += CHUNK_BYTES - OVERLAP_BYTES) {
    const bytes = files.bytes(path, at, Math.min(CHUNK_BYTES, end - at), buffer);
    const names = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const has = (name: string): boolean => names.includes(`\0${name}\0`, 0, "latin1");
    language ??= LAUNCHERS.find(([, symbols]) => symbols.some(has))?.[0];
    isElectron ||= has(ELECTRON);
  }
  return { language, isElectron };
}

function isPortableLoader({ files, buffer, path }: Source, sizeBytes: number): boolean {
  if (sizeBytes > LOADER_BYTES_MAX) return false;
  return latin1Of(files.bytes(path, 0, LOADER_BYTES_MAX, buffer)).includes(LOADER_TEXT);
}

function isCompiledByBun({ files, path }: Source, sections: readonly Section[], sizeBytes: number): boolean {
  const own = sections.find(({ name }) => name === BUN_SECTION);
  if (own && own.size > BUN_EMPTY_BYTES) return true;
  const tail = files.bytes(path, Math.max(0, sizeBytes - OVERLAP_BYTES), OVERLAP_BYTES);
  return latin1Of(tail).includes(BUN_TRAILER);
}
