import { randomUUID } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { finished, Readable } from 'node:stream';

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
    let file = null as FileHandle | null;
    const spill = async (chunk: Buffer) => {
      file ??= await this.#openFile();
      await file.appendFile(Buffer.concat([...chunks.splice(0), chunk]));
      this.#bytes -= held;
      held = 0;
    };
    try {
      await readEach(stream, (chunk) => {
        bytes += chunk.length;
        // The rest is read and forgotten, within a bound: who is cut off while it still sends never hears why.
        if (bytes > bodyBytesMax + EXCESS_BYTES_MAX) throw tooLarge(bodyBytesMax);
        if (bytes > bodyBytesMax) {
          chunks.length = 0;
          this.#bytes -= held;
          held = 0;
          return null;
        }
        const isToBeSpilled = bytes > inMemoryBytesMax || this.#bytes + chunk.length > inMemoryTotalBytesMax;
        if (file !== null || isToBeSpilled) return spill(chunk);
        chunks.push(chunk);
        held += chunk.length;
        this.#bytes += chunk.length;
        return null;
      });
      if (bytes > bodyBytesMax) throw tooLarge(bodyBytesMax);
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

function tooLarge(bytesMax: number): BodyTooLarge {
  return new BodyTooLarge(`the request is larger than ${bytesMax} bytes`);
}

/**
 * Reads a stream to its end, the next piece not before the last has been taken; null: it has been. A loop of `for await`
 * takes several times as long.
 */
async function readEach(stream: Readable, take: (chunk: Buffer) => Promise<void> | null): Promise<void> {
  let taking = null as Promise<void> | null;
  const read = new Promise<void>((resolve, reject) => {
    const fail = (error: Error) => {
      stream.destroy();
      reject(error);
    };
    stream.on('data', (chunk: Buffer) => {
      try {
        taking = take(chunk);
      } catch (error) {
        fail(error as Error);
        return;
      }
      if (taking === null) return;
      stream.pause();
      taking.then(() => stream.resume(), fail);
    });
    finished(stream, { writable: false }, (error) => (error ? fail(error) : resolve()));
  });
  try {
    await read;
  } finally {
    // A stream can end or break while its last piece is being taken.
    await taking;
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
