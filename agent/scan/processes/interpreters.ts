import { type Files, optional } from "../system/files.ts";
import type { Language } from "../system/host.ts";

export type Interpreters = {
  /** By the content of an executable, whatever it is called: `none` for a program of its own, undefined if unreadable. */
  languageOf(path: string): Language | "none" | undefined;
};

/** Symbols that only the launcher of a language has or needs. A program that merely embeds it calls others. */
const LAUNCHERS: readonly [language: Language, symbols: readonly string[]][] = [
  // Modules/main.c of CPython: the whole program is a call of it.
  ["python", ["Py_BytesMain", "Py_Main"]],
  // Node-API, which Node, Bun and Deno offer to native modules.
  ["node", ["napi_create_function", "node_module_register"]],
  ["java", ["JLI_Launch"]],
  ["ruby", ["ruby_run_node"]],
  ["other", ["perl_run", "php_execute_script"]],
];
/** An application with Electron inside has the symbols of Node, and is no interpreter. */
const ELECTRON = "libffmpeg.so";

const CHUNK_BYTES = 256 * 1024;
/** A chunk repeats the end of the one before it, for a name that lies on the border. */
const OVERLAP_BYTES = 64;
const NAMES_BYTES_MAX = 8 * 1024 * 1024;
const SECTIONS_MAX = 256;
const KNOWN_MAX = 512;
/** Section types of ELF (elf(5)). */
const SHT_DYNAMIC = 6;
/** Bun keeps a compiled program in this section; its own executable has 8 bytes there (Bun 1.4.5). */
const BUN_SECTION = ".bun";
const BUN_EMPTY_BYTES = 8;
/** Bun before that appended the program, and this line. */
const BUN_TRAILER = "---- Bun! ----";
/** ShowUsage of ape/loader.c in jart/cosmopolitan: the loader of llamafiles, a program of a few kilobytes. */
const LOADER_TEXT = "actually portable executable loader";
const LOADER_BYTES_MAX = 128 * 1024;

/** Recognises interpreters on Linux by the symbols of their executable. Each file is read once. */
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
          optional(() => readLanguage(path, facts.sizeBytes)),
        );
      }
      return known.get(key);
    },
  };

  function readLanguage(path: string, sizeBytes: number): Language | "none" | undefined {
    if (isPortableLoader(path, sizeBytes)) return "other";
    const sections = readSections(path);
    if (!sections) return undefined;
    const dynamic = sections.find(({ type }) => type === SHT_DYNAMIC);
    const names = dynamic && sections[dynamic.link];
    if (!names || isCompiledByBun(path, sections, sizeBytes)) return "none";
    const found = languagesIn(path, names);
    return found.isElectron ? "none" : (found.language ?? "none");
  }

  function languagesIn(path: string, { offset, size }: Section) {
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

  function isPortableLoader(path: string, sizeBytes: number): boolean {
    if (sizeBytes > LOADER_BYTES_MAX) return false;
    return latin1(files.bytes(path, 0, LOADER_BYTES_MAX, buffer)).includes(LOADER_TEXT);
  }

  function isCompiledByBun(path: string, sections: readonly Section[], sizeBytes: number): boolean {
    const own = sections.find(({ name }) => name === BUN_SECTION);
    if (own && own.size > BUN_EMPTY_BYTES) return true;
    const tail = files.bytes(path, Math.max(0, sizeBytes - OVERLAP_BYTES), OVERLAP_BYTES);
    return latin1(tail).includes(BUN_TRAILER);
  }

  function readSections(path: string): Section[] | undefined {
    const header = view(files.bytes(path, 0, 64));
    // 64 bits, little-endian: every processor this agent is built for.
    if (header.byteLength < 64 || header.getUint32(0) !== 0x7f454c46 || header.getUint16(4) !== 0x0201)
      return undefined;
    const at = Number(header.getBigUint64(0x28, true));
    const each = header.getUint16(0x3a, true);
    const count = header.getUint16(0x3c, true);
    if (each < 64 || count > SECTIONS_MAX) return undefined;
    const table = view(files.bytes(path, at, each * count));
    const raw = Array.from({ length: Math.floor(table.byteLength / each) }, (_, index) => {
      const start = index * each;
      return {
        nameAt: table.getUint32(start, true),
        type: table.getUint32(start + 4, true),
        offset: Number(table.getBigUint64(start + 0x18, true)),
        size: Number(table.getBigUint64(start + 0x20, true)),
        link: table.getUint32(start + 0x28, true),
      };
    });
    const strings = raw[header.getUint16(0x3e, true)];
    const names = strings ? latin1(files.bytes(path, strings.offset, Math.min(strings.size, 65_536))) : "";
    return raw.map(({ nameAt, ...section }) => ({
      ...section,
      name: names.slice(nameAt).split("\0", 1)[0]!,
    }));
  }
}

type Section = { name: string; type: number; offset: number; size: number; link: number };

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
