import { PassThrough, Readable, Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { AnswerBody, SilentProvider } from './answer-body.js';

const NEVER_MS = 1_000_000;
const ignore = () => undefined;

async function handedOn(body: AnswerBody): Promise<string> {
  const sink = new PassThrough();
  const [, received] = await Promise.all([body.handTo(sink, ignore), buffer(sink)]);
  return received.toString();
}

describe('the body of an answer', () => {
  it('is handed on whole, whether it was looked at or not, and however far', async () => {
    const chunks = ['one ', 'two ', 'three'];
    const bodyOf = () => new AnswerBody(Readable.from(chunks.map((chunk) => Buffer.from(chunk))), NEVER_MS);
    expect(await handedOn(bodyOf())).toBe('one two three');
    for (const bytesMax of [1, 4, 5, 13, 1000]) {
      const body = bodyOf();
      expect(await body.look(bytesMax)).toBe('one two three'.slice(0, bytesMax));
      expect(await handedOn(body)).toBe('one two three');
    }
  });

  it('is handed on whole when it had ended before somebody looked', async () => {
    const source = new PassThrough();
    source.end('all of it');
    const body = new AnswerBody(source, NEVER_MS);
    expect(await body.look(1000)).toBe('all of it');
    expect(source.closed).toBe(true);
    expect(await handedOn(body)).toBe('all of it');
  });

  it('tells of each chunk that goes through', async () => {
    let chunks = 0;
    const body = new AnswerBody(Readable.from([Buffer.from('a'), Buffer.from('b')]), NEVER_MS);
    await body.handTo(new PassThrough().resume(), () => chunks++);
    expect(chunks).toBe(2);
  });

  it('breaks off when the provider falls silent, and takes the client along', async () => {
    const source = new PassThrough();
    const sink = new PassThrough().resume();
    sink.on('error', ignore);
    source.write('a beginning');
    await expect(new AnswerBody(source, 10).handTo(sink, ignore)).rejects.toBeInstanceOf(SilentProvider);
    expect(sink.destroyed).toBe(true);
    const silent = new AnswerBody(new PassThrough(), 10);
    await expect(silent.look(1)).rejects.toBeInstanceOf(SilentProvider);
  });

  it('does not take a client that reads slowly for a silent provider', async () => {
    const received: string[] = [];
    const slow = new Writable({
      highWaterMark: 1,
      write: (chunk: Buffer, _encoding, done) => {
        received.push(chunk.toString());
        setTimeout(done, 50);
      },
    });
    const source = new PassThrough();
    for (const chunk of ['a', 'b', 'c']) source.write(chunk);
    source.end();
    await new AnswerBody(source, 10).handTo(slow, ignore);
    expect(received.join('')).toBe('abc');
  });

  it('fails for whoever reads it after its connection was lost', async () => {
    const source = new PassThrough();
    const body = new AnswerBody(source, NEVER_MS);
    await new Promise((resolve) => source.once('close', resolve).destroy(new Error('reset')));
    await expect(body.handTo(new PassThrough().on('error', ignore), ignore)).rejects.toThrow('reset');
  });
});
