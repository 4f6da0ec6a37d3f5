import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const INIT = JSON.stringify({ type: 'system', subtype: 'init', session_id: 'hanging', model: 'none', tools: [] });

/** A CLI that says that it has begun, and then nothing more. All its processes end when it is disposed of, or with this one. */
export class HangingClaude implements Disposable {
  readonly path: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'outrigger-bench-'));
  readonly #fifo: number;

  constructor() {
    const fifo = join(this.#folder, 'fifo');
    execFileSync('mkfifo', [fifo]);
    this.#fifo = openSync(fifo, constants.O_RDWR);
    this.path = join(this.#folder, 'claude');
    const lines = ['#!/bin/sh', '[ "$1" = --version ] && exit', `echo '${INIT}'`, `exec cat ${fifo}`];
    writeFileSync(this.path, `${lines.join('\n')}\n`, { mode: 0o700 });
  }

  [Symbol.dispose](): void {
    closeSync(this.#fifo);
    rmSync(this.#folder, { recursive: true });
  }
}
