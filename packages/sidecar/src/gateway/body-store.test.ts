import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type BodyLimits, BodyStore, BodyTooLarge, type KeptBody } from './body-store.js';

const LIMITS: BodyLimits = { bodyBytesMax: 1000, inMemoryBytesMax: 100, inMemoryTotalBytesMax: 250 };

let folder: string;
let store: BodyStore;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outrigger-bodies-'));
  store = new BodyStore(folder, LIMITS);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const bodyOf = (...sizes: number[]) => sizes.map((size) => randomBytes(size));
const keep = (chunks: readonly Buffer[]) => store.keep(Readable.from(chunks));

/** What a sending of the body brings. */
const sent = async (body: KeptBody): Promise<Buffer> => {
  const sending = body.send();
  return Buffer.isBuffer(sending) ? sending : buffer(sending);
};

/** Files of the folder that this process has open, though they may have no name. */
const openFiles = () =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(folder) ? [path] : [];
    } catch {
      return [];
    }
  });

describe('a body', () => {
  it.each<[string, number[], 'memory' | 'file']>([
    ['without a byte', [], 'memory'],
    ['of nothing but empty pieces', [0, 0], 'memory'],
    ['in one piece', [100], 'memory'],
    ['in pieces that fit in memory', [40, 0, 60], 'memory'],
    ['one byte too large for memory', [101], 'file'],
    ['whose last piece is too much', [40, 60, 1], 'file'],
    ['that goes on in its file', [60, 60, 60, 0, 320], 'file'],
    ['as large as a body can be', [500, 500], 'file'],
  ])('%s is sent as it came, as often as it takes', async (_what, sizes, where) => {
    const chunks = bodyOf(...sizes);
    const whole = Buffer.concat(chunks);
    const body = await keep(chunks);
    expect(body.bytes).toBe(whole.length);
    expect(store.bytes).toBe(where === 'memory' ? whole.length : 0);
    expect(Buffer.isBuffer(body.send())).toBe(where === 'memory');
    for (let sending = 0; sending < 3; sending++) expect(await sent(body)).toEqual(whole);
    const [one, other] = await Promise.all([sent(body), sent(body)]);
    expect([one, other]).toEqual([whole, whole]);
    body.release();
    expect(store.bytes).toBe(0);
  });

  it('in a file has no name there, and is gone when it is released', async () => {
    const body = await keep(bodyOf(101));
    expect(readdirSync(folder)).toEqual([]);
    expect(openFiles()).toEqual([expect.stringMatching(/body-[-0-9a-f]+ \(deleted\)$/)]);
    body.release();
    body.release();
    await expect.poll(openFiles).toEqual([]);
  });

  it('of a file that was sent in part is sent as a whole again', async () => {
    store = new BodyStore(folder, { ...LIMITS, bodyBytesMax: 1_000_000 });
    const chunks = bodyOf(400_000, 400_000);
    const body = await keep(chunks);
    const aborted = body.send() as Readable;
    await once(aborted, 'readable');
    aborted.destroy();
    await once(aborted, 'close');
    expect(await sent(body)).toEqual(Buffer.concat(chunks));
    body.release();
  });

  it('is a text only where it is in memory', async () => {
    const text = '{"prompt":"Grüße, \u{1f40b}"}';
    const bytes = Buffer.from(text);
    // A character that is split over two pieces is one.
    const body = await keep([bytes.subarray(0, 13), bytes.subarray(13)]);
    expect(body.text()).toBe(text);
    const large = await keep(bodyOf(101));
    expect(large.text()).toBeNull();
    large.release();
  });

  it('comes from anything that is read', async () => {
    const path = join(folder, 'source');
    const bytes = randomBytes(900);
    writeFileSync(path, bytes);
    const body = await store.keep(createReadStream(path, { highWaterMark: 70 }));
    expect(await sent(body)).toEqual(bytes);
    body.release();
  });
});

