import { randomUUID } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';

export interface BodyLimits {
  /** A larger body is not taken at all. */
  readonly bodyBytesMax: number;
  /** A larger body is kept in a file. */
  readonly inMemoryBytesMax: number;
  /** Of all bodies in memory; beyond it they are kept in files. */
  readonly inMemoryTotalBytesMax: number;
}

const MIB = 1024 * 1024;
/** A larger body is not parsed: that could take seconds and a hundred times its size. */
const TEXT_BYTES_MAX = 8 * MIB;
/** How much more than it may send a client is listened to. */
const EXCESS_BYTES_MAX = 64 * MIB;
const READ_BYTES = 64 * 1024;

export const BODY_LIMITS: BodyLimits = {
  bodyBytesMax: 256 * MIB,
  inMemoryBytesMax: 32 * MIB,
  inMemoryTotalBytesMax: 256 * MIB,
};

/** A request's body, kept so that it can be sent more than once. */
export interface KeptBody {
  readonly bytes: number;
  /** What to send; to be asked for anew for each sending. */
  send(): Buffer | Readable;
  /** The body as text; null for one too large to be looked at. */
  text(): string | null;
  release(): void;
}

export class BodyTooLarge extends Error {}

/** Keeps bodies in memory up to a bound, then in files that have no name and are gone with the process. */
export class BodyStore {
  readonly #folder: string;
  readonly #limits: BodyLimits;
  #bytes = 0;

  /** @param folder One that nobody else can read. */
  constructor(folder: string, limits: BodyLimits = BODY_LIMITS) {
    this.#folder = folder;
    this.#limits = limits;
  }

  /** Bytes in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Reads a body to its end. @throws BodyTooLarge; whatever the stream fails with */
  async keep(stream: Readable): Promise<KeptBody> {
    const { bodyBytesMax, inMemoryBytesMax, inMemoryTotalBytesMax } = this.#limits;
    const chunks: Buffer[] = [];
    let held = 0;
    let bytes = 0;
    let file: FileHandle | null = null;
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        // The rest is read and forgotten, within a bound: who is cut off while it still sends never hears why.
        if (bytes > bodyBytesMax + EXCESS_BYTES_MAX) break;
        if (bytes > bodyBytesMax) {
          chunks.length = 0;
          this.#bytes -= held;
          held = 0;
          continue;
        }
        const isToBeSpilled = bytes > inMemoryBytesMax || this.#bytes + chunk.length > inMemoryTotalBytesMax;
        if (file === null && isToBeSpilled) {
          file = await this.#openFile();
          await file.writeFile(Buffer.concat(chunks.splice(0)));
          this.#bytes -= held;
          held = 0;
        }
        if (file !== null) {
          await file.appendFile(chunk);
          continue;
        }
        chunks.push(chunk);
        held += chunk.length;
        this.#bytes += chunk.length;
      }
      if (bytes > bodyBytesMax) throw new BodyTooLarge(`the request is larger than ${bodyBytesMax} bytes`);
    } catch (error) {
      this.#bytes -= held;
      await file?.close();
      throw error;
    }
    return file === null ? this.#inMemory(Buffer.concat(chunks)) : inFile(file, bytes);
  }

  #inMemory(buffer: Buffer): KeptBody {
    let isHeld = true;
    return {
      bytes: buffer.length,
      send: () => buffer,
      text: () => (buffer.length > TEXT_BYTES_MAX ? null : buffer.toString()),
      release: () => {
        if (isHeld) this.#bytes -= buffer.length;
        isHeld = false;
      },
    };
  }

  async #openFile(): Promise<FileHandle> {
    const path = join(this.#folder, `body-${randomUUID()}`);
    const file = await open(path, 'wx+', 0o600);
    await unlink(path);
    return file;
  }
}

function inFile(file: FileHandle, bytes: number): KeptBody {
  return {
    bytes,
    // A stream of the file's own would close the file when it is destroyed, and with it every later sending.
    send: () => Readable.from(contentOf(file), { objectMode: false }),
    text: () => null,
    release: () => void file.close().catch(() => undefined),
  };
}

async function* contentOf(file: FileHandle): AsyncGenerator<Buffer, void> {
  for (let position = 0; ;) {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