describe('all bodies together', () => {
  it('take so much memory and no more: who comes later goes to a file', async () => {
    const bodies = [await keep(bodyOf(100)), await keep(bodyOf(100)), await keep(bodyOf(50))];
    expect(store.bytes).toBe(250);
    const chunks = bodyOf(1);
    const late = await keep(chunks);
    expect(store.bytes).toBe(250);
    expect(late.text()).toBeNull();
    expect(await sent(late)).toEqual(Buffer.concat(chunks));
    bodies.push(late);
    bodies.forEach((body) => body.release());
    expect(store.bytes).toBe(0);
    expect((await keep(bodyOf(100))).text()).not.toBeNull();
  });

  it('are counted while they come, too', async () => {
    const streams = [new PassThrough(), new PassThrough(), new PassThrough()];
    const keeping = streams.map((stream) => store.keep(stream));
    for (const [index, stream] of streams.entries()) {
      stream.write(randomBytes(90));
      await expect.poll(() => store.bytes).toBe([90, 180, 180][index]);
    }
    streams.forEach((stream) => stream.end(randomBytes(5)));
    const bodies = await Promise.all(keeping);
    expect(bodies.map(({ bytes }) => bytes)).toEqual([95, 95, 95]);
    expect(bodies.map((body) => body.text() === null)).toEqual([false, false, true]);
    bodies.forEach((body) => body.release());
    bodies.forEach((body) => body.release());
    expect(store.bytes).toBe(0);
  });
});

describe('nothing is kept of a body', () => {
  it.each([
    ['in memory', [101], { ...LIMITS, bodyBytesMax: 100 }],
    ['in memory, at its last piece', [60, 60], { ...LIMITS, bodyBytesMax: 119 }],
    ['in a file', [101, 899, 1], LIMITS],
  ])('that is too large, %s', async (_where, sizes, limits) => {
    store = new BodyStore(folder, limits);
    const kept = keep(bodyOf(...sizes));
    await expect(kept).rejects.toThrow(BodyTooLarge);
    await expect(kept).rejects.toThrow(`larger than ${limits.bodyBytesMax} bytes`);
    expect(store.bytes).toBe(0);
    await expect.poll(openFiles).toEqual([]);
  });

  it.each([
    ['in memory', 90],
    ['in a file', 190],
  ])('that breaks off, %s', async (_where, size) => {
    const stream = new PassThrough();
    const kept = store.keep(stream);
    stream.write(randomBytes(size));
    const isThere = () => (size > 100 ? openFiles().length > 0 : store.bytes === size);
    await expect.poll(isThere).toBe(true);
    stream.destroy(new Error('it broke'));
    await expect(kept).rejects.toThrow('it broke');
    expect(store.bytes).toBe(0);
    expect(openFiles()).toEqual([]);
  });

  it('for which no file can be made', async () => {
    rmSync(folder, { recursive: true });
    await expect(keep(bodyOf(60, 60))).rejects.toThrow('ENOENT');
    expect(store.bytes).toBe(0);
  });
});

describe('over HTTP', () => {
  async function serve(onBody: (kept: Promise<KeptBody>) => Promise<number>): Promise<string> {
    const server: Server = createServer((request, response) => {
      void onBody(store.keep(request)).then((status) => response.writeHead(status).end());
    }).listen(0, '127.0.0.1');
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  }

  it('a client is answered that sends too much', async () => {
    const url = await serve((kept) =>
      kept.then(
        () => 200,
        (error: unknown) => (error instanceof BodyTooLarge ? 413 : 500),
      ),
    );
    const request = httpRequest(url, { method: 'POST' });
    const answered = once(request, 'response') as Promise<[{ statusCode: number }]>;
    await pipeline(Readable.from(Array.from({ length: 16 }, () => Buffer.alloc(1_000_000))), request);
    const [{ statusCode }] = await answered;
    expect(statusCode).toBe(413);
    expect(store.bytes).toBe(0);
  });

  it('nothing is kept of a client that goes away', async () => {
    const failed: Promise<unknown>[] = [];
    const url = await serve((kept) => {
      failed.push(kept);
      return kept.then(
        () => 200,
        () => 500,
      );
    });
    const request = httpRequest(url, { method: 'POST' });
    request.on('error', () => undefined);
    request.write(randomBytes(50));
    await expect.poll(() => store.bytes).toBe(50);
    request.destroy();
    await expect(failed[0]).rejects.toThrow('aborted');
    expect(store.bytes).toBe(0);
  });
});

it('a body of more than 8 MiB is not looked at, though it is in memory', async () => {
  const roomy = new BodyStore(folder);
  const [small, large] = [
    await roomy.keep(Readable.from([Buffer.alloc(8 << 20, '{')])),
    await roomy.keep(Readable.from([Buffer.alloc((8 << 20) + 1, '{')])),
  ];
  expect([small.text() === null, large.text()]).toEqual([false, null]);
  expect(large.bytes).toBe(roomy.bytes - small.bytes);
});
